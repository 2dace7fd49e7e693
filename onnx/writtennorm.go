package onnx

import (
	"fmt"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// writtenNorm reads y ∘ c or c ∘ y with a constant c, as frozen batch norms and scale layers are
// exported. It is nil where both or neither operand is constant.
func (m *model) writtenNorm(n int32, op string) (*norm, *fuse.Refusal) {
	in, out := m.in(n), m.out(n)
	if len(in) != 2 || len(out) != 1 || in[0] < 0 || in[1] < 0 || out[0] < 0 {
		return nil, nil
	}
	nm := &norm{node: n, op: op, y: out[0]}
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
		r = m.checkNameUnique(kv)
	}
	if r != nil {
		return nm, r
	}
	nm.k, nm.least = k, k
	if m.opset(n) >= 7 && len(k.f) > 1 {
		nm.least = k.shrink(m, nm.x)
	}
	as := m.attrs(n)
	if nm.legacy = m.opset(n) < 7; nm.legacy {
		as.only("broadcast", "axis", "consumed_inputs")
		nm.spread, nm.axis = as.int("broadcast", 0) == 1, as.int("axis", legacySuffix)
	} else {
		as.only()
	}
	if r := as.refusal(); r != nil {
		return nm, r
	}
	if k.elems() > maxChannels {
		nm.k = nm.least // the other elements are of no use
	}
	if nm.least.elems() > maxChannels && nm.least.axes() > 1 {
		nm.k = &constant{dataType: k.dataType, dims: k.dims} // nor are these
		nm.least = nm.k
		return nm, fuse.Refuse(fuse.ReasonBroadcast, "a constant of shape %v, which varies along more than one axis", k.dims)
	}
	if op == "Div" && nm.kFirst {
		return nm, fuse.Refuse(fuse.ReasonDivision, "a constant is divided by the layer's output")
	}
	return nm, nil
}

// maxChannels is more than layers have: a larger constant that varies along several axes is not kept in memory.
const maxChannels = 1 << 16

// axes is how many axes of a constant have more than one element.
func (k *constant) axes() (n int) {
	for _, d := range k.dims {
		if d != 1 {
			n++
		}
	}
	return n
}

// shrink gives the smallest constant that broadcasts against value x as k does: along an axis that is as long in x, all
// elements may be equal, and then one is enough.
func (k *constant) shrink(m *model, x int32) *constant {
	for i, d := range k.dims {
		if d <= 1 || !k.alike(i) {
			continue
		}
		if s := m.shape(x); s.at(len(s.dims)-len(k.dims)+i) == d {
			k = k.cut(i)
		}
	}
	return k
}

// alike reports whether the elements along axis i are equal.
func (k *constant) alike(i int) bool {
	inner := product(k.dims[i+1:])
	for block := range slices.Chunk(k.f, k.dims[i]*inner) {
		if !slices.Equal(block[inner:], block[:len(block)-inner]) {
			return false
		}
	}
	return true
}

// cut gives the constant with the first element alone along axis i.
func (k *constant) cut(i int) *constant {
	inner := product(k.dims[i+1:])
	one := &constant{dataType: k.dataType, dims: slices.Clone(k.dims)}
	one.dims[i] = 1
	for block := range slices.Chunk(k.f, k.dims[i]*inner) {
		one.f = append(one.f, block[:inner]...)
	}
	return one
}

// legacySuffix stands for an absent axis attribute: the constant's shape is a suffix of the other's.
const legacySuffix = -1 << 62

// perChannel spreads the constant over the channels of a tensor, if broadcasting puts one value in each
// channel and adds no axis.
func (nm *norm) perChannel(ax axis) ([]float64, *fuse.Refusal) {
	c, r := nm.spreadOver(nm.k, ax)
	if r != nil && nm.least != nm.k {
		if c, r := nm.spreadOver(nm.least, ax); r == nil {
			return c, nil
		}
	}
	return c, r
}

func (nm *norm) spreadOver(k *constant, ax axis) ([]float64, *fuse.Refusal) {
	keep := func() ([]float64, *fuse.Refusal) {
		where := "the last axis"
		if ax.fromEnd > 0 {
			where = fmt.Sprintf("axis %d of %d", ax.rank-1-ax.fromEnd, ax.rank)
		}
		return nil, fuse.Refuse(fuse.ReasonBroadcast, "a constant of shape %v, where the %d channels are %s", k.dims, ax.channels, where)
	}
	dims := k.dims
	if nm.legacy {
		if !nm.spread || nm.kFirst {
			return keep() // both operands have the same shape
		}
		if len(k.f) != 1 {
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
			return k.f, nil
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
	if len(k.f) == ax.channels {
		return k.f, nil
	}
	if len(k.f) != 1 {
		return keep()
	}
	c := make([]float64, ax.channels)
	for i := range c {
		c[i] = k.f[0]
	}
	return c, nil
}
