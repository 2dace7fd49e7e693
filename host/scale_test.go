package host

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

var dtypes = []fuse.DType{fuse.Float64, fuse.Float32, fuse.Float16, fuse.BFloat16}

// view writes a view without naming its four numbers.
func view(groups, outer, channels, inner int) fuse.View {
	return fuse.View{Groups: groups, Outer: outer, Channels: channels, Inner: inner}
}

// same scales one copy of the slab by the engine and one by the reference, and compares bytes and counts.
func same(t *testing.T, e *Engine, slab []byte, segments []fuse.Segment) {
	t.Helper()
	got, want := bytes.Clone(slab), bytes.Clone(slab)
	wantSegments := slices.Clone(segments)
	for i := range wantSegments {
		ReferenceScale(want, &wantSegments[i])
	}
	if err := e.Scale(Wrap(got), segments); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for i, seg := range segments {
		w := &wantSegments[i]
		about := fmt.Sprintf("segment %d (%v, after %v, before %v)", i, seg.DType, seg.After.View, seg.Before.View)
		if seg.Overflows != w.Overflows || seg.Vanished != w.Vanished {
			t.Errorf("%s: %d overflows and %d vanished, want %d and %d", about, seg.Overflows, seg.Vanished, w.Overflows, w.Vanished)
		}
		size := seg.DType.Size()
		for j := 0; j < seg.Elems && shown < 5; j++ {
			at := seg.Offset + j*size
			if g, w := got[at:at+size], want[at:at+size]; !bytes.Equal(g, w) {
				shown++
				t.Errorf("%s: element %d: % x (%v) became % x (%v), want % x (%v)", about, seg.First+j,
					slab[at:at+size], elem.Load(seg.DType, slab[at:]), g, elem.Load(seg.DType, g), w, elem.Load(seg.DType, w))
			}
		}
	}
	if !t.Failed() && !bytes.Equal(got, want) {
		t.Error("bytes outside the segments changed")
	}
}

// randomWeights are mostly as a trained layer has them, with zeros and any other bits among them.
func randomWeights(r *rand.Rand, dt fuse.DType, n int) []byte {
	b := make([]byte, n*dt.Size()+8)
	for i := range n {
		switch at := b[i*dt.Size():]; r.IntN(100) {
		case 0:
			binary.LittleEndian.PutUint64(at, r.Uint64())
		case 1:
			elem.Store(dt, at, math.Copysign(0, float64(r.IntN(2))-0.5))
		default:
			elem.Store(dt, at, r.NormFloat64()*0.05)
		}
	}
	return b[:n*dt.Size()]
}

// randomScale is mostly an ordinary scale, and now and then zero, short (for ties), or of any size.
func randomScale(r *rand.Rand) float64 {
	switch r.IntN(20) {
	case 0:
		return 0
	case 1:
		return math.Ldexp(1, r.IntN(20)-10)
	case 2:
		return float64(r.IntN(64)-32) / 8
	case 3:
		return math.Ldexp(r.NormFloat64(), r.IntN(400)-200)
	}
	return r.NormFloat64()
}

func TestScaleEqualsReference(t *testing.T) {
	e := New()
	r := rand.New(rand.NewPCG(1, 1))
	views := []fuse.View{
		view(1, 1, 1, 1), view(1, 1, 5, 1), view(1, 7, 5, 1), view(1, 3, 100, 1), view(1, 1, 33, 9), view(3, 4, 5, 9),
		view(1, 1, 17, 49), view(4, 3, 1, 9), view(1, 1, 6, 147), view(1, 1, 5, 576), view(2, 3, 2, 600), view(1, 9, 1700, 1),
		view(1, 1, 3, 4608), view(5, 1, 3, 3), view(2, 2, 1, 300), view(1, 40, 10, 1), view(2, 50, 16, 1), view(1, 200, 1, 1),
		view(1, 2, 30, 191), view(1, 2, 30, 192), view(1, 1, 2000, 3), view(1, 4, 8, 191), view(1, 4, 8, 192), view(1, 8, 4, 192),
	}
	for _, dt := range dtypes {
		for _, v := range views {
			for range 6 {
				first := 0
				if r.IntN(2) == 0 {
					first = r.IntN(v.Elems())
				}
				n := r.IntN(v.Elems()-first) + 1
				f := fuse.Factor{View: v}
				for range v.NumChannels() {
					f.Scale = append(f.Scale, randomScale(r))
				}
				same(t, e, randomWeights(r, dt, n), []fuse.Segment{{Piece: fuse.Piece{Elems: n, First: first, DType: dt}, After: f}})
				if t.Failed() {
					return
				}
			}
		}
	}
}

