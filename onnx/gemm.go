package onnx

import (
	"github.com/bnfuse/bnfuse/fuse"
)

// gemmLayer reads
//
//	Gemm(A, B, C?) → α·A·B + β·C    B [in, out], or [out, in] with transB = 1
//
// The output is [M, out]; the input is [M, in] unless transA = 1.
func (m *model) gemmLayer(n int32) (*layer, *fuse.Refusal) {
	as := m.attrs(n)
	as.only("transA", "transB", "alpha", "beta", "broadcast")
	transA, transB := as.int("transA", 0), as.int("transB", 0)
	alpha, beta := as.float("alpha", 1), as.float("beta", 1)
	spread := as.int("broadcast", 0)
	r := as.refusal()
	if r == nil && (alpha-alpha != 0 || beta-beta != 0) {
		r = fuse.Refuse(fuse.ReasonNotFinite, "alpha is %v and beta %v", alpha, beta)
	}
	if r != nil {
		return &layer{node: n, kind: "Gemm"}, r
	}
	layout := fuse.MatMul
	if transB != 0 {
		layout = fuse.Linear
	}
	l, r := m.newLayer(n, "Gemm", layout, 1)
	if r != nil {
		return l, r
	}
	l.in = axis{rank: 2, fromEnd: 0, channels: l.views[fuse.Before].NumChannels()}
	l.out = axis{rank: 2, fromEnd: 0, channels: l.views[fuse.After].NumChannels()}
	l.moved, l.alpha, l.beta = transA != 0, alpha, beta
	if r := m.setBias(l, 2); r != nil {
		return l, r
	}
	if l.bias == nil {
		if m.opset(n) < 7 {
			return l, fuse.Refuse(fuse.ReasonBias, "C is missing, which opset %d does not allow", m.opset(n))
		}
		return l, nil
	}
	c := l.bias.dims
	wide := len(c) > 0 && c[len(c)-1] != 1
	if len(c) > 2 || wide && c[len(c)-1] != l.out.channels {
		return l, fuse.Refuse(fuse.ReasonBias, "C is %v, the output has %d columns", c, l.out.channels)
	}
	if m.opset(n) < 7 && spread != 1 && len(c) < 2 {
		return l, fuse.Refuse(fuse.ReasonBroadcast, "C is %v and broadcast is not set", c)
	}
	if l.rows()*l.out.channels > maxConstElems {
		return l, fuse.Refuse(fuse.ReasonBias, "C would have %d × %d values", l.rows(), l.out.channels)
	}
	if beta == 0 {
		if m.opset(n) < 7 && spread != 1 {
			return l, fuse.Refuse(fuse.ReasonBroadcast, "beta is 0, and the new C would need broadcast, which is not set")
		}
		l.bias = nil // runtimes do not read C then, which may hold infinity or NaN
	}
	return l, nil
}
