package fusetest

import (
	"bytes"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

// brokenCases break the contract of an engine with the given Align. It returns an error that says so, and
// touches nothing.
func brokenCases(align int) []Case {
	const slabBytes = 4096
	slab := bytes.Repeat([]byte{0x3c}, slabBytes)
	v := view(1, 1, 10, 10)
	segment := func(name, reason string, change func(*fuse.Segment)) Case {
		good := fuse.Segment{Piece: fuse.Piece{Elems: 100, DType: fuse.Float32}, After: scales(v, 1)}
		bad := good
		change(&bad)
		return Case{name, reason, []Call{{Slab: slab, Segments: []fuse.Segment{good, bad}}}}
	}
	contract := func(name, reason string, change func(*fuse.Contraction)) Case {
		good := contraction(fuse.Float32, v, false)
		good.Elems = 100
		bad := contraction(fuse.Float32, v, false)
		bad.Elems = 100
		change(&bad)
		return Case{name, reason, []Call{{Slab: slab, Contractions: []fuse.Contraction{good, bad}}}}
	}
	const huge = int(^uint(0) >> 1)
	cases := []Case{
		segment("dtype", "the zero type is none", func(s *fuse.Segment) { s.DType = 0 }),
		segment("pastSlab", "the last element passes the slab's end", func(s *fuse.Segment) { s.Offset = slabBytes - 384 }),
		segment("offset", "the piece starts behind the slab", func(s *fuse.Segment) { s.Offset = slabBytes + 16 }),
		segment("offsetHuge", "offset plus length overflows", func(s *fuse.Segment) { s.Offset = huge &^ 15 }),
		segment("negativeOffset", "in front of the slab", func(s *fuse.Segment) { s.Offset = -16 }),
		segment("elemsHuge", "the length in bytes overflows", func(s *fuse.Segment) { s.Elems = huge }),
		segment("negativeElems", "a negative length", func(s *fuse.Segment) { s.Elems = -1 }),
		segment("negativeFirst", "in front of the tensor", func(s *fuse.Segment) { s.First = -1 }),
		segment("pastView", "the piece passes the tensor's end", func(s *fuse.Segment) { s.First = 1 }),
		segment("fewScales", "a channel without a scale", func(s *fuse.Segment) { s.After.Scale = s.After.Scale[:9] }),
		segment("manyScales", "a scale without a channel: the view is another tensor's", func(s *fuse.Segment) { s.After.Scale = append(s.After.Scale, 1) }),
		segment("emptyView", "elements of a view that has none", func(s *fuse.Segment) { s.After = fuse.Factor{View: view(1, 1, 0, 10), Scale: []float64{}} }),
		segment("negativeView", "a view with a negative number", func(s *fuse.Segment) { s.After.View = view(-1, -1, 10, 10) }),
		segment("hugeView", "a view whose product overflows", func(s *fuse.Segment) { s.After.View = view(huge, huge, 10, 10) }),
		segment("before", "the other factor is checked too", func(s *fuse.Segment) { s.Before = scales(view(1, 1, 3, 10), 1) }),
		contract("contractPastSlab", "the last element passes the slab's end", func(c *fuse.Contraction) { c.Offset = slabBytes - 384 }),
		contract("contractPastView", "the piece passes the tensor's end", func(c *fuse.Contraction) { c.First = 1 }),
		contract("fewShifts", "a channel without a shift", func(c *fuse.Contraction) { c.Shift = c.Shift[:9] }),
		contract("fewLanes", "an output without its lanes", func(c *fuse.Contraction) { c.Lanes = c.Lanes[:fuse.NumLanes-1] }),
		contract("perInnerOuter", "a weight stored [in, out] has one group and one outer", func(c *fuse.Contraction) {
			c.PerInner, c.View, c.Lanes = true, view(1, 2, 10, 5), make([]float64, 5*fuse.NumLanes)
		}),
	}
	if align > 1 {
		cases = append(cases, segment("unaligned", "the engine says what it needs", func(s *fuse.Segment) { s.Offset = align / 2 }))
	}
	return cases
}

func runBroken(t *testing.T, e fuse.Engine, c Case) {
	call := c.Calls[0]
	slab := newSlab(t, e, call.Slab)
	if slab == nil {
		return
	}
	var err error
	if call.Segments != nil {
		err = e.Scale(slab, call.Segments)
	} else {
		err = e.Contract(slab, call.Contractions)
	}
	if err == nil {
		t.Error("no error")
	}
	if !bytes.Equal(slab.Bytes(), call.Slab) {
		t.Error("the slab was changed")
	}
	for _, c := range call.Contractions {
		for i, x := range c.Lanes {
			if x != 0 {
				t.Fatalf("lane %d was changed to %v", i, x)
			}
		}
	}
	if err := slab.Free(); err != nil {
		t.Error(err)
	}
}
