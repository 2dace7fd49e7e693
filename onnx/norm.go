package onnx

import (
	"github.com/bnfuse/bnfuse/fuse"
)

// norm is a node that computes a per-channel affine map of one input at inference: a
// BatchNormalization, or an Add, Sub, Mul or Div with a constant.
type norm struct {
	node int32
	x, y int32  // the value it reads and the one it gives
	op   string // "BatchNormalization", "Add" …

	// BatchNormalization
	affine fuse.Affine
	eps    float64

	plainGamma, plainBeta bool // all ones, and all zeros

	// Add, Sub, Mul, Div
	k      *constant
	least  *constant // the smallest that does the same to x
	axis   int64
	kFirst bool // the constant is the first operand
	legacy bool // opset < 7: broadcasting is an attribute
	spread bool // legacy broadcast=1
}

func (nm *norm) batch() bool { return nm.op == "BatchNormalization" }

// single reports whether the norm does the same to every element, whatever axis the channels are.
func (nm *norm) single() bool { return !nm.batch() && len(nm.least.f) == 1 }

// axis is where a layer's channels stand in a tensor. The rank is -1 where only the distance of the
// channel axis from the end is known.
type axis struct {
	rank     int
	fromEnd  int // 0: the last axis
	channels int
	ifNorm   bool // only if a norm over as many channels follows
	per      int  // each of them stands for so many of the layer's, side by side; 0 is 1

	lost  *fuse.Refusal // why no axis has the channels any more: only what is the same for all can follow
	zeros *fuse.Refusal // what averaged zeros with them: no shift can follow
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

// maxIsConstDepth bounds how many nodes, listed in a wrong order, isConstant looks through: what is behind more is taken
// for computed from the model's inputs.
const maxIsConstDepth = 10_000

// isConstant reports whether a value is stored or computed from stored values alone, whatever its size;
// constant decides whether it can be evaluated.
func (m *model) isConstant(v int32) bool {
	if v < 0 || m.depth > maxIsConstDepth {
		return false
	}
	m.depth++
	defer func() { m.depth-- }()
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

// on is the norm's map over the channels of a layer, which stand at an axis of what the norm reads.
func (nm *norm) on(ax axis) (fuse.Affine, *fuse.Refusal) {
	if ax.lost != nil && !nm.single() {
		return fuse.Affine{}, ax.lost
	}
	a, r := nm.over(ax)
	if r == nil && a.HasShift() {
		r = ax.zeros
	}
	if r != nil {
		return a, r
	}
	return a.Repeat(max(1, ax.per)), nil
}

// over is the norm's map over an axis.
func (nm *norm) over(ax axis) (fuse.Affine, *fuse.Refusal) {
	if nm.batch() {
		if ax.rank < 0 || ax.fromEnd != ax.rank-2 {
			return fuse.Affine{}, fuse.Refuse(fuse.ReasonAxis, "the norm's channels are axis 1, the layer's are not provably the same axis")
		}
		if ax.ifNorm && nm.affine.Channels() != ax.channels {
			return fuse.Affine{}, fuse.Refuse(fuse.ReasonAxis, "Flatten mixes the layer's %d channels with positions", ax.channels)
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

// refusal unwraps the refusal that package fuse returns as an error.
func refusal(err error) *fuse.Refusal {
	if r, ok := err.(*fuse.Refusal); ok {
		return r
	}
	return fuse.Refuse(fuse.ReasonUnsupportedOp, "%v", err)
}
