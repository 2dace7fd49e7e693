package host

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/fuse/fusetest"
)

func TestEngine(t *testing.T) { fusetest.Run(t, New()) }

func TestSlabsAreAligned(t *testing.T) {
	e := New()
	for n := range 300 {
		s, err := e.NewSlab(n)
		if err != nil {
			t.Fatal(err)
		}
		b := s.Bytes()
		if len(b) != n || cap(b) != n {
			t.Fatalf("a slab of %d bytes has %d and room for %d", n, len(b), cap(b))
		}
		if n > 0 && uintptr(unsafe.Pointer(&b[0]))%slabAlign != 0 {
			t.Fatalf("a slab of %d bytes starts at %p", n, &b[0])
		}
	}
	if _, err := e.NewSlab(-1); err == nil {
		t.Error("a slab of −1 bytes is no error")
	}
}

// A wrapped slab may start anywhere.
func TestWrapUnaligned(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, dt := range dtypes {
		weights := randomWeights(r, dt, 1000)
		f := fuse.Factor{View: view(1, 1, 10, 100), Scale: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 1.1}}
		want := bytes.Clone(weights)
		ReferenceScale(want, &fuse.Segment{Piece: fuse.Piece{Elems: 1000, DType: dt}, After: f})
		for shift := range 17 {
			got := append(make([]byte, shift), weights...)
			if err := New().Scale(Wrap(got[shift:]), []fuse.Segment{{Piece: fuse.Piece{Elems: 1000, DType: dt}, After: f}}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got[shift:], want) {
				t.Fatalf("%v: wrong at an address shifted by %d", dt, shift)
			}
		}
	}
}

func TestErrorsNameTheSegment(t *testing.T) {
	slab := Wrap(make([]byte, 65536))
	good := fuse.Segment{Piece: fuse.Piece{Elems: 4, DType: fuse.Float32}, After: fuse.Factor{View: view(1, 1, 2, 2), Scale: []float64{1, 1}}}
	bad := good
	bad.Offset, bad.Elems = 65520, 1024
	short := good
	short.After.Scale = short.After.Scale[:1]
	for _, c := range []struct {
		segments []fuse.Segment
		want     string
	}{
		{[]fuse.Segment{good, good, good, bad}, "host: segment 3: 1024 elements of float32 at offset 65520 pass the slab's end (65536)"},
		{[]fuse.Segment{short}, "host: segment 0: after: 1 values for the 2 channels of view [1 1 2 2]"},
	} {
		err := New().Scale(slab, c.segments)
		if err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
	lanes := fuse.Contraction{Piece: good.Piece, View: view(1, 2, 2, 1), Shift: []float64{1, 1}, Lanes: make([]float64, 32)}
	err := New().Contract(slab, []fuse.Contraction{lanes})
	if want := "host: contraction 0: 32 lanes for 2 outputs (groups and outer), which need 32 each"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// A freed slab has no bytes, so using it is an error and not a fault.
func TestFreedSlab(t *testing.T) {
	e := New()
	s, err := e.NewSlab(64)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Free(); err != nil {
		t.Fatal(err)
	}
	err = e.Scale(s, []fuse.Segment{{Piece: fuse.Piece{Elems: 4, DType: fuse.Float32}}})
	if err == nil || !strings.Contains(err.Error(), "pass the slab's end (0)") {
		t.Errorf("scaling a freed slab: %v", err)
	}
}

// Once it is warm an engine allocates nothing, be the slab small or shared out among the cores.
func TestNoAllocations(t *testing.T) {
	e := New()
	for _, channels := range []int{16, 4 * splitAbove / 4 / 1000} {
		v := view(1, 1, channels, 1000)
		seg := []fuse.Segment{{Piece: fuse.Piece{Elems: v.Elems(), DType: fuse.Float32}, After: fuse.Factor{View: v, Scale: make([]float64, channels)}}}
		slab := Wrap(make([]byte, v.Elems()*4))
		work := func() {
			if err := e.Scale(slab, seg); err != nil {
				t.Fatal(err)
			}
		}
		work()
		if n := testing.AllocsPerRun(10, work); n != 0 {
			t.Errorf("%d channels: %v allocations a call", channels, n)
		}
	}
}
