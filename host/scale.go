package host

import "github.com/bnfuse/bnfuse/fuse"

// uniformMin is the Inner from which each run of one channel is scaled by itself. Shorter runs go
// through a table with a scale for every element, whatever the channel.
const uniformMin = 192

// scale does elements from up to to of the segment.
func (w *worker) scale(slab []byte, seg *fuse.Segment, from, to int) (n counts) {
	size := seg.DType.Size()
	b := slab[seg.Offset+from*size : seg.Offset+to*size]
	switch first := seg.First + from; {
	case len(b) == 0:
	case seg.After.Scale != nil && seg.Before.Scale != nil:
		w.scaleBoth(seg, b, first, &n)
	case seg.After.Scale != nil:
		w.scaleOne(seg.DType, b, first, &seg.After, &n)
	case seg.Before.Scale != nil:
		w.scaleOne(seg.DType, b, first, &seg.Before, &n)
	}
	return n
}

// scaleOne scales by one factor. b is elements first, first+1 … of the tensor.
func (t *table) scaleOne(dt fuse.DType, b []byte, first int, f *fuse.Factor, n *counts) {
	v, size := flatten(f.View), dt.Size()
	if v.Inner >= uniformMin {
		for len(b) > 0 {
			run := min(v.Inner-first%v.Inner, len(b)/size)
			t.scaleUniform(dt, b[:run*size], f.Scale[v.Channel(first)], n)
			b = b[run*size:]
			first += run
		}
		return
	}
	inGroup := v.Outer * v.Channels * v.Inner
	most, repeats := chunk(v)
	for len(b) > 0 {
		left := min(inGroup-first%inGroup, len(b)/size)
		filled := 0
		for left > 0 {
			run := min(most, left)
			if filled == 0 || !repeats {
				fill(t.wide[:run], v, f.Scale, first)
				t.narrow(run)
				filled = run
			}
			t.scaleEach(dt, b[:run*size], n)
			b = b[run*size:]
			first += run
			left -= run
		}
	}
}

// scaleBoth scales by two factors, the reference's rule with the scales looked up a table at a time.
func (t *table) scaleBoth(seg *fuse.Segment, b []byte, first int, n *counts) {
	after, before, size := flatten(seg.After.View), flatten(seg.Before.View), seg.DType.Size()
	for len(b) > 0 {
		run := min(tableElems, len(b)/size)
		fillAcrossGroups(t.first[:run], after, seg.After.Scale, first)
		fillAcrossGroups(t.wide[:run], before, seg.Before.Scale, first)
		for i := range run {
			scaleElement(seg.DType, b[i*size:], t.first[i], t.wide[i], n)
		}
		b = b[run*size:]
		first += run
	}
}

// fillAcrossGroups is fill for elements of any groups.
func fillAcrossGroups(dst []float64, v fuse.View, perChannel []float64, first int) {
	inGroup := v.Outer * v.Channels * v.Inner
	for len(dst) > 0 {
		n := min(inGroup-first%inGroup, len(dst))
		fill(dst[:n], v, perChannel, first)
		dst = dst[n:]
		first += n
	}
}
