package fuse

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAffine(t *testing.T) {
	for _, c := range []struct {
		name string
		norm Norm
		want Affine
	}{
		{
			"the formula",
			Norm{Gamma: []float64{3, -6}, Beta: []float64{1, 2}, Mean: []float64{2, -4}, Var: []float64{3, 8}, Eps: 1},
			Affine{Scale: []float64{1.5, -2}, Shift: []float64{-2, -6}},
		},
		{
			"gamma defaults to 1 and beta to 0",
			Norm{Mean: []float64{3}, Var: []float64{3.75}, Eps: 0.25},
			Affine{Scale: []float64{0.5}, Shift: []float64{-1.5}},
		},
		{
			"a gamma of 0 leaves beta alone",
			Norm{Gamma: []float64{0}, Beta: []float64{7}, Mean: []float64{9}, Var: []float64{1}},
			Affine{Scale: []float64{0}, Shift: []float64{7}},
		},
		{
			"a negative variance that epsilon makes positive",
			Norm{Mean: []float64{1}, Var: []float64{-0.75}, Eps: 1},
			Affine{Scale: []float64{2}, Shift: []float64{-2}},
		},
		{
			"a neutral norm, as --keep-norms writes it",
			Norm{Gamma: []float64{1}, Beta: []float64{5}, Mean: []float64{0}, Var: []float64{1 - 1e-5}, Eps: 1e-5},
			Affine{Scale: []float64{1}, Shift: []float64{5}},
		},
		{"no channels", Norm{Mean: []float64{}, Var: []float64{}}, Affine{Scale: []float64{}, Shift: []float64{}}},
	} {
		got, err := c.norm.Affine()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// The operations are a division, not a product with a reciprocal, and a product that is rounded before it
// is subtracted. Each of these numbers comes out otherwise in another form.
func TestAffineBits(t *testing.T) {
	gamma, root, mean, beta := 3.0, 5.0, 1.125, 1.0
	n := Norm{Gamma: []float64{gamma}, Beta: []float64{beta}, Mean: []float64{mean}, Var: []float64{root * root}}
	a, err := n.Affine()
	if err != nil {
		t.Fatal(err)
	}
	s := a.Scale[0]
	if reciprocal := gamma * (1 / root); s != gamma/root || s == reciprocal {
		t.Errorf("scale %x, want %x and not %x", s, gamma/root, reciprocal)
	}
	product := float64(mean * s)
	if fused := math.FMA(-mean, s, beta); a.Shift[0] != beta-product || a.Shift[0] == fused {
		t.Errorf("shift %x, want %x and not %x", a.Shift[0], beta-product, fused)
	}
}

func TestAffineRefuses(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	one := []float64{1}
	for _, c := range []struct {
		name string
		norm Norm
		want Reason
	}{
		{"gamma too long", Norm{Gamma: []float64{1, 1}, Mean: one, Var: one}, ReasonChannels},
		{"beta too short", Norm{Beta: []float64{}, Mean: one, Var: one}, ReasonChannels},
		{"variance missing", Norm{Mean: one}, ReasonChannels},
		{"gamma NaN", Norm{Gamma: []float64{nan}, Mean: one, Var: one}, ReasonNotFinite},
		{"beta infinite", Norm{Beta: []float64{-inf}, Mean: one, Var: one}, ReasonNotFinite},
		{"mean infinite", Norm{Mean: []float64{inf}, Var: one}, ReasonNotFinite},
		{"variance NaN", Norm{Mean: one, Var: []float64{nan}}, ReasonNotFinite},
		{"variance infinite would give a scale of 0", Norm{Mean: one, Var: []float64{inf}}, ReasonNotFinite},
		{"epsilon NaN", Norm{Mean: one, Var: one, Eps: nan}, ReasonNotFinite},
		{"variance 0", Norm{Mean: one, Var: []float64{0}}, ReasonVariance},
		{"variance below −epsilon", Norm{Mean: one, Var: []float64{-1}, Eps: 0.5}, ReasonVariance},
		{"scale overflows", Norm{Gamma: []float64{math.MaxFloat64}, Mean: one, Var: []float64{0.25}}, ReasonNotFinite},
		{"shift overflows", Norm{Gamma: []float64{1e200}, Mean: []float64{1e200}, Var: one}, ReasonNotFinite},
		{"variance plus epsilon overflows", Norm{Mean: one, Var: []float64{math.MaxFloat64}, Eps: math.MaxFloat64}, ReasonNotFinite},
		{"the second channel", Norm{Mean: []float64{0, nan}, Var: []float64{1, 1}}, ReasonNotFinite},
	} {
		_, err := c.norm.Affine()
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Reason != c.want {
			t.Errorf("%s: %v, want the reason %q", c.name, err, c.want)
		}
	}
}

func TestThen(t *testing.T) {
	a := Affine{Scale: []float64{2, -1}, Shift: []float64{3, 4}}
	b := Affine{Scale: []float64{5, 0}, Shift: []float64{7, 8}}
	got, err := a.Then(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Affine{Scale: []float64{10, 0}, Shift: []float64{22, 8}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Affine{Scale: []float64{2, -1}, Shift: []float64{3, 4}}, a); diff != "" {
		t.Errorf("the first map changed:\n%s", diff)
	}
}

func TestThenRefuses(t *testing.T) {
	big := Affine{Scale: []float64{1e200}, Shift: []float64{1e200}}
	for _, c := range []struct {
		name string
		a, b Affine
		want Reason
	}{
		{"scale overflows", Affine{Scale: []float64{1e200}, Shift: []float64{0}}, big, ReasonNotFinite},
		{"shift overflows", Affine{Scale: []float64{1}, Shift: []float64{1e200}}, big, ReasonNotFinite},
		{"other channels", Affine{Scale: []float64{1, 1}, Shift: []float64{0, 0}}, big, ReasonChannels},
	} {
		_, err := c.a.Then(c.b)
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Reason != c.want {
			t.Errorf("%s: %v, want the reason %q", c.name, err, c.want)
		}
	}
}

func TestHasShift(t *testing.T) {
	if (Affine{Scale: []float64{1, 2}, Shift: []float64{0, math.Copysign(0, -1)}}).HasShift() {
		t.Error("zeros of both signs count as a shift")
	}
	if !(Affine{Scale: []float64{1, 2}, Shift: []float64{0, 1}}).HasShift() {
		t.Error("a shift of 1 does not count")
	}
}
