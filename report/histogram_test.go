package report

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHistogram(t *testing.T) {
	below := math.Nextafter(1, 0)
	for _, c := range []struct {
		why    string
		scales []float64
		want   *Histogram
	}{
		{"no channels", nil, nil},
		{"bins begin at powers of √2", []float64{below, 1, 1.4, 1.5, 1.99, 2}, &Histogram{First: -1, Counts: []int{1, 2, 2, 1}}},
		{"the sign does not matter", []float64{-1, 1, -1.2}, &Histogram{First: 0, Counts: []int{3}}},
		{"zeros are counted apart", []float64{0, 3, math.Copysign(0, -1)}, &Histogram{Zero: 2, First: 3, Counts: []int{1}}},
		{"nothing but zeros", []float64{0, 0}, &Histogram{Zero: 2, Counts: []int{}}},
		{"the outermost bins hold the rest", []float64{5e-324, 0x1p-60}, &Histogram{First: minBin, Counts: []int{2}}},
		{"also above", []float64{math.MaxFloat64, 0x1p40, 0x1.7p39}, &Histogram{First: 79, Counts: []int{1, 2}}},
	} {
		if diff := cmp.Diff(c.want, newHistogram(c.scales)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.why, diff)
		}
	}
}

// TestBinBounds: every bin begins where its doc says, to the last bit that a float64 of the bound can tell.
func TestBinBounds(t *testing.T) {
	for k := minBin + 1; k <= maxBin; k++ {
		bound := math.Ldexp(1, k>>1)
		if k&1 == 1 {
			bound *= math.Sqrt2
		}
		if got := bin(bound); got != k {
			t.Errorf("%v is in bin %d, want %d", bound, got, k)
		}
		if got := bin(math.Nextafter(bound, 0)); got != k-1 {
			t.Errorf("just below %v is in bin %d, want %d", bound, got, k-1)
		}
	}
}

func TestInvalidHistogram(t *testing.T) {
	for why, h := range map[string]Histogram{
		"negative zeros":  {Zero: -1},
		"begins too low":  {First: minBin - 1},
		"begins too high": {First: maxBin + 1, Counts: []int{1}},
		"ends too high":   {First: maxBin, Counts: []int{1, 1}},
		"negative count":  {Counts: []int{1, -1}},
		"huge count":      {Counts: []int{math.MaxInt}},
	} {
		if h.valid() {
			t.Errorf("%s: %+v is valid", why, h)
		}
	}
	if h := (Histogram{First: minBin, Counts: make([]int, maxBin-minBin+1)}); !h.valid() {
		t.Error("the widest is not valid")
	}
}
