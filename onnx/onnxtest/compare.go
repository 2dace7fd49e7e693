package onnxtest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Compare evaluates both models on the same inputs, nil for RandomInputs with bools both true and
// false, and on the same values for every initializer that is a graph input and so can be overridden. Outputs may differ by what
// rounding the weights once to the coarsest type in the first model can make of them:
//
//	|got − want| ≤ tolerance · (1 + max |want|)
//
// with the maximum over the output. The models' external tensors must have been loaded.
func Compare(before, after *Model, inputs map[string]Array) error {
	if inputs == nil {
		return errors.Join(
			Compare(before, after, RandomInputs(before, 1)),
			Compare(before, after, RandomInputs(before, 2)))
	}
	tol := tolerances[before.coarsest()]
	err := compareOn(before, after, inputs, tol)
	overridden := overrides(before, inputs)
	if err != nil || len(overridden) == len(inputs) {
		return err
	}
	if err := compareOn(before, after, overridden, tol); err != nil {
		return fmt.Errorf("with initializers overridden: %w", err)
	}
	return nil
}

// tolerances are a few dozen units in the last place: an output is a sum of some dozen products.
var tolerances = map[ElemType]float64{Float64: 1e-12, Float32: 4e-6, Float16: 2e-2, BFloat16: 0.15}

// coarsest is the type of fewest digits among the model's tensors.
func (m *Model) coarsest() ElemType {
	coarsest := Float64
	m.EachTensor(func(t *Tensor) {
		if tolerances[t.Elem] > tolerances[coarsest] {
			coarsest = t.Elem
		}
	})
	return coarsest
}

// overrides adds values for the initializers that are inputs too. Before IR 4 all of them had to be,
// without any meant to be overridden.
func overrides(m *Model, inputs map[string]Array) map[string]Array {
	all := make(map[string]Array)
	for name, a := range inputs {
		all[name] = a
	}
	if m.IR < 4 {
		return all
	}
	r := random(7)
	for _, v := range m.Graph.Inputs {
		if _, given := all[v.Name]; given {
			continue
		}
		all[v.Name] = randomArray(v, 0.5, 1.5, &r) // a variance must be positive
		for _, t := range m.Graph.Init {
			if t.Name == v.Name && t.Elem == Int64 { // sizes, which suit as well in the opposite order
				all[v.Name] = NewArray(Int64, all[v.Name].Dims, reversed(t.Data)...)
			}
		}
	}
	return all
}

func reversed(x []float64) []float64 {
	x = slices.Clone(x)
	slices.Reverse(x)
	return x
}

func compareOn(before, after *Model, inputs map[string]Array, tol float64) error {
	want, err := Eval(before, inputs)
	if err != nil {
		return fmt.Errorf("before: %w", err)
	}
	got, err := Eval(after, inputs)
	if err != nil {
		return fmt.Errorf("after: %w", err)
	}
	var errs []error
	for _, name := range sortedKeys(want) {
		if err := compareArrays(got[name], want[name], tol); err != nil {
			errs = append(errs, fmt.Errorf("output %q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func compareArrays(got, want Array, tol float64) error {
	if !slices.Equal(got.Dims, want.Dims) || got.Elem != want.Elem {
		return fmt.Errorf("%v of type %d, want %v of type %d", got.Dims, got.Elem, want.Dims, want.Elem)
	}
	largest := 0.0
	for _, x := range want.Data {
		if isFinite(x) {
			largest = max(largest, math.Abs(x))
		}
	}
	bad, first := 0, ""
	for i, x := range want.Data {
		if near(got.Data[i], x, tol*(1+largest)) {
			continue
		}
		if bad++; bad <= 3 {
			first += fmt.Sprintf(" [%d] %.17g want %.17g;", i, got.Data[i], x)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d differ by more than %g·(1 + %.3g):%s", bad, len(want.Data), tol, largest, first)
	}
	return nil
}

func near(got, want, tol float64) bool {
	if !isFinite(want) || !isFinite(got) {
		return got == want || math.IsNaN(got) && math.IsNaN(want)
	}
	return math.Abs(got-want) <= tol
}

// sortedKeys is for messages that do not change from run to run.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
