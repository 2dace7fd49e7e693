//go:build cuda && cgo

package cuda

import (
	"errors"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"gorgonia.org/cu"
)

// Where weights are not whole vectors, a kernel counts elements with 31 bits, so a large tensor is scaled in parts,
// each with its place in the view.
func TestLargeLayersAreSplit(t *testing.T) {
	shape := []int{5, 1 << 10, 1000, 1000} // 5.1 billion weights
	const weight = 1<<20 + 2               // not of whole vectors
	layer := Layer{Layout: fuse.Conv, Shape: shape, DType: fuse.BFloat16, Weight: weight, NewBias: 1 << 10,
		After: &Norm{Mean: 1 << 11, Var: 1 << 12}}
	p, err := planResident([]Layer{layer})
	if err != nil {
		t.Fatal(err)
	}
	elems, _ := fuse.NumElems(shape)
	first, tile := 0, 0
	for i, f := range p.foldRows {
		w := f.weight
		if w.elems >= 1<<31 || int(w.data) != weight+2*first || int(f.firstTile) != tile {
			t.Errorf("part %d: %d elements at %d, tile %d; want less than 2³¹ at %d, tile %d", i, w.elems, w.data, f.firstTile, weight+2*first, tile)
		}
		if at := int(w.after.atChannel*w.after.inner + w.after.atInner); at != first || w.after.inner != 1<<10*1000*1000 {
			t.Errorf("part %d stands at element %d of its view, want %d", i, at, first)
		}
		first += int(w.elems)
		tile += int(f.weightTiles)
	}
	if first != elems || len(p.foldRows) != 5 {
		t.Errorf("%d parts have %d elements, want 5 with %d", len(p.foldRows), first, elems)
	}
	if p.foldTiles != tile+1 {
		t.Errorf("%d tiles, want %d for the weight and 1 for the bias", p.foldTiles, tile)
	}
}

// Each kind of loop where fold.cuh allows it, and no other where weights are too many for its counters.
func TestKindOfLoop(t *testing.T) {
	n := &Norm{Mean: 1, Var: 1}
	for _, c := range []struct {
		layout fuse.Layout
		shape  []int
		dtype  fuse.DType
		weight int
		before bool
		want   int64
	}{
		{fuse.Conv, []int{8, 8, 3, 3}, fuse.Float16, 256, false, kindRuns},
		{fuse.Conv, []int{8, 8, 3, 3}, fuse.Float16, 258, false, kindVectors},
		{fuse.Conv, []int{8, 3, 3, 3}, fuse.Float32, 256, false, kindVectors},
		{fuse.Conv, []int{2, 1 << 15, 1 << 15, 1}, fuse.Float32, 256, false, kindRuns},
		{fuse.Conv, []int{2, 1 << 15, 1 << 15, 4}, fuse.Float32, 256, false, kindVectors},
		{fuse.MatMul, []int{4, 12}, fuse.Float32, 256, false, kindStripes},
		{fuse.MatMul, []int{4, 12}, fuse.Float16, 256, false, kindVectors},
		{fuse.ConvTranspose, []int{4, 8, 2, 2}, fuse.BFloat16, 256, false, kindStripes},
		{fuse.Conv, []int{8, 8, 3, 3}, fuse.Float16, 256, true, kindRows},
		{fuse.MatMul, []int{1 << 16, 1 << 16}, fuse.Float64, 256, true, kindColumns},
	} {
		l := Layer{Layout: c.layout, Shape: c.shape, DType: c.dtype, Weight: cu.DevicePtr(c.weight), NewBias: 1, After: n}
		if c.before {
			l.After, l.Before = nil, n
		}
		p, err := planResident([]Layer{l})
		if err != nil {
			t.Errorf("%v %v: %v", c.layout, c.shape, err)
			continue
		}
		if got := p.foldRows[0].kind; got != c.want {
			t.Errorf("%v %v %v at %d: kind %d, want %d", c.layout, c.shape, c.dtype, c.weight, got, c.want)
		}
	}
	for want, shape := range map[error][]int{errOutput: {1, 1 << 16, 1 << 16}, errDimension: {1 << 31, 1}} {
		_, err := planResident([]Layer{{Layout: fuse.Conv, Shape: shape, DType: fuse.Float32, Weight: 256, NewBias: 1, Before: n}})
		if !errors.Is(err, want) {
			t.Errorf("a weight %v: %v, want %v", shape, err, want)
		}
	}
}
