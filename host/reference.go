package host

import (
	"math"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// ReferenceScale defines the bits of every engine's Scale. It is written to be read, not to be fast:
//
//	for every element w of the piece, a and c being the scales of its channels (1 without a factor)
//		w' = round((a·w)·c)
//
// Each product is rounded to float64, and the last one once more, to the element type, to nearest, ties
// to even. A NaN keeps its bits; a NaN that arises, as ∞·0 does, is the type's positive quiet NaN.
//
// It sets Overflows, the finite weights that are finite no more (infinite, or NaN where the first of
// two scales made it infinite and the second is zero), and Vanished, the weights that became zero
// though neither they nor their scales were. The segment must fit the slab; [Engine.Scale] checks that.
func ReferenceScale(slab []byte, seg *fuse.Segment) {
	var n counts
	size := seg.DType.Size()
	for i := range seg.Elems {
		scaleElement(seg.DType, slab[seg.Offset+i*size:], scaleOf(&seg.After, seg.First+i), scaleOf(&seg.Before, seg.First+i), &n)
	}
	seg.Overflows, seg.Vanished = n.overflows, n.vanished
}

// scaleOf is the factor's scale for element i of the tensor. A product with 1 is exact.
func scaleOf(f *fuse.Factor, i int) float64 {
	if f.Scale == nil {
		return 1
	}
	return f.Scale[f.View.Channel(i)]
}

// counts are what Scale tells about its weights.
type counts struct{ overflows, vanished int }

// scaleElement is the rule for one element, the first of b.
func scaleElement(dt fuse.DType, b []byte, after, before float64, n *counts) {
	w := elem.Load(dt, b)
	if math.IsNaN(w) {
		return
	}
	product := float64(after*w) * before
	elem.Store(dt, b, product)
	switch got := elem.Load(dt, b); {
	case got-got != 0 && w-w == 0: // x − x is 0 for a finite x, else NaN
		n.overflows++
	case got == 0 && w != 0 && after != 0 && before != 0:
		n.vanished++
	}
}

// ReferenceContract defines the bits of every engine's Contract. Element i of the tensor, of channel c,
// belongs to one output and is one of its terms, numbered from 0 in memory order:
//
//	lanes[output][term mod NumLanes] += round(w·t[c])
//
// in ascending order of i, each product and each sum rounded to float64, never fused. What a lane held
// before is the first summand, so a tensor in several pieces, contracted in ascending order, gives the
// bits of one. [fuse.SumLanes] adds up the lanes.
func ReferenceContract(slab []byte, c *fuse.Contraction) {
	size := c.DType.Size()
	for j := range c.Elems {
		i := c.First + j
		w := elem.Load(c.DType, slab[c.Offset+j*size:])
		t := c.Shift[c.View.Channel(i)]
		output, term := outputAndTerm(c, i)
		c.Lanes[output*fuse.NumLanes+term%fuse.NumLanes] += float64(w * t)
	}
}

// outputAndTerm says which output element i of the tensor adds to, and as which of its terms.
func outputAndTerm(c *fuse.Contraction, i int) (output, term int) {
	row := c.View.Channels * c.View.Inner // one output's elements, unless PerInner
	if c.PerInner {
		return i % c.View.Inner, i / c.View.Inner
	}
	return i / row, i % row
}
