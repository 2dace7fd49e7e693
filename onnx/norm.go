package onnx

import (
	"github.com/bnfuse/bnfuse/fuse"
)

// norm is a node that computes a per-channel affine map of one input at inference: a
// BatchNormalization, or an Add, Sub, Mul or Div with a constant.
type norm struct {
	node  int32
	index int    // position in graph order
	op    string // "BatchNormalization", "Add" …
	x, y  int32  // the value it reads and the one it gives

	// BatchNormalization
	affine fuse.Affine
	eps    float64

	// Add, Sub, Mul, Div
	k      *constant
	kFirst bool // the constant is the first operand
	legacy bool // opset < 7: broadcasting is an attribute
	axis   int64
	spread bool // legacy broadcast=1
}

func (nm *norm) batch() bool { return nm.op == "BatchNormalization" }

// axis is where a layer's channels stand in a tensor. The rank is -1 where only the distance of the
// channel axis from the end is known.
type axis struct {
	rank     int
	fromEnd  int // 0: the last axis
	channels int
}

// normAt returns the norm a node is. It is nil for a node that is none, and the refusal says why a node
// that looks like one cannot be folded anywhere.
func (m *model) normAt(n int32) (*norm, *fuse.Refusal) {
	switch op := m.op(n); op {
	case "BatchNormalization":
		return m.batchNorm(n)
	case "Add", "Sub", "Mul", "Div":
		return m.writtenNorm(n, op)
	case "":
		if key := m.ops[m.nodes[n].op]; isBatchNormName(key) {
			return m.bareNorm(n), fuse.Refuse(fuse.ReasonForeign, "%s is not the standard operator", m.opName(n))
		}
	}
	return nil, nil
}

// isBatchNormName reports whether an operator key "domain\x00op" ends in BatchNormalization.
func isBatchNormName(key string) bool {
	const suffix = "\x00BatchNormalization"
	return len(key) >= len(suffix) && key[len(key)-len(suffix):] == suffix
}

// bareNorm is a norm of which only its place is known.
func (m *model) bareNorm(n int32) *norm {
	nm := &norm{node: n, index: int(n), op: "BatchNormalization", x: -1, y: -1}
	if in := m.in(n); len(in) > 0 {
		nm.x = in[0]
	}
	if out := m.out(n); len(out) > 0 {
		nm.y = out[0]
	}
	return nm
}

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
	if as.err != nil {
		return nm, fuse.Refuse(fuse.ReasonUnknownAttr, "%v", as.err)
	}
	if name := as.unknown("epsilon", "momentum", "spatial", "is_test", "training_mode", "consumed_inputs"); name != "" {
		return nm, fuse.Refuse(fuse.ReasonUnknownAttr, "attribute %q", name)
	}
	eps, okEps := as.float("epsilon", float64(float32(1e-5)))
	spatial, okSpatial := as.int("spatial", 1)
	test, okTest := as.int("is_test", 0)
	training, okTraining := as.int("training_mode", 0)
	if !okEps || !okSpatial || !okTest || !okTraining {
		return nm, fuse.Refuse(fuse.ReasonUnknownAttr, "an attribute has another type, or is a parameter of the function")
	}
	nm.eps = eps
	in := m.in(n)
	switch {
	case opset < 1:
		return nm, fuse.Refuse(fuse.ReasonUnsupportedOp, "no opset is imported for the standard operators")
	case len(in) != 5 || len(m.out(n)) == 0 || nm.x < 0 || nm.y < 0:
		return nm, fuse.Refuse(fuse.ReasonUnsupportedOp, "%d inputs and %d outputs", len(in), len(m.out(n)))
	case training != 0:
		return nm, fuse.Refuse(fuse.ReasonTraining, "training_mode is %d", training)
	case opset < 7 && test == 0:
		return nm, fuse.Refuse(fuse.ReasonTraining, "is_test is not set (opset %d)", opset)
	case spatial != 1:
		return nm, fuse.Refuse(fuse.ReasonSpatial, "spatial is %d", spatial)
	}
	for _, v := range m.out(n)[1:] {
		if v >= 0 {
			return nm, fuse.Refuse(fuse.ReasonTraining, "it also gives %q", m.name(v))
		}
	}
	var params [4][]float64
	for i, v := range in[1:] {
		k, r := m.constant(v, fuse.ReasonNormParams)
		if r == nil && (!k.float() || len(k.dims) != 1) {
			r = fuse.Refuse(fuse.ReasonNormParams, "%q is not a vector of floating-point numbers", m.name(v))
		}
		if r == nil {
			r = m.shadowed(v)
		}
		if r != nil {
			return nm, r
		}
		params[i] = k.f
	}
	a, err := fuse.Norm{Gamma: nonNil(params[0]), Beta: nonNil(params[1]), Mean: params[2], Var: params[3], Eps: eps}.Affine()
	if err != nil {
		return nm, refusal(err)
	}
	nm.affine = a
	return nm, nil
}

