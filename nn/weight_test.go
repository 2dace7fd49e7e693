package nn

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"
)

// A NaN weight keeps its bits, and an infinite weight or bias is no reason to refuse.
func TestNonFiniteWeights(t *testing.T) {
	nan := math.Float32frombits(0x7fc01234)
	inf := float32(math.Inf(-1))
	conv := &Conv1d{
		Weight: backed([]int{2, 2, 1}, []float32{nan, 2, inf, 3}),
		Bias:   backed([]int{2}, []float32{inf, nan}),
	}
	vec := func(x ...float32) *tensor.Dense { return backed([]int{len(x)}, x) }
	norm := &BatchNorm1d{Gamma: vec(8, 0), Mean: vec(0, 0), Var: vec(1, 1)}
	if _, plan, err := FuseBN(NewSequential(conv, norm), Options{}); err != nil || len(plan.Steps) != 1 {
		t.Fatal(plan, err)
	}
	w, b := conv.Weight.Data().([]float32), conv.Bias.Data().([]float32)
	if math.Float32bits(w[0]) != 0x7fc01234 || w[1] != 16 || math.Float32bits(w[2]) != 0x7fc00000 || w[3] != 0 {
		t.Errorf("weights are %v (%#x)", w, math.Float32bits(w[2]))
	}
	if !math.IsInf(float64(b[0]), -1) || math.Float32bits(b[1]) != 0x7fc00000 {
		t.Errorf("biases are %v", b)
	}
}

// Tensors are read as their shapes say, however their elements lie, and are not written to.
func TestWeightsThatLieOtherwise(t *testing.T) {
	s := newSource(5)
	lay := map[string]func() *tensor.Dense{ // each gives [3, 2]
		"transposed": func() *tensor.Dense {
			d := s.dense(2, 3)
			if err := d.T(); err != nil {
				t.Fatal(err)
			}
			return d
		},
		"a slice of columns": func() *tensor.Dense {
			v, err := s.dense(3, 5).Slice(nil, tensor.S(1, 3))
			if err != nil {
				t.Fatal(err)
			}
			return v.(*tensor.Dense)
		},
		"a slice of rows": func() *tensor.Dense {
			v, err := s.dense(7, 2).Slice(tensor.S(2, 5))
			if err != nil {
				t.Fatal(err)
			}
			return v.(*tensor.Dense)
		},
		"column-major": func() *tensor.Dense {
			return tensor.New(tensor.WithShape(3, 2), tensor.AsFortran([]float64{1, 2, 3, 4, 5, 6}))
		},
	}
	for name, make := range lay {
		t.Run(name, func(t *testing.T) {
			w := make()
			before := slices.Clone(w.Data().([]float64))
			norm := BatchNorm1d(s.norm(3, true))
			out, _ := mustFuse(t, NewSequential(&Linear{Weight: w}, &norm), s.dense(4, 2), Options{})
			if !slices.Equal(before, w.Data().([]float64)) {
				t.Error("the tensor given was written to")
			}
			if out.(*Linear).Weight == w {
				t.Error("the weight was not folded")
			}
		})
	}
}

// A column-major tensor of one row has fewer strides than axes in gorgonia.
func TestShortStrides(t *testing.T) {
	for _, shape := range [][]int{{1, 1}, {3, 1}, {1, 3}} {
		x := []float64{5, 6, 7}[:product(shape)]
		d := tensor.New(tensor.WithShape(shape...), tensor.AsFortran(slices.Clone(x)))
		if got := mustValues(t, d); !slices.Equal(got, x) {
			t.Errorf("%v: got %v, want %v", shape, got, x)
		}
	}
}

// Two layers with one weight tensor: each has its own after the fold, and the shared one is as it was.
func TestSharedWeightTensor(t *testing.T) {
	s := newSource(6)
	w := s.dense(3, 3, 1, 1)
	before := mustValues(t, w)
	first, second, third := &Conv2d{Weight: w}, &Conv2d{Weight: w}, &Conv2d{Weight: w}
	m := NewSequential(first, s.norm2d(3), second, s.norm2d(3), third)
	_, plan := mustFuse(t, m, s.dense(2, 3, 4, 4), Options{})
	if len(plan.Steps) != 2 || third.Weight != w || first.Weight == w || first.Weight == second.Weight {
		t.Errorf("folded %d norms; the layers' weights do not lie apart", len(plan.Steps))
	}
	if !slices.Equal(mustValues(t, w), before) {
		t.Error("the shared weight was written to")
	}
}
