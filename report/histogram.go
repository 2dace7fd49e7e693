package report

import "math"

// Histogram says how the scales of a folded norm are distributed: how many channels have which |scale|,
// in bins of half a power of two. Bin k holds 2^(k/2) ≤ |scale| < 2^((k+1)/2), so that bins 0 and 1 are
// the scales from 1 to 2. A channel whose scale is all but zero is dead; such channels, and huge gains,
// stand apart from the others.
type Histogram struct {
	Zero   int   `json:"zero,omitempty"` // channels whose scale is 0
	First  int   `json:"first"`          // the bin that Counts begins with
	Counts []int `json:"counts"`         // of bin First, First+1 and so on; neither end is 0
}

// The outermost bins, 2⁻⁴⁰ and 2⁴⁰, also hold everything beyond them. So a histogram is small whatever the scales.
const (
	minBin = -80
	maxBin = 80
)

// newHistogram counts scales; of none there is no histogram.
func newHistogram(scales []float64) *Histogram {
	if len(scales) == 0 {
		return nil
	}
	h := &Histogram{}
	var counts [maxBin - minBin + 1]int
	low, high := maxBin+1, minBin-1
	for _, s := range scales {
		if s == 0 {
			h.Zero++
			continue
		}
		k := bin(math.Abs(s))
		counts[k-minBin]++
		low, high = min(low, k), max(high, k)
	}
	if low <= high {
		h.First = low
		h.Counts = append(h.Counts, counts[low-minBin:high-minBin+1]...)
	} else {
		h.Counts = []int{} // all are zero
	}
	return h
}

// bin is ⌊2·log₂ s⌋ within the outermost bins. It is exact, and so the same on every machine, which
// math.Log2 is not.
func bin(s float64) int {
	fraction, exponent := math.Frexp(s) // s = fraction·2^exponent, and fraction is at least ½
	k := 2 * (exponent - 1)
	if fraction >= math.Sqrt2/2 {
		k++
	}
	return min(max(k, minBin), maxBin)
}

// valid reports whether newHistogram could have made the histogram.
func (h *Histogram) valid() bool {
	if h.Zero < 0 || h.First < minBin || len(h.Counts) > maxBin-h.First+1 {
		return false
	}
	for _, n := range h.Counts {
		if n < 0 {
			return false
		}
	}
	return true
}