// Runs of every length that a table holds and some longer ones, of plain weights and of many zeros among them,
// entered and left anywhere.
func TestEveryInner(t *testing.T) {
	e := New()
	r := rand.New(rand.NewPCG(4, 4))
	for i := 2; i <= uniformMin+40; i++ {
		inner := i
		if inner > uniformMin+8 {
			inner += r.IntN(3000)
		}
		for _, dt := range dtypes {
			channels := 2 + r.IntN(300+1000/inner)
			v := view(1, 1+r.IntN(2), channels, inner)
			first := r.IntN(v.Elems() - 1)
			n := min(v.Elems()-first, 1+r.IntN(6000))
			weights := ordinaryWeights(r, dt, n)
			scales := make([]float64, channels)
			for i := range scales {
				scales[i] = 0.5 + r.Float64()
			}
			segments := []fuse.Segment{{Piece: fuse.Piece{Elems: n, First: first, DType: dt}, After: fuse.Factor{View: v, Scale: scales}}}
			same(t, e, weights, segments)

			for range n / 100 {
				copy(weights[r.IntN(n)*dt.Size():], randomWeights(r, dt, 1))
				scales[r.IntN(channels)] = randomScale(r)
			}
			zeros := r.IntN(n)
			clear(weights[zeros*dt.Size() : min(zeros+500, n)*dt.Size()])
			same(t, e, weights, segments)
			if t.Failed() {
				return
			}
		}
	}
}

// All 65,536 weights of the half types, each by many scales: by one scale at a time, and by all in turn, also a run
// of weights each.
func TestEveryHalf(t *testing.T) {
	e := New()
	r := rand.New(rand.NewPCG(2, 2))
	weights := make([]byte, 2<<16)
	for i := range 1 << 16 {
		binary.LittleEndian.PutUint16(weights[2*i:], uint16(i))
	}
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	for _, dt := range []fuse.DType{fuse.Float16, fuse.BFloat16} {
		scales := []float64{1.5, 0.3, 65504, 0x1p-14, 0x1p-24 / 3, 0x1p-126, 0x1.fffffep-127, 0x1p-149, 0x1p-151, 0x1p127, 0x1.ffffffp127, -0x1p128}
		for range rounds {
			// One scale makes a tie of one weight, the next is a float64 step beside it.
			w := math.Abs(elem.Load(dt, weights[2*r.IntN(0x7c00):]))
			low := []int{r.IntN(0x7b00), 0x3ff, 0x7f}[r.IntN(3)] // the last two are beside the smallest normal numbers
			tie := (elem.Load(dt, weights[2*low:]) + elem.Load(dt, weights[2*low+2:])) / 2
			if s := tie / w; w != 0 && s-s == 0 {
				scales = append(scales, s, math.Nextafter(s, 0), -math.Nextafter(s, math.MaxFloat64))
			}
			scales = append(scales, randomScale(r), r.NormFloat64()*0.01)
		}
		for _, s := range scales {
			same(t, e, weights, []fuse.Segment{{Piece: fuse.Piece{Elems: 1 << 16, DType: dt}, After: fuse.Factor{View: view(1, 1, 1, 1<<16), Scale: []float64{s}}}})
			if t.Failed() {
				t.Fatalf("by %v (%x)", s, s)
			}
		}
		// A number of channels that is odd meets every weight with every scale, in as many rounds.
		if len(scales)%2 == 0 {
			scales = scales[1:]
		}
		rows := 1 << 16 / len(scales)
		for range min(len(scales), rounds) {
			slices.Reverse(scales[:r.IntN(len(scales))])
			same(t, e, weights[:2*rows*len(scales)], []fuse.Segment{{Piece: fuse.Piece{Elems: rows * len(scales), DType: dt}, Before: fuse.Factor{View: view(1, rows, len(scales), 1), Scale: scales}}})
			same(t, e, weights[:2*rows*len(scales)], []fuse.Segment{{Piece: fuse.Piece{Elems: rows / 7 * 7 * len(scales), DType: dt}, Before: fuse.Factor{View: view(1, rows/7, len(scales), 7), Scale: scales}}})
			if t.Failed() {
				return
			}
		}
	}
}

