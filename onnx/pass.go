package onnx

import (
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// passes are the operators that may stand between a layer and a norm: they move elements, or take some or averages of
// some, so that what a norm does to the channels before them it can do behind them.
var passes = map[string]bool{
	"Identity": true, "Dropout": true, "Transpose": true, "Flatten": true, "Reshape": true, "Squeeze": true, "Unsqueeze": true,
	"Slice": true, "AveragePool": true, "GlobalAveragePool": true, "ReduceMean": true,
}

// pass follows a layer's channels through node n. They are lost where it may mix them with other axes, but what is the
// same for all of them may follow, without a shift if zeros were averaged with them.
func (m *model) pass(n int32, ax axis) (axis, *fuse.Refusal) {
	if op := m.op(n); op == "Identity" || op == "Dropout" {
		return ax, m.checkDropout(n)
	}
	zeros := ax.zeros
	if r := m.checkNoPadding(n); r != nil {
		zeros = r
	}
	if ax.lost == nil {
		to, r := m.move(n, ax)
		if r != nil {
			to = axis{rank: -1, channels: ax.channels * max(1, ax.per), lost: r}
		}
		ax = to
	}
	ax.zeros = zeros
	return ax, nil
}

// move follows the channel axis through node n, which moves elements.
func (m *model) move(n int32, ax axis) (axis, *fuse.Refusal) {
	op := m.op(n)
	if ax.ifNorm {
		return ax, fuse.Refuse(fuse.ReasonAxis, "%s moves what Flatten may have mixed", op)
	}
	switch op {
	case "Transpose":
		return m.passTranspose(n, ax)
	case "Slice", "AveragePool", "GlobalAveragePool", "ReduceMean":
		return m.passWithin(n, op, ax)
	case "Squeeze", "Unsqueeze":
		if to, ok := m.passAxes(n, op, ax); ok {
			return to, nil
		}
	}
	to, r := m.passReshape(n, op, ax)
	if r == nil || !m.flattens(n) {
		return to, r
	}
	switch {
	case ax.rank == 2:
		return ax, nil // it moves nothing
	case ax.rank > 2 && ax.fromEnd == ax.rank-2 && ax.per <= 1:
		// Behind a Flatten the columns are the channels only if each channel is one position. If it were
		// more, no norm over as many channels could follow; so one that does is the proof.
		return axis{rank: 2, fromEnd: 0, channels: ax.channels, ifNorm: true}, nil
	}
	return to, r
}

// moved is the axis where it stands in a tensor of another rank.
func (ax axis) moved(rank, at int) axis {
	ax.rank, ax.fromEnd = rank, rank-1-at
	return ax
}

// passAxes follows the channels through an operator that adds or takes out axes of one element.
func (m *model) passAxes(n int32, op string, ax axis) (axis, bool) {
	as := m.attrs(n)
	list := as.ints("axes")
	if in := m.in(n); len(in) > 1 && in[1] >= 0 {
		k, r := m.constant(in[1], fuse.ReasonAxis)
		if r != nil {
			return ax, false
		}
		list = k.i
	}
	if as.err != nil || ax.rank < 0 || len(list) == 0 || len(list) > maxRank {
		return ax, false
	}
	long := ax.rank // the rank on the side that has the axes
	if op == "Unsqueeze" {
		long += len(list)
	}
	listed := make([]bool, long)
	for _, a := range list {
		if a < 0 {
			a += int64(long)
		}
		if a < 0 || a >= int64(long) || listed[a] {
			return ax, false
		}
		listed[a] = true
	}
	at, seen := ax.rank-1-ax.fromEnd, 0
	for i := range long {
		switch {
		case op == "Squeeze" && i == at:
			return ax.moved(long-len(list), seen), !listed[i]
		case op == "Unsqueeze" && !listed[i] && seen == at:
			return ax.moved(long, i), true
		case !listed[i]:
			seen++
		}
	}
	return ax, false
}

// checkDropout refuses a Dropout that drops, or may drop, or whose mask is used.
func (m *model) checkDropout(n int32) *fuse.Refusal {
	if m.op(n) != "Dropout" {
		return nil
	}
	as := m.attrs(n)
	opset := m.opset(n)
	if as.err != nil || opset < 1 {
		return fuse.Refuse(fuse.ReasonDropout, "%q in opset %d: %v", m.nodeName(n), opset, as.err)
	}
	out := m.out(n)
	for _, v := range out[1:] {
		if v >= 0 && (m.uses[v] > 0 || m.values[v].flags&isOutput != 0) {
			return fuse.Refuse(fuse.ReasonDropout, "the mask %q is used", m.name(v))
		}
	}
	switch in := m.in(n); {
	case opset < 7:
		if as.int("is_test", 0) == 0 || as.err != nil {
			return fuse.Refuse(fuse.ReasonDropout, "is_test is not set (opset %d)", opset)
		}
	case opset >= 12 && len(in) > 2 && in[2] >= 0:
		k, r := m.constant(in[2], fuse.ReasonDropout)
		if r != nil {
			return fuse.Refuse(fuse.ReasonDropout, "training_mode: %v", r)
		}
		if len(k.i) != 1 || k.i[0] != 0 {
			return fuse.Refuse(fuse.ReasonDropout, "training_mode is true")
		}
	}
	return nil
}

func (m *model) passTranspose(n int32, ax axis) (axis, *fuse.Refusal) {
	as := m.attrs(n)
	if perm := as.ints("perm"); ax.rank < 0 && len(perm) > ax.fromEnd {
		ax.rank = len(perm)
	}
	if as.err != nil || ax.rank < 0 {
		return ax, fuse.Refuse(fuse.ReasonAxis, "the rank before Transpose is not known")
	}
	perm, ok := permOf(&as, ax.rank)
	if !ok || as.err != nil {
		return ax, fuse.Refuse(fuse.ReasonAxis, "Transpose's perm does not fit rank %d", ax.rank)
	}
	for i, p := range perm {
		if p == ax.rank-1-ax.fromEnd {
			ax.fromEnd = ax.rank - 1 - i
			break
		}
	}
	return ax, nil
}

// passReshape follows the channels through an operator that keeps the elements' order: an output axis
// holds the channels if it has their number, and either everything behind it has as many elements as
// everything behind the channel axis, or everything before it matches axis by axis. Or it holds the first of the
// axes that they are split into.
func (m *model) passReshape(n int32, op string, ax axis) (axis, *fuse.Refusal) {
	refuse := func() (axis, *fuse.Refusal) {
		return ax, fuse.Refuse(fuse.ReasonAxis, "%s may mix the %d channels with other axes", op, ax.channels)
	}
	from, to := m.shape(m.in(n)[0]), m.shape(m.out(n)[0])
	if !to.known {
		return refuse()
	}
	if !from.known {
		if ax.rank < 0 {
			// Only the distance from the end is known: the channels must be the last axis before and after.
			if ax.fromEnd == 0 && len(to.dims) > 0 && to.dims[len(to.dims)-1] == ax.channels && ax.channels > 0 {
				return ax.moved(len(to.dims), len(to.dims)-1), nil
			}
			return refuse()
		}
		from = ranked(ax.rank)
	}
	at := len(from.dims) - 1 - ax.fromEnd
	if at < 0 || at >= len(from.dims) || ax.channels <= 0 {
		return refuse()
	}
	if m.keepsPrefix(n, to, at, ax.channels) { // first, because a single channel is many an axis
		return ax.moved(len(to.dims), at), nil
	}
	tail := product(from.dims[at+1:])
	for b, d := range to.dims {
		if d == ax.channels && tail > 0 && product(to.dims[b+1:]) == tail {
			return ax.moved(len(to.dims), b), nil
		}
	}
	for b, d := range slices.Backward(to.dims) { // axes of one element may be in front of it
		if d > 0 && ax.channels%d == 0 && tail > 0 && product(to.dims[b:]) == ax.channels*tail {
			// Channel c is in part c/per: what is behind both axes has as many elements.
			per := ax.channels / d
			ax.channels, ax.per = d, per*max(1, ax.per)
			return ax.moved(len(to.dims), b), nil
		}
	}
	return refuse()
}

// keepsPrefix reports whether the axes up to that of the channels are the same before and after.
func (m *model) keepsPrefix(n int32, to shape, at, channels int) bool {
	for i := range at {
		if i >= len(to.dims) || !m.keepsSize(n, i) {
			return false
		}
	}
	return to.at(at) == channels || at < len(to.dims) && m.keepsSize(n, at)
}