// nonNil keeps an empty parameter from reading as an absent one.
func nonNil(p []float64) []float64 {
	if p == nil {
		return []float64{}
	}
	return p
}

// writtenNorm reads y ∘ c or c ∘ y with a constant c, as frozen batch norms and scale layers are
// exported. It is nil where both or neither operand is constant.
func (m *model) writtenNorm(n int32, op string) (*norm, *fuse.Refusal) {
	in, out := m.in(n), m.out(n)
	if len(in) != 2 || len(out) != 1 || in[0] < 0 || in[1] < 0 || out[0] < 0 {
		return nil, nil
	}
	nm := &norm{node: n, index: int(n), op: op, y: out[0]}
	first, second := m.isConstant(in[0]), m.isConstant(in[1])
	if first == second {
		return nil, nil
	}
	kv := in[1]
	nm.x, nm.kFirst = in[0], first
	if first {
		nm.x, kv = in[1], in[0]
	}
	k, r := m.constant(kv, fuse.ReasonNormParams)
	if r == nil && !k.float() {
		return nil, nil // arithmetic on shapes
	}
	if r == nil {
		r = m.shadowed(kv)
	}
	if r != nil {
		return nm, r
	}
	nm.k = k
	as := m.attrs(n)
	if as.err != nil {
		return nm, fuse.Refuse(fuse.ReasonUnknownAttr, "%v", as.err)
	}
	opset := m.opset(n)
	if name := as.unknown("broadcast", "axis", "consumed_inputs"); name != "" || opset >= 7 && len(as.list) > 0 {
		return nm, fuse.Refuse(fuse.ReasonUnknownAttr, "attribute %q", name)
	}
	if opset < 7 {
		nm.legacy = true
		spread, ok := as.int("broadcast", 0)
		at, ok2 := as.int("axis", legacySuffix)
		if !ok || !ok2 {
			return nm, fuse.Refuse(fuse.ReasonUnknownAttr, "broadcast or axis is not an integer")
		}
		nm.spread, nm.axis = spread == 1, at
	}
	if op == "Div" && nm.kFirst {
		return nm, fuse.Refuse(fuse.ReasonDivision, "a constant is divided by the layer's output")
	}
	return nm, nil
}

// legacySuffix stands for an absent axis attribute: the constant's shape is a suffix of the other's.
const legacySuffix = -1 << 62

// isConstant reports whether a value is stored or computed from stored values alone, whatever its size;
// constant decides whether it can be evaluated.
func (m *model) isConstant(v int32) bool {
	if v < 0 {
		return false
	}
	val := &m.values[v]
	switch {
	case val.flags&isConst != 0:
		return true
	case val.flags&isVaried != 0:
		return false
	case val.tensor >= 0 || val.producer >= 0 && m.constantProducer(val.producer):
		m.values[v].flags |= isConst
		return true
	}
	m.values[v].flags |= isVaried
	return false
}

