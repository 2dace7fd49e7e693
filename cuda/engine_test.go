//go:build cuda && cgo

package cuda

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
)

func open(t testing.TB) *Engine {
	t.Helper()
	e, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func newSlab(t testing.TB, e *Engine, nBytes int) fuse.Slab {
	t.Helper()
	s, err := e.NewSlab(nBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Free(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func randomBits(r *rand.Rand, b []byte) {
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
}

func randomView(r *rand.Rand) fuse.View {
	return fuse.View{Groups: 1 + r.IntN(3), Outer: 1 + r.IntN(3), Channels: 1 + r.IntN(9), Inner: 1 + r.IntN(20)}
}

func randomScales(r *rand.Rand, n int) []float64 {
	s := make([]float64, n)
	for i := range s {
		if s[i] = r.NormFloat64() * math.Exp(3*r.NormFloat64()); r.IntN(5) == 0 {
			s[i] = 0
		}
	}
	return s
}

// Random bits hold every kind of weight: NaN, infinite, subnormal. The shared table has the named cases;
// this finds views and positions nobody thought of.
func TestRandomSegmentsAreTheHosts(t *testing.T) {
	e := open(t)
	r := rand.New(rand.NewPCG(1, 2))
	s := newSlab(t, e, 1<<16)
	for range 100 {
		randomBits(r, s.Bytes())
		var segments []fuse.Segment
		for offset := 0; offset < len(s.Bytes()); {
			v := randomView(r)
			p := fuse.Piece{Offset: offset, First: r.IntN(v.Elems()), DType: fuse.DType(1 + r.IntN(4))}
			p.Elems = min(1+r.IntN(v.Elems()-p.First), (len(s.Bytes())-offset)/p.DType.Size())
			seg := fuse.Segment{Piece: p}
			if r.IntN(4) > 0 {
				seg.After = fuse.Factor{View: v, Scale: randomScales(r, v.NumChannels())}
			}
			if r.IntN(2) > 0 {
				v := fuse.View{Groups: 1, Outer: v.Groups, Channels: v.Outer, Inner: v.Channels * v.Inner}
				seg.Before = fuse.Factor{View: v, Scale: randomScales(r, v.NumChannels())}
			}
			segments = append(segments, seg)
			offset += (p.Elems*p.DType.Size() + 15) / 16 * 16
			offset += 16 * r.IntN(3)
		}
		want, wantSegments := bytes.Clone(s.Bytes()), slices.Clone(segments)
		for i := range wantSegments {
			host.ReferenceScale(want, &wantSegments[i])
		}
		if err := e.Scale(s, segments); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.Bytes(), want) {
			t.Fatal("the slab differs from the host's")
		}
		for i, got := range segments {
			if w := wantSegments[i]; got.Overflows != w.Overflows || got.Vanished != w.Vanished {
				t.Fatalf("%+v: %d overflows, %d vanished; want %d, %d", got.Piece, got.Overflows, got.Vanished, w.Overflows, w.Vanished)
			}
		}
	}
}

// A tensor in two pieces in one slab: an output on their border takes both, in order.
func TestRandomContractionsAreTheHosts(t *testing.T) {
	e := open(t)
	r := rand.New(rand.NewPCG(3, 4))
	s := newSlab(t, e, 1<<16)
	for range 200 {
		v := randomView(r)
		c := fuse.Contraction{View: v, Piece: fuse.Piece{DType: fuse.DType(1 + r.IntN(4))}}
		outputs := v.Groups * v.Outer
		if r.IntN(2) == 0 {
			c.View = fuse.View{Groups: 1, Outer: 1, Channels: v.Groups * v.Outer * v.Channels, Inner: v.Inner}
			c.PerInner, outputs = true, v.Inner
		}
		n := v.Elems()
		randomBits(r, s.Bytes())
		c.Shift = randomScales(r, c.View.NumChannels())
		c.Lanes = randomScales(r, outputs*fuse.NumLanes)
		first, second := c, c
		first.Elems = r.IntN(n + 1)
		second.First, second.Elems = first.Elems, n-first.Elems
		second.Offset = 1 << 15
		want := slices.Clone(c.Lanes)
		for _, part := range []fuse.Contraction{first, second} {
			part.Lanes = want
			host.ReferenceContract(s.Bytes(), &part)
		}
		before := bytes.Clone(s.Bytes())
		if err := e.Contract(s, []fuse.Contraction{first, second}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.Bytes(), before) {
			t.Fatal("Contract changed the slab")
		}
		for i, got := range c.Lanes {
			if math.Float64bits(got) != math.Float64bits(want[i]) && !(math.IsNaN(got) && math.IsNaN(want[i])) {
				t.Fatalf("view %+v, per inner %v: lane %d is %v, want %v", c.View, c.PerInner, i, got, want[i])
			}
		}
	}
}

func TestScaleRefusesWhatDoesNotFit(t *testing.T) {
	e := open(t)
	s := newSlab(t, e, 64)
	v := fuse.View{Groups: 1, Outer: 1, Channels: 4, Inner: 4}
	seg := fuse.Segment{Piece: fuse.Piece{Elems: 17, DType: fuse.Float32}, After: fuse.Factor{View: v, Scale: make([]float64, 4)}}
	err := e.Scale(s, []fuse.Segment{seg})
	if err == nil || err.Error() != "cuda:0: segment 0: 17 elements of float32 at offset 0 pass the slab's end (64)" {
		t.Error(err)
	}
	other, err := host.New().NewSlab(64)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Scale(other, nil); err == nil || !strings.Contains(err.Error(), "not this engine's") {
		t.Error(err)
	}
}

func TestCloseWantsSlabsFreed(t *testing.T) {
	e, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.NewSlab(16)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err == nil || err.Error() != "cuda:0: closed with 1 slabs not freed" {
		t.Error(err)
	}
	if err := s.Free(); err != nil {
		t.Error(err)
	}
	if err := s.Free(); err != nil {
		t.Error("freed twice:", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// A second Close does nothing: it must not take the context from another engine of the device.
func TestCloseTwice(t *testing.T) {
	other := open(t)
	e, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := e.NewSlab(16); err == nil || err.Error() != "cuda:0: the engine is closed" {
		t.Errorf("a slab of a closed engine: %v", err)
	}
	s := newSlab(t, other, 16)
	if err := other.Scale(s, []fuse.Segment{{Piece: fuse.Piece{Elems: 4, DType: fuse.Float32}}}); err != nil {
		t.Error(err)
	}
}

func TestOpenNamesTheDevicesThereAre(t *testing.T) {
	if _, err := Open(1000); err == nil || !strings.HasPrefix(err.Error(), "cuda: there is no cuda:1000: the driver sees ") {
		t.Error(err)
	}
}

func TestDevices(t *testing.T) {
	list, err := Devices()
	if err != nil {
		t.Fatal(err)
	}
	d := list[0]
	if d.Name != "cuda:0" || d.Model == "" || d.ComputeCapability == "" || d.MemoryBytes == 0 || d.Driver == "" {
		t.Errorf("%+v", d)
	}
}

// Every half with scales of every kind: the kernel multiplies eight at a time in float32, and does again
// what may have been rounded to the wrong side.
func TestEveryHalfIsTheHosts(t *testing.T) {
	e := open(t)
	r := rand.New(rand.NewPCG(5, 6))
	const n = 1 << 16
	s := newSlab(t, e, 2*n)
	scales := []float64{1, -1, 0.5, 3, 1.0 / 3, 0, math.Copysign(0, -1), 1 + 1.0/1024, 1 - 1.0/2048, 1.0009765625001, 65504, 1e-8, 5.960464477539063e-08,
		1e30, -1e-30, 1e38, 3.4e38, 1e39, 1e-38, 1e-45, 1e100, 1e-100, 1e300, 1e-300, 5e-324}
	for range 40 {
		scales = append(scales, r.NormFloat64(), math.Exp(20*r.NormFloat64()), float64(1+r.IntN(1<<11))/float64(1+r.IntN(1<<11)))
	}
	// Scales that bring some weight next to the middle between two halves. Just above 1, where a float is
	// coarsest for its size, and with weights just below a power of two, the float product is farthest off.
	for i := range 300 {
		width := 1 << (7 + 3*r.IntN(2)) // 2^M
		weight, middle := float64(width+r.IntN(width)), float64(width+r.IntN(width))+0.5
		if i%2 == 0 {
			weight = float64(2*width - 2 - r.IntN(20))
			middle = weight + 0.5
		}
		scales = append(scales, middle/weight*(1+(2*r.Float64()-1)/(1<<24)))
	}
	for _, dtype := range []fuse.DType{fuse.Float16, fuse.BFloat16} {
		for i, scale := range scales {
			for w := range n {
				binary.LittleEndian.PutUint16(s.Bytes()[2*w:], uint16(w))
			}
			view := fuse.View{Groups: 1, Outer: 1, Channels: 1, Inner: n}
			seg := fuse.Segment{Piece: fuse.Piece{Elems: n, DType: dtype}, After: fuse.Factor{View: view, Scale: []float64{scale}}}
			if i%3 == 2 {
				seg.Before = fuse.Factor{View: view, Scale: []float64{scales[len(scales)-1-i]}}
			}
			want, wantSeg := bytes.Clone(s.Bytes()), seg
			host.ReferenceScale(want, &wantSeg)
			got := []fuse.Segment{seg}
			if err := e.Scale(s, got); err != nil {
				t.Fatal(err)
			}
			for w := range n {
				if g, h := binary.LittleEndian.Uint16(s.Bytes()[2*w:]), binary.LittleEndian.Uint16(want[2*w:]); g != h {
					t.Fatalf("%v %#04x · %v · %v is %#04x, want %#04x", dtype, w, seg.After.Scale, seg.Before.Scale, g, h)
				}
			}
			if got[0].Overflows != wantSeg.Overflows || got[0].Vanished != wantSeg.Vanished {
				t.Fatalf("%v · %v: %d overflows, %d vanished, want %d, %d", dtype, scale, got[0].Overflows, got[0].Vanished, wantSeg.Overflows, wantSeg.Vanished)
			}
		}
	}
}
