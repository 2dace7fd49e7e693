package onnx

import (
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// matMulLayer reads
//
//	MatMul(X, W) → Y    W [in, out]; channels are the last axis of X and Y
//
// X can have any rank; where it is known, so is Y's.
func (m *model) matMulLayer(n int32) (*layer, *fuse.Refusal) {
	if in := m.in(n); len(in) != 2 || in[1] < 0 || !m.reachesConstant(in[1]) {
		return nil, nil // attention multiplies activations
	}
	l, r := m.newLayer(n, "MatMul", fuse.MatMul, 1)
	if r != nil {
		return l, r
	}
	rank := -1
	if x := m.shape(m.in(n)[0]); x.known {
		rank = len(x.dims)
	} else if y := m.shape(m.out(n)[0]); y.known {
		rank = len(y.dims)
	}
	l.in = axis{rank: rank, fromEnd: 0, channels: l.views[fuse.Before].NumChannels()}
	l.out = axis{rank: rank, fromEnd: 0, channels: l.views[fuse.After].NumChannels()}
	return l, nil
}

// reachesConstant reports whether a weight may be found behind v.
func (m *model) reachesConstant(v int32) bool {
	for range maxConstDepth {
		val := &m.values[v]
		if val.tensor >= 0 || val.flags&(isInput|isSparse) != 0 {
			return true
		}
		if val.producer < 0 {
			return false
		}
		op := m.op(val.producer)
		if op == "Constant" || op == "ConstantOfShape" || op == "DequantizeLinear" {
			return true
		}
		if constantOps[op] == nil || len(m.in(val.producer)) == 0 || m.in(val.producer)[0] < 0 {
			return false
		}
		v = m.in(val.producer)[0]
	}
	return false
}

// adoptAdd has a MatMul take node n, the Add behind it, as its bias, and gives the layer that they then are:
//
//	MatMul(X, W) → (Identity | Dropout)* → Add(·, b)    b a constant over the last axis
//
// The tensors on the way must have no other reader. It is nil for a node that is no such Add; the refusal
// says why one cannot take another bias, and then nothing is taken.
func (m *model) adoptAdd(n int32) (*layer, *fuse.Refusal) {
	if m.op(n) != "Add" {
		return nil, nil
	}
	nm, r := m.writtenNorm(n, "Add")
	if nm == nil || nm.x < 0 {
		return nil, nil
	}
	p, shared := m.behind(nm.x, n)
	if p < 0 || m.op(p) != "MatMul" {
		return nil, nil
	}
	l, lr := m.layerAt(p)
	if l == nil || lr != nil || l.add == n {
		return l, lr
	}
	if l.add >= 0 {
		return nil, nil
	}
	if r != nil {
		return l, r
	}
	if shared != nil {
		return l, shared
	}
	c, r := nm.perChannel(l.out)
	if r != nil {
		return l, r
	}
	if floatType(nm.k.dataType) != l.dtype || nm.legacy && len(nm.k.f) != len(c) && nm.axis != legacySuffix {
		return l, fuse.Refuse(fuse.ReasonBias, "the bias is %v of ONNX element type %d", nm.k.dims, nm.k.dataType)
	}
	if l.fold.After.Scale != nil { // norms between the MatMul and the Add are folded: it adds to their shift
		one := slices.Repeat([]float64{1}, len(c))
		f := l.fold
		if f.After, r = then(l.fold.After, fuse.Affine{Scale: one, Shift: c}); r == nil && !f.Before.HasShift() {
			r = l.checkBias(f, nil)
		}
		if r != nil {
			return l, r
		}
		l.fold = f
	} else {
		l.bias = &constant{dataType: nm.k.dataType, dims: []int{len(c)}, f: c}
	}
	l.add, l.biasSlot = n, 1
	if nm.kFirst {
		l.biasSlot = 0
	}
	return l, nil
}

// behind returns the node that computes v, in the graph of node n, looking through Identity and Dropout;
// -1 for none. The refusal says what else sees the tensors on the way.
func (m *model) behind(v, n int32) (int32, *fuse.Refusal) {
	shared := m.checkOneReader(v)
	for range maxConstDepth {
		p := m.values[v].producer
		if p < 0 || m.nodes[p].graph != m.nodes[n].graph {
			break
		}
		if op := m.op(p); op != "Identity" && op != "Dropout" {
			return p, shared
		}
		if in := m.in(p); len(in) == 0 || in[0] < 0 || m.out(p)[0] != v {
			break
		}
		v = m.in(p)[0]
		if shared == nil {
			shared = m.checkDropout(p)
		}
		if shared == nil {
			shared = m.checkOneReader(v)
		}
	}
	return -1, nil
}
