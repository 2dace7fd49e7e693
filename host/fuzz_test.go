package host

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

// FuzzScale compares the fast forms with the reference on any weights, scales, views and pieces. sizes
// are Groups, Outer, Channels, Inner and First.
func FuzzScale(f *testing.F) {
	f.Add(byte(1), []byte{1, 2, 3, 4, 5}, []byte("sixteen bytes ok"), []byte("0123456789abcdef0123456789abcdef0123456789abcdef"))
	f.Add(byte(2), []byte{2, 2, 2, 9, 1}, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 1, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 600))
	f.Add(byte(3), []byte{1, 1, 7, 1, 0}, []byte{0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f}, []byte{0, 0x7c, 1, 0x7c, 0, 0x80, 1, 0, 0xff, 0x7b})
	f.Add(byte(4), []byte{1, 1, 1, 255, 9}, []byte{0, 0, 0, 0, 0, 0, 0xe0, 0x47}, []byte{0x80, 0x7f, 0x81, 0x7f, 0x7f, 0x7f, 1, 0})
	e := New()
	f.Fuzz(func(t *testing.T, dtype byte, sizes, scales, weights []byte) {
		dt := fuse.DType(dtype)
		if !dt.Valid() || len(sizes) < 5 {
			return
		}
		v := view(1+int(sizes[0])%8, 1+int(sizes[1]), 1+int(sizes[2]), 1+int(sizes[3])*3)
		first := int(sizes[4]) * 7 % v.Elems()
		n := min(len(weights)/dt.Size(), v.Elems()-first)
		factor := fuse.Factor{View: v, Scale: channelValues(v, scales)}
		seg := fuse.Segment{Piece: fuse.Piece{Elems: n, First: first, DType: dt}, After: factor}
		same(t, e, weights, []fuse.Segment{seg})
		seg.After, seg.Before = fuse.Factor{}, factor
		same(t, e, weights, []fuse.Segment{seg})
	})
}

// FuzzContract compares Contract with its reference.
func FuzzContract(f *testing.F) {
	f.Add(byte(1), false, []byte{1, 2, 3, 4, 5}, []byte("sixteen bytes ok"), []byte("0123456789abcdef0123456789abcdef0123456789abcdef"))
	f.Add(byte(2), true, []byte{1, 1, 40, 3, 1}, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 1, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 300))
	f.Add(byte(3), false, []byte{2, 2, 9, 9, 100}, []byte{0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f}, []byte{0, 0x7c, 1, 0x7c, 0, 0x80, 1, 0, 0xff, 0x7b})
	e := New()
	f.Fuzz(func(t *testing.T, dtype byte, perInner bool, sizes, shifts, weights []byte) {
		dt := fuse.DType(dtype)
		if !dt.Valid() || len(sizes) < 5 {
			return
		}
		v := view(1+int(sizes[0])%8, 1+int(sizes[1])%16, 1+int(sizes[2]), 1+int(sizes[3])%64)
		outputs := v.Groups * v.Outer
		if perInner {
			v.Groups, v.Outer, outputs = 1, 1, v.Inner
		}
		first := int(sizes[4]) * 7 % v.Elems()
		n := min(len(weights)/dt.Size(), v.Elems()-first)
		got := fuse.Contraction{Piece: fuse.Piece{Elems: n, First: first, DType: dt}, View: v, Shift: channelValues(v, shifts), PerInner: perInner, Lanes: make([]float64, outputs*fuse.NumLanes)}
		want := got
		want.Lanes = slices.Clone(got.Lanes)
		ReferenceContract(weights, &want)
		if err := e.Contract(Wrap(weights), []fuse.Contraction{got}); err != nil {
			t.Fatal(err)
		}
		for i := range want.Lanes {
			g, w := got.Lanes[i], want.Lanes[i]
			if math.Float64bits(g) != math.Float64bits(w) && !(math.IsNaN(g) && math.IsNaN(w)) {
				t.Fatalf("%v %v, per inner %v: output %d, lane %d: %v, want %v", dt, v, perInner, i/fuse.NumLanes, i%fuse.NumLanes, g, w)
			}
		}
	})
}

// channelValues makes a finite number for each channel of the view from bytes, over and over.
func channelValues(v fuse.View, b []byte) []float64 {
	s := make([]float64, v.NumChannels())
	for c := range s {
		var x [8]byte
		for i := range x {
			if len(b) > 0 {
				x[i] = b[(c*8+i)%len(b)]
			}
		}
		s[c] = math.Float64frombits(binary.LittleEndian.Uint64(x[:]))
		if s[c]-s[c] != 0 {
			s[c] = float64(x[0])
		}
	}
	return s
}
