package elem

import (
	"bytes"
	"math"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

func TestStoreLittleEndian(t *testing.T) {
	for _, c := range []struct {
		dt   fuse.DType
		x    float64
		want []byte
	}{
		{fuse.Float64, -1.5, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0xbf}},
		{fuse.Float32, -1.5, []byte{0, 0, 0xc0, 0xbf}},
		{fuse.Float16, -1.5, []byte{0x00, 0xbe}},
		{fuse.BFloat16, -1.5, []byte{0xc0, 0xbf}},
		{fuse.Float64, math.NaN(), []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}},
		{fuse.Float32, math.Float64frombits(0xfff8_0000_0000_0001), []byte{0, 0, 0xc0, 0x7f}},
		{fuse.Float16, math.NaN(), []byte{0x00, 0x7e}},
		{fuse.BFloat16, math.NaN(), []byte{0xc0, 0x7f}},
	} {
		got := Encode(c.dt, []float64{c.x})
		if !bytes.Equal(got, c.want) {
			t.Errorf("%v %v: got % x, want % x", c.dt, c.x, got, c.want)
		}
		if back := Decode(c.dt, got)[0]; back != c.x && !math.IsNaN(c.x) {
			t.Errorf("%v %v came back as %v", c.dt, c.x, back)
		}
	}
}

func TestDecodeLeavesAPartOfAnElement(t *testing.T) {
	if got := Decode(fuse.Float32, make([]byte, 11)); len(got) != 2 {
		t.Errorf("11 bytes of float32 hold %d elements, want 2", len(got))
	}
}

// Overflow begins halfway between the largest number and the next power of two; that point is a tie
// and goes to the even neighbour, infinity.
func TestOverflows(t *testing.T) {
	for _, c := range []struct {
		dt  fuse.DType
		mid float64
	}{
		{fuse.Float32, 0x1.ffffffp127},
		{fuse.Float16, 65520},
		{fuse.BFloat16, 0x1.ffp127},
	} {
		if !Overflows(c.dt, c.mid) || !Overflows(c.dt, -c.mid) {
			t.Errorf("%v: %v does not overflow", c.dt, c.mid)
		}
		if below := math.Nextafter(c.mid, 0); Overflows(c.dt, below) {
			t.Errorf("%v: %v overflows", c.dt, below)
		}
		if Overflows(c.dt, math.Inf(1)) || Overflows(c.dt, math.NaN()) {
			t.Errorf("%v: infinity or NaN counts as an overflow", c.dt)
		}
	}
	if Overflows(fuse.Float64, math.MaxFloat64) {
		t.Error("float64: its own largest number overflows")
	}
}
