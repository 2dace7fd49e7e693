package half

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/x448/float16"
)

// kind is one of the two types, with its constants written out a second time.
type kind struct {
	name   string
	widen  func(uint16) float64
	narrow func(float64) uint16
	inf    uint16
	nan    uint16
	past   float64 // what the pattern of infinity would be worth as a number: one step past the largest
}

var kinds = []kind{
	{"float16", Float16ToFloat64, Float64ToFloat16, 0x7c00, 0x7e00, 0x1p16},
	{"bfloat16", BFloat16ToFloat64, Float64ToBFloat16, 0x7f80, 0x7fc0, 0x1p128},
}

// value is the exact value of the non-negative finite pattern h, or of the step past the largest.
func (k kind) value(h uint16) float64 {
	if h == k.inf {
		return k.past
	}
	return k.widen(h)
}

// nearest rounds by the definition: find the neighbours of |x|, compare with the point halfway (exact
// in float64), take the even one on a tie.
func (k kind) nearest(x float64) uint16 {
	var sign uint16
	if math.Signbit(x) {
		sign = 1 << 15
	}
	a := math.Abs(x)
	if a >= k.past {
		return sign | k.inf
	}
	hi := uint16(sort.Search(int(k.inf), func(h int) bool { return k.value(uint16(h)) > a }))
	lo := hi - 1
	mid := (k.value(lo) + k.value(hi)) / 2
	switch {
	case a < mid || a == mid && lo&1 == 0:
		return sign | lo
	default:
		return sign | hi
	}
}

func TestFloat16WidensLikeX448(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got, want := Float16ToFloat64(h), float64(float16.Frombits(h).Float32())
		if math.IsNaN(want) {
			if !math.IsNaN(got) || math.Signbit(got) != math.Signbit(want) {
				t.Fatalf("%#04x: got %v, want a NaN of its sign", h, got)
			}
		} else if math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%#04x: got %v, want %v", h, got, want)
		}
	}
}

func TestBFloat16IsTheUpperHalfOfFloat32(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got, want := BFloat16ToFloat64(h), float64(math.Float32frombits(uint32(h)<<16))
		if math.IsNaN(want) {
			if !math.IsNaN(got) || math.Signbit(got) != math.Signbit(want) {
				t.Fatalf("%#04x: got %v, want a NaN of its sign", h, got)
			}
		} else if math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%#04x: got %v, want %v", h, got, want)
		}
	}
}

// x448 rounds from float32, so only numbers that are exact there can be compared.
func TestFloat16NarrowsLikeX448(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1 << 20 {
		f := math.Float32frombits(r.Uint32())
		if f != f {
			continue
		}
		if got, want := Float64ToFloat16(float64(f)), float16.Fromfloat32(f).Bits(); got != want {
			t.Fatalf("%v: got %#04x, want %#04x", f, got, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, k := range kinds {
		for i := range 1 << 16 {
			h := uint16(i)
			want := h
			if h&^(1<<15) > k.inf {
				want = k.nan // every NaN becomes the one
			}
			if got := k.narrow(k.widen(h)); got != want {
				t.Fatalf("%s: %#04x came back as %#04x", k.name, h, got)
			}
		}
	}
}

// The point halfway between two neighbours goes to the even one; one float64 step to either side of it
// does not. A conversion through float32 fails here.
func TestTies(t *testing.T) {
	for _, k := range kinds {
		for h := uint16(0); h < k.inf; h++ {
			mid := (k.value(h) + k.value(h+1)) / 2
			even := h + h&1
			for _, c := range []struct {
				x    float64
				want uint16
			}{
				{mid, even},
				{math.Nextafter(mid, 0), h},
				{math.Nextafter(mid, math.Inf(1)), h + 1},
			} {
				if got := k.narrow(c.x); got != c.want {
					t.Fatalf("%s: %v gave %#04x, want %#04x", k.name, c.x, got, c.want)
				}
				if got := k.narrow(-c.x); got != 1<<15|c.want {
					t.Fatalf("%s: %v gave %#04x, want %#04x", k.name, -c.x, got, 1<<15|c.want)
				}
			}
		}
	}
}

func TestNarrowIsNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, k := range kinds {
		for range 200_000 {
			// An exponent a little wider than the type's range, any mantissa, often a short one.
			exp := r.IntN(300) - 150
			mant := 1 + float64(r.Uint64()>>12>>(r.IntN(52)))*0x1p-52
			x := math.Ldexp(mant, exp)
			if r.IntN(2) == 0 {
				x = -x
			}
			if got, want := k.narrow(x), k.nearest(x); got != want {
				t.Fatalf("%s: %v (%x) gave %#04x, want %#04x", k.name, x, x, got, want)
			}
		}
	}
}

func TestNarrowSpecials(t *testing.T) {
	for _, k := range kinds {
		for _, c := range []struct {
			x    float64
			want uint16
		}{
			{0, 0},
			{math.Copysign(0, -1), 1 << 15},
			{math.Inf(1), k.inf},
			{math.Inf(-1), 1<<15 | k.inf},
			{math.NaN(), k.nan},
			{math.Float64frombits(0xfff8_0000_0000_0001), k.nan}, // a negative NaN with a payload
			{math.Float64frombits(0x7ff0_0000_0000_0001), k.nan}, // a signalling one
			{math.MaxFloat64, k.inf},
			{math.SmallestNonzeroFloat64, 0},
			{-math.SmallestNonzeroFloat64, 1 << 15},
		} {
			if got := k.narrow(c.x); got != c.want {
				t.Errorf("%s: %v gave %#04x, want %#04x", k.name, c.x, got, c.want)
			}
		}
	}
}
