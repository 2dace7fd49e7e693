package onnx

import (
	"cmp"

	"github.com/bnfuse/bnfuse/fuse"
)

// way is how the channels of a norm reach a layer behind it. The zero value is the straight way: the layer
// reads the norm's output, or what Identity and Dropout make of it.
type way struct {
	free    bool // elements were moved, but the norm does the same to all
	moved   bool // elements were moved; the channels stand at at
	at      axis
	columns bool // behind a flattening of all axes but the first: column (o·C + c)·inner + i is channel c's
	inner   int  // 0: o is always 0, the channels were the first of these axes
}

// follower is a layer behind a norm, and how the norm's channels reach it.
type follower struct {
	*layer
	way
}

// scatters reports whether the inputs of one of n channels are not side by side.
func (f follower) scatters(n int) bool { return f.columns && f.inner > 0 && f.inner*n != f.in.channels }

// through follows a norm's channels through a node that moves elements.
func (p *planner) through(n int32, w way, nm *norm) (way, *fuse.Refusal) {
	if w.columns && p.flattens(n) {
		return w, nil // it is flat already
	}
	if w.columns {
		return w, fuse.Refuse(fuse.ReasonAxis, "%s moves what was flattened", p.opName(n))
	}
	if !w.moved {
		at, r := p.channelsOf(nm)
		if r != nil {
			return w, r
		}
		w = way{moved: true, at: at}
	}
	if inner, ok := p.positionsBehind(n, w.at); ok && p.flattens(n) {
		w.columns, w.inner = true, inner
		return w, nil
	}
	if s := p.shape(p.in(n)[0]); !s.known || len(s.dims) != w.at.rank {
		return w, fuse.Refuse(fuse.ReasonAxis, "the rank before %s is not known", p.opName(n))
	}
	var r *fuse.Refusal
	w.at, r = p.move(n, w.at)
	return w, r
}

// positionsBehind is how many elements the axes behind the channels have, in what node n reads: 0 for all that the
// axes behind the first have for a channel. It is false where that is not known.
func (p *planner) positionsBehind(n int32, at axis) (int, bool) {
	switch s := p.shape(p.in(n)[0]); {
	case at.fromEnd == at.rank-2:
		return 0, true
	case at.fromEnd == 0:
		return 1, true
	case s.known && len(s.dims) == at.rank:
		inner := product(s.dims[at.rank-at.fromEnd:])
		return inner, inner > 0
	}
	return 0, false
}

// channelsOf is the axis that a norm is over, in what it reads.
func (p *planner) channelsOf(nm *norm) (axis, *fuse.Refusal) {
	s := p.shape(nm.x)
	if nm.batch() {
		rank := len(s.dims)
		switch {
		case !s.known:
			rank = 2 // or more: the channels are axis 1 of any, but how far from the end is not known
		case rank < 2:
			return axis{}, fuse.Refuse(fuse.ReasonAxis, "the norm reads a tensor of rank %d, which has no axis 1", rank)
		}
		return axis{rank: rank, fromEnd: rank - 2, channels: nm.affine.Channels()}, nil
	}
	for at := 1; at < len(s.dims); at++ {
		ax := axis{rank: len(s.dims), fromEnd: len(s.dims) - 1 - at, channels: s.dims[at]}
		if ax.channels <= 0 {
			continue
		}
		if _, r := nm.perChannel(ax); r == nil {
			return ax, nil
		}
	}
	return axis{}, fuse.Refuse(fuse.ReasonAxis, "which axis %s is over is not known", p.opName(nm.node))
}

// onMoved is the norm's map over the input channels of a layer that a moving way leads to.
func (p *planner) onMoved(nm *norm, t follower) (fuse.Affine, *fuse.Refusal) {
	own, r := p.channelsOf(nm)
	if r != nil {
		return fuse.Affine{}, r
	}
	a, r := nm.on(own)
	if r == nil {
		r = p.checkBroadcast(nm, own)
	}
	if r != nil {
		return a, r
	}
	n := t.in.channels
	switch positions := n / max(1, a.Channels()); {
	case t.columns && t.in.fromEnd == 0 && a.Channels() > 0 && n%a.Channels() == 0 && positions%max(1, t.inner) == 0:
		inner := cmp.Or(t.inner, positions)
		return a.Repeat(inner).Tile(positions / max(1, inner)), nil
	case !t.columns && t.at.fromEnd == t.in.fromEnd && t.at.per <= 1 && a.Channels() == n:
		return a, nil
	}
	return a, fuse.Refuse(fuse.ReasonAxis, "its %d channels are not the layer's %d", a.Channels(), n)
}
