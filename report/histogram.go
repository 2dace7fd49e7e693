package report

import (
	"math"
	"slices"
)

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

// Scales outside of these bounds stand out in the page.
const (
	deadBelow = -40 // a bin: |scale| < 2⁻²⁰
	hugeFrom  = 14  // a bin: |scale| ≥ 2⁷. A norm whose variance is 0 and epsilon 1e-5 has a scale of 316·γ
)

// Dead is the number of channels whose scale is all but zero, less than 2⁻²⁰: what the layer computes there
// is lost, and only the norm's shift remains.
func (h *Histogram) Dead() int {
	if h == nil {
		return 0
	}
	n := h.Zero
	for i, c := range h.Counts {
		if h.First+i < deadBelow {
			n += c
		}
	}
	return n
}

// Huge is the number of channels whose scale is 2⁷ or more, as of a norm that has hardly seen variance.
func (h *Histogram) Huge() int {
	n := 0
	if h == nil {
		return 0
	}
	for i, c := range h.Counts {
		if h.First+i >= hugeFrom {
			n += c
		}
	}
	return n
}

// add counts another histogram's channels too.
func (h *Histogram) add(other *Histogram) {
	if other == nil {
		return
	}
	h.Zero += other.Zero
	if len(other.Counts) == 0 {
		return
	}
	if len(h.Counts) == 0 {
		h.First = other.First
	}
	first := min(h.First, other.First)
	end := max(h.First+len(h.Counts), other.First+len(other.Counts))
	sum := make([]int, end-first)
	copy(sum[h.First-first:], h.Counts)
	for i, c := range other.Counts {
		sum[other.First+i-first] += c
	}
	h.First, h.Counts = first, sum
}

// valid reports whether newHistogram could have made the histogram.
func (h *Histogram) valid() bool {
	possible := func(n int) bool { return n >= 0 && n <= math.MaxInt32 } // sums of many stay in their range
	if !possible(h.Zero) || h.First < minBin || len(h.Counts) > maxBin-h.First+1 {
		return false
	}
	return !slices.ContainsFunc(h.Counts, func(n int) bool { return !possible(n) })
}
