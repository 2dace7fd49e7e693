package host

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

var dtypes = []fuse.DType{fuse.Float64, fuse.Float32, fuse.Float16, fuse.BFloat16}

// same scales one copy of the slab by the engine and one by the reference, and compares bytes and counts.
func same(t *testing.T, e *Engine, slab []byte, segments []fuse.Segment) {
	t.Helper()
	want := bytes.Clone(slab)
	wantSegments := append([]fuse.Segment(nil), segments...)
	for i := range wantSegments {
		ReferenceScale(want, &wantSegments[i])
	}
	got := bytes.Clone(slab)
	if err := e.Scale(Wrap(got), segments); err != nil {
		t.Fatal(err)
	}
	for i, seg := range segments {
		w := &wantSegments[i]
		if seg.Overflows != w.Overflows || seg.Vanished != w.Vanished {
			t.Errorf("segment %d (%v, after %v, before %v): %d overflows and %d vanished, want %d and %d", i, seg.DType,
				seg.After.View, seg.Before.View, seg.Overflows, seg.Vanished, w.Overflows, w.Vanished)
		}
		size := seg.DType.Size()
		shown := 0
		for j := range seg.Elems {
			at := seg.Offset + j*size
			if g, w := got[at:at+size], want[at:at+size]; !bytes.Equal(g, w) && shown < 5 {
				shown++
				t.Errorf("segment %d (%v, after %v, before %v) element %d: % x (%v) became % x (%v), want % x (%v)", i, seg.DType,
					seg.After.View, seg.Before.View, seg.First+j, slab[at:at+size], elem.Load(seg.DType, slab[at:]),
					g, elem.Load(seg.DType, g), w, elem.Load(seg.DType, w))
			}
		}
	}
	if !t.Failed() && !bytes.Equal(got, want) {
		t.Error("bytes outside the segments changed")
	}
}

// randomWeight draws a weight of one of the sorts that matter.
func randomBits(r *rand.Rand, dt fuse.DType) []byte {
	var b [8]byte
	switch r.IntN(40) {
	case 0: // any bits: infinities, NaNs, subnormals
		binary.LittleEndian.PutUint64(b[:], r.Uint64())
	case 1: // zeros
		elem.Store(dt, b[:], math.Copysign(0, float64(r.IntN(2))-0.5))
	default:
		elem.Store(dt, b[:], r.NormFloat64()*0.05)
	}
	return b[:dt.Size()]
}

func randomScale(r *rand.Rand) float64 {
	switch r.IntN(12) {
	case 0:
		return 0
	case 1:
		return math.Ldexp(1, r.IntN(20)-10)
	case 2:
		return float64(r.IntN(64)-32) / 8
	case 3:
		return r.NormFloat64() * math.Ldexp(1, r.IntN(300)-150)
	}
	return r.NormFloat64()
}

func TestScaleEqualsReference(t *testing.T) {
	e := New()
	r := rand.New(rand.NewPCG(1, 1))
	views := []fuse.View{
		{1, 1, 1, 1}, {1, 1, 5, 1}, {1, 7, 5, 1}, {1, 3, 100, 1}, {1, 1, 33, 9}, {3, 4, 5, 9}, {1, 1, 17, 49}, {4, 3, 1, 9},
		{1, 1, 6, 147}, {1, 1, 5, 576}, {2, 3, 2, 600}, {1, 9, 700, 1}, {1, 1, 3, 4608}, {5, 1, 3, 3}, {2, 2, 1, 300}, {1, 40, 10, 1}, {2, 50, 16, 1}, {1, 200, 1, 1},
	}
	for _, dt := range dtypes {
		for _, v := range views {
			for range 4 {
				elems := v.Elems()
				first := r.IntN(elems)
				if r.IntN(2) == 0 {
					first = 0
				}
				n := elems - first
				slab := make([]byte, 0, n*8+64)
				for range n {
					slab = append(slab, randomBits(r, dt)...)
				}
				s := make([]float64, v.NumChannels())
				for i := range s {
					s[i] = randomScale(r)
				}
				seg := fuse.Segment{Piece: fuse.Piece{Elems: n, First: first, DType: dt}, After: fuse.Factor{View: v, Scale: s}}
				same(t, e, slab, []fuse.Segment{seg})
				if t.Failed() {
					return
				}
			}
		}
	}
}
