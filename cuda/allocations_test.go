//go:build cuda && cgo

package cuda

import (
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

// inBinding is what gorgonia.org/cu allocates in a call: eight bytes that hold the caller's context.
const inBinding = 1

// Once it is warm the engine itself allocates nothing in Go for a slab.
func TestNoAllocations(t *testing.T) {
	e := open(t)
	s := newSlab(t, e, 1<<16)
	v := fuse.View{Groups: 1, Outer: 1, Channels: 16, Inner: 1000}
	after := fuse.Factor{View: v, Scale: make([]float64, 16)}
	segments := []fuse.Segment{{Piece: fuse.Piece{Elems: 4000, DType: fuse.Float32}, After: after}, {Piece: fuse.Piece{Offset: 16000, Elems: 8000, First: 4000, DType: fuse.Float16}, After: after}}
	sums := []fuse.Contraction{{Piece: fuse.Piece{Elems: 16000, DType: fuse.Float32}, View: v, Shift: make([]float64, 16), Lanes: make([]float64, fuse.NumLanes)}}
	for name, work := range map[string]func() error{
		"Scale":    func() error { return e.Scale(s, segments) },
		"Contract": func() error { return e.Contract(s, sums) },
	} {
		n := testing.AllocsPerRun(10, func() {
			if err := work(); err != nil {
				t.Fatal(err)
			}
		})
		if n > inBinding {
			t.Errorf("%s: %v allocations a call, where the binding makes %d", name, n, inBinding)
		}
	}
}