func (m *model) constantProducer(n int32) bool {
	op := m.op(n)
	if op == "Constant" {
		return true
	}
	if constantOps[op] == nil || len(m.in(n)) == 0 {
		return false
	}
	for _, in := range m.in(n) {
		if !m.isConstant(in) {
			return false
		}
	}
	return true
}

// on is the norm's map over the channels of a tensor.
func (nm *norm) on(ax axis) (fuse.Affine, *fuse.Refusal) {
	if nm.batch() {
		if ax.rank < 0 || ax.fromEnd != ax.rank-2 {
			return fuse.Affine{}, fuse.Refuse(fuse.ReasonAxis, "the norm's channels are axis 1, the layer's are not provably the same axis")
		}
		if nm.affine.Channels() != ax.channels {
			return fuse.Affine{}, fuse.Refuse(fuse.ReasonChannels, "the norm has %d channels, the layer %d", nm.affine.Channels(), ax.channels)
		}
		return nm.affine, nil
	}
	c, r := nm.perChannel(ax)
	if r != nil {
		return fuse.Affine{}, r
	}
	a := fuse.Affine{Scale: make([]float64, ax.channels), Shift: make([]float64, ax.channels)}
	for i, x := range c {
		if x-x != 0 {
			return fuse.Affine{}, fuse.Refuse(fuse.ReasonNotFinite, "the constant is %v in channel %d", x, i)
		}
		s, t := 1.0, 0.0
		switch {
		case nm.op == "Add":
			t = x
		case nm.op == "Sub" && nm.kFirst:
			s, t = -1, x
		case nm.op == "Sub":
			t = -x
		case nm.op == "Mul":
			s = x
		case x == 0:
			return fuse.Affine{}, fuse.Refuse(fuse.ReasonDivision, "channel %d is divided by zero", i)
		default:
			s = 1 / x
		}
		if s-s != 0 {
			return fuse.Affine{}, fuse.Refuse(fuse.ReasonNotFinite, "the scale of channel %d is %v", i, s)
		}
		a.Scale[i], a.Shift[i] = s, t
	}
	return a, nil
}

// perChannel spreads the constant over the channels of a tensor, if broadcasting puts one value in each
// channel and adds no axis.
func (nm *norm) perChannel(ax axis) ([]float64, *fuse.Refusal) {
	keep := func() ([]float64, *fuse.Refusal) {
		return nil, fuse.Refuse(fuse.ReasonBroadcast, "a constant of shape %v where the channels are %d axes from the end of %d (-1: unknown)",
			nm.k.dims, ax.fromEnd, ax.rank)
	}
	dims := nm.k.dims
	if nm.legacy {
		if !nm.spread || nm.kFirst {
			return keep() // both operands have the same shape
		}
		if len(nm.k.f) != 1 {
			// [C] beginning at the channel axis, or as a suffix that is the channel axis
			at := nm.axis
			if at == legacySuffix && ax.fromEnd != 0 {
				return keep()
			}
			if at != legacySuffix && (ax.rank < 0 || at != int64(ax.rank-1-ax.fromEnd)) {
				return keep()
			}
			if len(dims) != 1 || dims[0] != ax.channels {
				return keep()
			}
			return nm.k.f, nil
		}
		dims = nil
	}
	if ax.rank >= 0 && len(dims) > ax.rank || ax.rank < 0 && len(dims) > 1 {
		return keep()
	}
	for i, d := range dims {
		if fromEnd := len(dims) - 1 - i; d != 1 && (fromEnd != ax.fromEnd || d != ax.channels) {
			return keep()
		}
	}
	if len(nm.k.f) == ax.channels {
		return nm.k.f, nil
	}
	if len(nm.k.f) != 1 {
		return keep()
	}
	c := make([]float64, ax.channels)
	for i := range c {
		c[i] = nm.k.f[0]
	}
	return c, nil
}

// refusal unwraps the refusal that package fuse returns as an error.
func refusal(err error) *fuse.Refusal {
	if r, ok := err.(*fuse.Refusal); ok {
		return r
	}
	return fuse.Refuse(fuse.ReasonUnsupportedOp, "%v", err)
}