// Ties of float32, which its products in float64 reach exactly or miss by one step.
func TestFloat32Ties(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	const n = 1 << 14
	weights := make([]byte, 4*n)
	scales := make([]float64, n)
	for i := range n {
		w := math.Float32frombits(uint32(r.IntN(1<<24)) + 120<<23)
		low := math.Float32frombits(uint32(r.IntN(0x7f7fffff)))
		elem.Store(fuse.Float32, weights[4*i:], float64(w))
		tie := (float64(low) + float64(math.Nextafter32(low, math.MaxFloat32))) / 2
		s := tie / float64(w)
		scales[i] = [...]float64{s, math.Nextafter(s, 0), math.Nextafter(s, math.MaxFloat64)}[i%3]
	}
	same(t, New(), weights, []fuse.Segment{{Piece: fuse.Piece{Elems: n, DType: fuse.Float32}, After: fuse.Factor{View: view(1, 1, n, 1), Scale: scales}}})
}

// The bounds that wideQuickF32 puts around a product are wide enough: now and then a product is beside a tie, by what
// a float64 hardly tells up to more than the bounds, and of any size.
func TestFloat32Bounds(t *testing.T) {
	e := New()
	r := rand.New(rand.NewPCG(5, 5))
	for _, inner := range []int{1, 9, 300} {
		n := 1 << 21 / inner * inner
		weights := ordinaryWeights(r, fuse.Float32, n)
		scales := make([]float64, n/inner)
		for c := range scales {
			scales[c] = 0.5 + r.Float64()
		}
		for i := 0; i < n; i += max(256, inner) { // not in every block, for quick functions to try the next
			w := math.Float32frombits(uint32(r.IntN(1<<23) + 120<<23))
			low := math.Float32frombits(uint32(r.IntN(1<<23) + (120+r.IntN(4))<<23))
			if i > n/2 && r.IntN(400) == 0 { // one of an odd size has a whole table done exactly
				w = math.Float32frombits(uint32(r.IntN(0x7f7fffff)))
				low = math.Float32frombits(uint32(r.IntN(0x7f7fffff)))
			}
			tie := (float64(low) + float64(math.Nextafter32(low, math.MaxFloat32))) / 2
			scales[i/inner] = tie / float64(w) * (1 + r.NormFloat64()*math.Ldexp(1, -42-r.IntN(10)))
			elem.Store(fuse.Float32, weights[4*i:], float64(w))
		}
		same(t, e, weights, []fuse.Segment{{Piece: fuse.Piece{Elems: n, DType: fuse.Float32}, After: fuse.Factor{View: view(1, 1, len(scales), inner), Scale: scales}}})
	}
}

// The bounds that quickF16 puts around a product are wide enough: for every weight in [1, 2) and every
// tie in [1, 2) the scale that makes the product just miss the tie, from below and from above. Both
// roundings of quickF16 then go the wrong way somewhere.
func TestFloat16Bounds(t *testing.T) {
	const mant = 1 << 10
	step := 1
	if testing.Short() {
		step = 16
	}
	e := New()
	for w := 0; w < mant; w += step {
		weights := make([]byte, 2*2*mant)
		var scales []float64
		for m := range mant {
			s := (1 + float64(2*m+1)/(2*mant)) / (1 + float64(w)/mant)
			scales = append(scales, math.Nextafter(s, 0), math.Nextafter(s, 2))
		}
		for i := range scales {
			binary.LittleEndian.PutUint16(weights[2*i:], uint16(15<<10+w))
		}
		same(t, e, weights, []fuse.Segment{{Piece: fuse.Piece{Elems: len(scales), DType: fuse.Float16}, After: fuse.Factor{View: view(1, 1, len(scales), 1), Scale: scales}}})
		if t.Failed() {
			return
		}
	}
}
