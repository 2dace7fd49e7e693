//go:build cuda && cgo

package cuda

import (
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
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
