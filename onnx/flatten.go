package onnx

import (
	"github.com/bnfuse/bnfuse/fuse"
)

// flattens reports whether a node keeps the first axis and joins all others: Flatten(1), or Reshape to two
// axes of which the first stays.
func (m *model) flattens(n int32) bool {
	switch as := m.attrs(n); m.op(n) {
	case "Flatten":
		return as.int("axis", 1) == 1 && as.err == nil
	case "Reshape":
		from, to := m.shape(m.in(n)[0]), m.shape(m.out(n)[0])
		if from.known && to.known && len(to.dims) == 2 && len(from.dims) >= 2 {
			sameRows := sameSize(from.dims[0], to.dims[0])
			sameColumns := to.dims[1] > 0 && to.dims[1] == product(from.dims[1:])
			if sameRows || sameColumns {
				return true
			}
		}
		return m.keepsBatch(n)
	}
	return false
}

// keepsBatch reports whether a Reshape gives two axes of which the first is copied from its input:
//
//	Reshape(x, [0, k])
//	Reshape(x, Concat(Unsqueeze(Gather(Shape(x), 0)), [k]))      as PyTorch writes x.view(x.size(0), -1)
func (m *model) keepsBatch(n int32) bool {
	as := m.attrs(n)
	target := as.ints("shape")
	if in := m.in(n); len(in) > 1 {
		if in[1] < 0 {
			return false
		}
		if producer := m.values[in[1]].producer; producer >= 0 && m.op(producer) == "Concat" {
			parts := m.in(producer)
			return len(parts) == 2 && m.isBatchSize(parts[0], in[0]) && m.isSingle(parts[1])
		}
		k, r := m.constant(in[1], fuse.ReasonAxis)
		if r != nil {
			return false
		}
		target = k.i
	}
	return len(target) == 2 && target[0] == 0 && as.int("allowzero", 0) == 0 && as.err == nil
}

// isBatchSize reports whether v is a list of one element, the size of x's first axis.
func (m *model) isBatchSize(v, x int32) bool {
	for range 4 { // operators at most
		if v < 0 || m.values[v].producer < 0 {
			return false
		}
		n := m.values[v].producer
		in := m.in(n)
		switch op := m.op(n); {
		case op == "Shape":
			return false // of all axes
		case op == "Gather" && len(in) == 2 && m.isZero(in[1]):
			as := m.attrs(n)
			if in[0] < 0 || m.values[in[0]].producer < 0 || as.int("axis", 0) != 0 || as.err != nil {
				return false
			}
			shape := m.values[in[0]].producer
			none := m.attrs(shape)
			return m.op(shape) == "Shape" && m.in(shape)[0] == x && len(none.list) == 0 && none.err == nil
		case op == "Cast" && m.isWide(n), (op == "Unsqueeze" || op == "Identity") && len(in) > 0:
			v = in[0]
		default:
			return false
		}
	}
	return false
}

// isSingle reports whether a part of a Reshape's target, which is a list, has one element. What Unsqueeze
// makes a list was a number.
func (m *model) isSingle(v int32) bool {
	if v < 0 {
		return false
	}
	if n := m.values[v].producer; n >= 0 && m.op(n) == "Unsqueeze" {
		as := m.attrs(n)
		axes, ok := shapeArgs{m: m, node: n, as: &as}.ints("axes", 1)
		return ok && len(axes) == 1
	}
	k, r := m.constant(v, fuse.ReasonAxis)
	return r == nil && len(k.i) == 1
}

// isWide reports whether a Cast changes no size: other types than int64 hold less.
func (m *model) isWide(n int32) bool {
	as := m.attrs(n)
	return as.int("to", 0) == typeInt64 && as.err == nil && len(m.in(n)) > 0
}

// isZero reports whether a value is the integer 0.
func (m *model) isZero(v int32) bool {
	if v < 0 {
		return false
	}
	k, r := m.constant(v, fuse.ReasonAxis)
	return r == nil && len(k.i) == 1 && k.i[0] == 0
}
