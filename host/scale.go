package host

import "github.com/bnfuse/bnfuse/fuse"

// uniformMin is the Inner from which a run of one channel is long: it is scaled by itself where there are no
// functions for many. Shorter runs go through a table, with a scale for every element where there are none for runs.
const uniformMin = 192

// scale does the elements of the segment from index from up to index to.
func (w *worker) scale(slab []byte, seg *fuse.Segment, from, to int) (n counts) {
	size := seg.DType.Size()
	b := slab[seg.Offset+from*size : seg.Offset+to*size]
	switch first := seg.First + from; {
	case len(b) == 0:
	case seg.After.Scale != nil && seg.Before.Scale != nil:
		scaleBoth(seg, b, first, &n)
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
	inGroup := v.Outer * v.Channels * v.Inner
	for len(b) > 0 {
		group, at := first/inGroup, first%inGroup
		elems := min(len(b)/size, inGroup-at)
		scales := f.Scale[group*v.Channels:][:v.Channels]
		if v.Inner >= uniformMin && !takesRuns(v.Inner) {
			t.scaleRuns(dt, b[:elems*size], at, v, scales, n)
		} else {
			t.scaleTiles(dt, b[:elems*size], at, v, scales, n)
		}
		b = b[elems*size:]
		first += elems
	}
}

// scaleRuns scales elements at, at+1 … of a group, one run of a channel after the other.
func (t *table) scaleRuns(dt fuse.DType, b []byte, at int, v fuse.View, scales []float64, n *counts) {
	size := dt.Size()
	for len(b) > 0 {
		elems := min(len(b)/size, v.Inner-at%v.Inner)
		t.setOne(scales[at/v.Inner%v.Channels], dt)
		t.multiply(dt, b[:elems*size], 0, n)
		b = b[elems*size:]
		at += elems
	}
}

// scaleTiles scales elements at, at+1 … of a group. The group is seen as rows, each with all channels
// (several times over where they are few). If the table has no room for a row, the rows are cut into tiles
// that fit. A tile is done in every whole row before the next is filled in:
//
//	         tile 0      tile 1     …
//	row 0  [ c0 c1 c2 ][ c3 c4 c5 ]
//	row 1  [ c0 c1 c2 ][ c3 c4 c5 ]
func (t *table) scaleTiles(dt fuse.DType, b []byte, at int, v fuse.View, scales []float64, n *counts) {
	size := dt.Size()
	end := at + len(b)/size
	most := maxRuns(v.Inner)
	// Spreading pays where one table has all channels, and is used again and again.
	byRun := (v.Outer == 1 || v.Channels > most) && takesRuns(v.Inner)
	switch {
	case byRun && v.Outer == 1:
		most = onceByRun
	case byRun:
		most = mostByRun
	}
	runs := v.Channels * times(most/v.Channels, v.Channels*v.Inner, at, end)
	row := runs * v.Inner
	if !byRun && runs <= most {
		t.setRound(scales, runs, v.Inner)
		t.prepare(dt, false)
		t.multiplyRound(dt, b, at%row, n)
		return
	}
	for len(b) > 0 {
		in := at % row // where the row is entered
		rows, elems := 1, min(row-in, end-at)
		if elems == row {
			rows = (end - at) / row
		}
		for run := in / v.Inner; run*v.Inner < in+elems; {
			count := min(most, runs-run)
			if rows == 1 {
				count = min(count, (in+elems-1)/v.Inner+1-run)
			}
			t.setRuns(scales, run, count, v.Inner)
			t.prepare(dt, byRun)
			from, to := max(in, run*v.Inner), min(in+elems, (run+count)*v.Inner)
			for r := range rows {
				part := b[(r*row+from-in)*size : (r*row+to-in)*size]
				t.multiply(dt, part, from-run*v.Inner, n)
			}
			run += count
		}
		b = b[rows*elems*size:]
		at += rows * elems
	}
}

// multiplyRound is multiply, also for more elements than the table has.
func (t *table) multiplyRound(dt fuse.DType, b []byte, at int, n *counts) {
	size := dt.Size()
	for len(b) > 0 {
		elems := len(b) / size
		if !goesRound() {
			elems = min(elems, t.elems-at)
		}
		t.multiply(dt, b[:elems*size], at, n)
		b = b[elems*size:]
		at = 0
	}
}

// times is how often a row should hold the period of all channels: as often as fits the table, at least
// once, not much beyond the elements there are, and 32 times rather than 33, for then a row is a whole
// number of every block.
func times(fit, period, at, end int) int {
	n := max(1, min(fit, (end-1)/period-at/period+1))
	if n > 32 {
		n &^= 31
	}
	return n
}

// flatten gives the same view with fewer numbers: a single channel makes Outer part of Inner, and a
// single Outer makes Groups part of Channels.
func flatten(v fuse.View) fuse.View {
	if v.Channels == 1 {
		v.Inner, v.Outer = v.Inner*v.Outer, 1
	}
	if v.Outer == 1 {
		v.Channels, v.Groups = v.Channels*v.Groups, 1
	}
	return v
}

// scaleBoth scales by two factors, which is rare: element by element.
func scaleBoth(seg *fuse.Segment, b []byte, first int, n *counts) {
	size := seg.DType.Size()
	after, before := startAt(seg.After.View, first), startAt(seg.Before.View, first)
	for ; len(b) > 0; b = b[size:] {
		scaleElement(seg.DType, b, seg.After.Scale[after.channel()], seg.Before.Scale[before.channel()], n)
		after.next()
		before.next()
	}
}
