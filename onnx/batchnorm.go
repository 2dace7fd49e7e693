package onnx

import (
	"math"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// batchNorm reads
//
//	BatchNormalization(X, scale, B, mean, var) → Y
//
// at inference: is_test = 1 up to opset 6; from opset 7 on a single output; from opset 14 on training_mode
// absent or 0. https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
func (m *model) batchNorm(n int32) (*norm, *fuse.Refusal) {
	nm := m.bareNorm(n)
	as := m.attrs(n)
	opset := m.opset(n)
	as.only("epsilon", "momentum", "spatial", "is_test", "training_mode", "consumed_inputs")
	eps := as.float("epsilon", float64(float32(1e-5)))
	spatial := as.int("spatial", 1)
	test := as.int("is_test", min(opset/7, 1)) // from opset 7 on it is not there, and 0 is a contradiction
	training := as.int("training_mode", 0)
	if r := as.refusal(); r != nil {
		return nm, r
	}
	nm.eps = eps
	in := m.in(n)
	switch {
	case opset < 1:
		return nm, fuse.Refuse(fuse.ReasonUnsupportedOp, "no opset is imported for the standard operators")
	case len(in) != 5 || len(m.out(n)) == 0 || nm.x < 0 || nm.y < 0:
		return nm, fuse.Refuse(fuse.ReasonUnsupportedOp, "%d inputs and %d outputs, want 5 and 1", len(in), len(m.out(n)))
	case training != 0:
		return nm, fuse.Refuse(fuse.ReasonTraining, "training_mode is %d", training)
	case test == 0:
		return nm, fuse.Refuse(fuse.ReasonTraining, "is_test is not set (opset %d)", opset)
	case spatial != 1:
		return nm, fuse.Refuse(fuse.ReasonSpatial, "spatial is %d", spatial)
	}
	for _, v := range m.out(n)[1:] {
		if v >= 0 {
			return nm, fuse.Refuse(fuse.ReasonTraining, "it also gives %q", m.name(v))
		}
	}
	m.prefetch(in[1:])
	var params [4][]float64
	for i, v := range in[1:] {
		k, r := m.constantAt(v, fuse.ReasonNormParams, m.params[i], 0)
		if r == nil && (!k.float() || len(k.dims) != 1) {
			r = fuse.Refuse(fuse.ReasonNormParams, "%q is not a vector of floating-point numbers", m.name(v))
		}
		if r == nil {
			r = m.checkNameUnique(v)
		}
		if r != nil {
			return nm, r
		}
		params[i] = k.f
		if m.values[v].tensor >= 0 {
			m.params[i] = k.f // which nobody else holds
		}
	}
	nm.plainGamma, nm.plainBeta = all(params[0], 1), all(params[1], 0)
	a, err := fuse.Norm{Gamma: nonNil(params[0]), Beta: nonNil(params[1]), Mean: params[2], Var: params[3], Eps: eps}.Affine()
	if err != nil {
		return nm, refusal(err)
	}
	nm.affine = a
	return nm, nil
}

// all reports whether every number is x.
func all(numbers []float64, x float64) bool {
	return !slices.ContainsFunc(numbers, func(y float64) bool { return x != y })
}

// prefetch reads at once the stored tensors of a norm, where they stand side by side as most exporters write
// them.
func (m *model) prefetch(values []int32) {
	all := span{math.MaxInt64, 0}
	for _, v := range values {
		if v < 0 || m.values[v].tensor < 0 {
			return
		}
		field := m.tensors[m.values[v].tensor].field
		all = span{min(all.off, field.off), max(all.end, field.end)}
	}
	m.weights.prefetch(all)
}

// isBatchNormName reports whether an operator key "domain\x00op" ends in BatchNormalization.
func isBatchNormName(key string) bool {
	const suffix = "\x00BatchNormalization"
	return len(key) >= len(suffix) && key[len(key)-len(suffix):] == suffix
}

// bareNorm is a norm of which only its place is known.
func (m *model) bareNorm(n int32) *norm {
	nm := &norm{node: n, op: "BatchNormalization", x: -1, y: -1}
	if in := m.in(n); len(in) > 0 {
		nm.x = in[0]
	}
	if out := m.out(n); len(out) > 0 {
		nm.y = out[0]
	}
	return nm
}

// nonNil keeps an empty parameter from reading as an absent one.
func nonNil(p []float64) []float64 {
	if p == nil {
		return []float64{}
	}
	return p
}
