package fusetest

import (
	"fmt"

	"github.com/bnfuse/bnfuse/fuse"
)

// shapeCases is about lengths, places and numbers of segments.
func shapeCases() []Case {
	var cases []Case
	for _, dt := range dtypes {
		cases = append(cases, lengths(dt), inners(dt), pieces(dt), repeatedChannels(dt))
	}
	return append(cases, manySegments(), noSegments(), largeSlab())
}

// lengths is weights of every length around a vector and a block, of one channel and of as many
// channels as elements.
func lengths(dt fuse.DType) Case {
	var b builder
	for _, n := range []int{0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 1023, 1025, 2000} {
		weight := normal(dt, n, uint64(n))
		b.segment(dt, weight, 0, n, scales(view(1, 1, 1, n), 1), fuse.Factor{})
		b.segment(dt, weight, 0, n, fuse.Factor{}, scales(view(1, 1, n, 1), 2))
	}
	return Case{fmt.Sprintf("lengths/%v", dt), "lengths that are no multiple of a vector, and none at all", []Call{b.call}}
}

// inners is channels of every length around those where an engine may change its method.
func inners(dt fuse.DType) Case {
	var b builder
	for _, inner := range []int{1, 2, 3, 4, 5, 7, 8, 9, 16, 25, 27, 49, 121, 127, 128, 190, 191, 192, 193, 255, 256, 257, 1000} {
		for _, v := range []fuse.View{view(1, 1, 13, inner), view(2, 3, 5, inner)} {
			weight := normal(dt, v.Elems(), uint64(inner))
			b.segment(dt, weight, 0, v.Elems(), scales(v, uint64(inner)), fuse.Factor{})
		}
	}
	return Case{fmt.Sprintf("inners/%v", dt), "runs of one channel of many lengths", []Call{b.call}}
}

// pieces cuts weights at places that respect neither rows nor channels nor groups.
func pieces(dt fuse.DType) Case {
	var b builder
	for i, v := range []fuse.View{view(1, 1, 20, 9), view(3, 4, 5, 9), view(2, 7, 30, 1), view(1, 1, 3, 600), view(4, 50, 6, 1), view(2, 3, 1, 40), view(1, 3, 1700, 1)} {
		weight := normal(dt, v.Elems(), uint64(i))
		f := scales(v, uint64(i))
		for from, step := 0, 1; from < v.Elems(); step = step*3 + 1 {
			to := min(from+step, v.Elems())
			b.segment(dt, weight, from, to, f, fuse.Factor{})
			b.segment(dt, weight, from, to, fuse.Factor{}, f)
			b.segment(dt, weight, from, to, f, scales(view(1, v.Elems(), 1, 1), 7))
			from = to
		}
	}
	return Case{fmt.Sprintf("pieces/%v", dt), "a piece starts in the middle of a tensor, wherever a slab was full", []Call{b.call}}
}

// repeatedChannels is few channels over and over, and many channels a few times.
func repeatedChannels(dt fuse.DType) Case {
	var b builder
	for i, v := range []fuse.View{
		view(1, 300, 2, 1), view(1, 100, 10, 1), view(1, 41, 17, 3), view(7, 9, 3, 1), view(1, 5, 1536, 1), view(1, 3, 1537, 1), view(1, 2, 4000, 1),
		view(2, 2, 200, 9), view(50, 2, 1, 4), view(1, 33, 48, 1), view(1, 4, 9, 191), view(1, 3, 12, 180),
	} {
		weight := normal(dt, v.Elems(), uint64(i))
		b.segment(dt, weight, 0, v.Elems(), scales(v, uint64(i)), fuse.Factor{})
	}
	return Case{fmt.Sprintf("repeatedChannels/%v", dt), "the channels repeat over Outer and restart in each group", []Call{b.call}}
}

func manySegments() Case {
	var b builder
	for i := range 400 {
		dt := dtypes[i%len(dtypes)]
		v := view(1, 1+i%3, 1+i%7, 1+i%11)
		weight := normal(dt, v.Elems(), uint64(i))
		f := scales(v, uint64(i))
		if i%2 == 0 {
			b.segment(dt, weight, 0, v.Elems(), f, fuse.Factor{})
		} else {
			b.segment(dt, weight, 0, v.Elems(), fuse.Factor{}, f)
		}
	}
	return Case{"manySegments", "many small tensors of all types share a slab; the bytes between them stay", []Call{b.call}}
}

func noSegments() Case {
	return Case{"noSegments", "a slab with nothing to do", []Call{{Slab: []byte{1, 2, 3}, Segments: []fuse.Segment{}, Contractions: []fuse.Contraction{}}}}
}

// largeSlab has weights that overflow, vanish and are NaN all over a slab larger than the usual, so that
// an engine that shares the work out has counts to add up. Few different weights keep the test quick.
func largeSlab() Case {
	var b builder
	for i, dt := range []fuse.DType{fuse.Float16, fuse.Float32, fuse.BFloat16} {
		v := view(1, 1, 3, 400_001)
		unit := append(normal(dt, 90, uint64(i)), patterns(dt, oddWeights(dt)...)...)
		var weight []byte
		for len(weight) < v.Elems()*dt.Size() {
			weight = append(weight, unit...)
		}
		b.segment(dt, weight, 0, v.Elems(), fuse.Factor{View: v, Scale: []float64{1.75, -0x1p-20, 3e4}}, fuse.Factor{})
	}
	return Case{"largeSlab", "a slab of several megabytes, which an engine may split among its cores", []Call{b.call}}
}
