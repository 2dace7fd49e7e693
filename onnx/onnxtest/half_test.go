package onnxtest

import (
	"math"
	"testing"

	"github.com/x448/float16"
)

// Every half there is, both ways, against an independent conversion.
func TestHalfOfAllBits(t *testing.T) {
	for i := range 1 << 16 {
		bits := uint16(i)
		half, brain := float64(float16.Frombits(bits).Float32()), float64(math.Float32frombits(uint32(bits)<<16))
		checkHalf(t, "float16", bits, Float16, half)
		checkHalf(t, "bfloat16", bits, BFloat16, brain)
	}
}

func checkHalf(t *testing.T, name string, bits uint16, elem ElemType, want float64) {
	t.Helper()
	got := elem.value(uint64(bits))
	if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
		t.Fatalf("%s %#04x is %v, want %v", name, bits, got, want)
	}
	if back := elem.bits(got); back != uint64(bits) && !math.IsNaN(got) {
		t.Fatalf("%s %v becomes %#04x, want %#04x", name, got, back, bits)
	}
}

// Between two halves the nearer one is taken, and of two equally near the even one.
func TestHalfRounds(t *testing.T) {
	for i := range 0x7c00 {
		low, high := Float16.value(uint64(i)), Float16.value(uint64(i+1))
		if i+1 == 0x7c00 {
			high = 65536 // what would come next, if it were not infinity
		}
		middle, even := (low+high)/2, uint64(i+i%2)
		for _, c := range []struct {
			x    float64
			want uint64
		}{
			{math.Nextafter(middle, 0), uint64(i)}, {middle, even}, {math.Nextafter(middle, math.Inf(1)), uint64(i + 1)},
		} {
			if got := Float16.bits(c.x); got != c.want {
				t.Fatalf("%v becomes %#04x, want %#04x", c.x, got, c.want)
			}
			if got := Float16.bits(-c.x); got != c.want|0x8000 {
				t.Fatalf("%v becomes %#04x, want %#04x", -c.x, got, c.want|0x8000)
			}
		}
	}
}
