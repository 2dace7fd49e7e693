package fuse

import (
	"fmt"
	"math"
	"slices"
)

// Norm holds the inference parameters of a batch normalization, one value a channel.
// A nil Gamma means all ones and a nil Beta all zeros, as for a norm without affine parameters.
type Norm struct {
	Gamma, Beta []float64 // [C], or nil
	Mean, Var   []float64 // [C]
	Eps         float64
}

// Affine is the map y = Scale·x + Shift, one pair a channel.
type Affine struct {
	Scale, Shift []float64 // [C]
}

// Affine turns the norm into the map it computes at inference:
//
//	s = γ / √(σ² + ε)      t = β − (μ·s)
//
// The error is a [*Refusal] when the lengths disagree, a parameter is NaN or infinite, σ² + ε is not
// positive, or a result is not finite.
func (n Norm) Affine() (Affine, error) {
	c := len(n.Mean)
	if len(n.Var) != c || n.Gamma != nil && len(n.Gamma) != c || n.Beta != nil && len(n.Beta) != c {
		return Affine{}, refuse(ReasonChannels, "gamma, beta, mean and variance have %d, %d, %d and %d values",
			len(n.Gamma), len(n.Beta), len(n.Mean), len(n.Var))
	}
	a := Affine{Scale: make([]float64, c), Shift: make([]float64, c)}
	for i := range c {
		gamma, beta := 1.0, 0.0
		if n.Gamma != nil {
			gamma = n.Gamma[i]
		}
		if n.Beta != nil {
			beta = n.Beta[i]
		}
		s, t, err := affineChannel(gamma, beta, n.Mean[i], n.Var[i], n.Eps)
		if err != nil {
			err.Detail = fmt.Sprintf("channel %d: %s", i, err.Detail)
			return Affine{}, err
		}
		a.Scale[i], a.Shift[i] = s, t
	}
	return a, nil
}

func affineChannel(gamma, beta, mean, variance, eps float64) (s, t float64, err *Refusal) {
	if !finite(gamma) || !finite(beta) || !finite(mean) || !finite(variance) || !finite(eps) {
		return 0, 0, notFinite(gamma, beta, mean, variance, eps)
	}
	d := variance + eps
	if !finite(d) {
		return 0, 0, refuse(ReasonNotFinite, "variance %v + epsilon %v is %v", variance, eps, d)
	}
	if d <= 0 {
		return 0, 0, refuse(ReasonVariance, "variance %v + epsilon %v is not positive", variance, eps)
	}
	s = gamma / math.Sqrt(d)
	t = beta - float64(mean*s) // the conversion forbids a fused multiply-add
	if !finite(s) || !finite(t) {
		return 0, 0, refuse(ReasonNotFinite, "the norm is y = %v·x + %v", s, t)
	}
	return s, t, nil
}

// notFinite names the first parameter that is not.
func notFinite(gamma, beta, mean, variance, eps float64) *Refusal {
	for _, p := range [...]struct {
		name  string
		value float64
	}{{"gamma", gamma}, {"beta", beta}, {"mean", mean}, {"variance", variance}} {
		if !finite(p.value) {
			return refuse(ReasonNotFinite, "%s is %v", p.name, p.value)
		}
	}
	return refuse(ReasonNotFinite, "epsilon is %v", eps)
}

// Channels is the number of channels the map covers.
func (a Affine) Channels() int { return len(a.Scale) }

// Then composes a with the map that follows it:
//
//	next(a(x)) = (s₂·s₁)·x + ((s₂·t₁) + t₂)
//
// The error is a [*Refusal] when the channel counts disagree or a result is not finite.
func (a Affine) Then(next Affine) (Affine, error) {
	if a.Channels() != next.Channels() {
		return Affine{}, refuse(ReasonChannels, "a map over %d channels follows one over %d", next.Channels(), a.Channels())
	}
	out := Affine{Scale: make([]float64, len(a.Scale)), Shift: make([]float64, len(a.Scale))}
	for i := range out.Scale {
		s := next.Scale[i] * a.Scale[i]
		t := float64(next.Scale[i]*a.Shift[i]) + next.Shift[i]
		if !finite(s) || !finite(t) {
			return Affine{}, refuse(ReasonNotFinite, "channel %d: the composed map is y = %v·x + %v", i, s, t)
		}
		out.Scale[i], out.Shift[i] = s, t
	}
	return out, nil
}

// Repeat gives every channel n times in a row: the map over columns, where each channel was flattened to n.
func (a Affine) Repeat(n int) Affine {
	if n == 1 {
		return a
	}
	out := Affine{Scale: make([]float64, 0, n*len(a.Scale)), Shift: make([]float64, 0, n*len(a.Shift))}
	for c := range a.Scale {
		for range n {
			out.Scale, out.Shift = append(out.Scale, a.Scale[c]), append(out.Shift, a.Shift[c])
		}
	}
	return out
}

// Tile gives all channels n times over: the map over columns, where other axes were flattened in front of them.
func (a Affine) Tile(n int) Affine {
	if n == 1 {
		return a
	}
	return Affine{Scale: slices.Repeat(a.Scale, n), Shift: slices.Repeat(a.Shift, n)}
}

// HasShift reports whether any channel's shift is not zero.
func (a Affine) HasShift() bool {
	for _, t := range a.Shift {
		if t != 0 {
			return true
		}
	}
	return false
}

func finite(x float64) bool { return x-x == 0 } // ∞−∞ is NaN
