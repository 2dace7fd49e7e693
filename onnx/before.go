package onnx

import (
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// tryBefore folds a norm into the layers behind it:
//
//	norm → (Identity | Dropout | Flatten | Transpose …)* → layer
//
// All readers of the norm must be such layers, or somebody would miss it. What moves elements may stand in
// between where it provably brings the norm's channels to the layer's: see way.
func (p *planner) tryBefore(c *candidate) bool {
	if c.refused != nil || c.folded {
		return false
	}
	c.before = nil
	if l, r := p.adoptAdd(c.node); l != nil && r == nil {
		return false // it is the bias of the layer before it
	}
	targets, r := p.targets(c)
	if r == nil {
		r = p.checkNameUnique(c.x)
	}
	if r != nil {
		c.before = r
		return false
	}
	type change struct {
		l *layer
		f fuse.Fold
		a fuse.Affine
	}
	var changes []change
	for _, t := range targets {
		l := t.layer
		if c.layer < 0 {
			c.layer = l.node
		}
		a, r := p.onInput(c.norm, t)
		f := l.fold
		if r == nil {
			r = p.extend(l, &f, fuse.Before, a)
		}
		if r != nil {
			c.before = r
			return false
		}
		changes = append(changes, change{l, f, a})
	}
	var steps []fuse.Step
	for i, ch := range changes {
		p.touch(ch.l, ch.f)
		c.scattered = c.scattered || targets[i].scatters(c.affine.Channels())
		if c.batch() {
			ch.a = c.affine // a flattened channel is still one
		}
		steps = append(steps, fuse.Step{Norm: p.normInfo(c.norm), Layer: p.layerInfo(ch.l.node), Direction: fuse.Before, Affine: ch.a})
	}
	p.fold(c, steps...)
	p.bypass(c.norm)
	return true
}

// bypass lets the readers of a norm read what it read.
func (p *planner) bypass(nm *norm) {
	users, own := p.newUser[nm.x]
	if !own {
		users = slices.Clone(p.users(nm.x))
	}
	for _, u := range p.readers(nm.y) {
		for i, v := range p.in(u) {
			if v == nm.y {
				p.in(u)[i] = nm.x
				p.nodes[u].dirty = true
				p.uses[nm.x]++
				users = append(users, u)
			}
		}
	}
	p.newUser[nm.x] = users
	p.values[nm.y].producer = -1
	p.values[nm.y].flags |= isGone
	p.remove(nm.node)
}

// readers lists the live nodes that read v, each once, in graph order.
func (m *model) readers(v int32) []int32 {
	var out []int32
	for _, u := range m.users(v) {
		if !m.nodes[u].dead {
			out = append(out, u)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// maxTargets bounds how many layers one norm is folded into.
const maxTargets = 64

// targets lists the layers that read a norm's output, if nothing else does but its shape.
func (p *planner) targets(c *candidate) ([]follower, *fuse.Refusal) {
	type place struct {
		v int32
		way
	}
	var out []follower
	pending := []place{{v: c.y}}
	for len(pending) > 0 {
		at := pending[0]
		v := at.v
		pending = pending[1:]
		if r := p.checkNameUnique(v); r != nil {
			return nil, r
		}
		if p.values[v].flags&isOutput != 0 {
			return nil, fuse.Refuse(fuse.ReasonNoLayer, "%q is an output of the graph", p.name(v))
		}
		users := p.readers(v)
		if len(users) == 0 || len(users) > maxTargets || len(out) > maxTargets {
			return nil, fuse.Refuse(fuse.ReasonNoLayer, "%q has %d readers", p.name(v), len(users))
		}
		for _, u := range users {
			op := p.op(u)
			if readsShape[op] {
				continue
			}
			if p.in(u)[0] != v || slices.Contains(p.in(u)[1:], v) || p.nodes[u].graph != p.nodes[c.node].graph {
				return nil, fuse.Refuse(fuse.ReasonNoLayer, "%s reads it otherwise than as a layer's input", p.opName(u))
			}
			if next := p.out(u); passes[op] && len(next) > 0 && next[0] >= 0 {
				to := place{next[0], at.way}
				var r *fuse.Refusal
				switch {
				case op == "Identity" || op == "Dropout":
					r = p.checkDropout(u)
				case c.single():
					to.way.free = true
					r = p.checkNoPadding(u)
				default:
					to.way, r = p.through(u, at.way, c.norm)
				}
				if r != nil {
					return nil, r
				}
				pending = append(pending, to)
				continue
			}
			l, r := p.layerAt(u)
			if l == nil {
				return nil, fuse.Refuse(fuse.ReasonNoLayer, "%s reads it", p.opName(u))
			}
			if r != nil {
				return nil, r
			}
			out = append(out, follower{l, at.way})
		}
	}
	if len(out) == 0 {
		return nil, fuse.Refuse(fuse.ReasonNoLayer, "only the shape of %q is read", p.name(c.y))
	}
	return out, nil
}

// onFree is the map of a norm that does the same to every element, over channels that may be anywhere in what it reads.
func (p *planner) onFree(nm *norm, ax axis) (fuse.Affine, *fuse.Refusal) {
	if s := p.shape(nm.x); len(nm.k.dims) > 0 && (!s.known || len(s.dims) < len(nm.k.dims)) {
		return fuse.Affine{}, fuse.Refuse(fuse.ReasonBroadcast, "the constant %v may add axes to %q", nm.k.dims, p.name(nm.x))
	}
	ax.rank = max(ax.rank, len(nm.k.dims))
	return nm.on(ax)
}

// checkNoPadding refuses an AveragePool that adds elements which no norm has changed.
func (m *model) checkNoPadding(n int32) *fuse.Refusal {
	if as := m.attrs(n); m.op(n) == "AveragePool" && m.averagesZeros(n, &as) {
		return fuse.Refuse(fuse.ReasonAxis, "AveragePool may count padding, which no norm has changed")
	}
	return nil
}

// onInput is the norm's map over the input channels of a layer, if the fold is exact there.
func (p *planner) onInput(nm *norm, t follower) (a fuse.Affine, r *fuse.Refusal) {
	l := t.layer
	if l.noView != nil && !p.useValue(l) {
		return a, l.noView
	}
	switch {
	case l.moved:
		return a, fuse.Refuse(fuse.ReasonAxis, "transA moves the channels to the other axis")
	case t.way.free:
		a, r = p.onFree(nm, l.in)
	case t.way.moved:
		a, r = p.onMoved(nm, t)
	default:
		if a, r = nm.on(l.in); r == nil {
			r = p.checkBroadcast(nm, l.in)
		}
	}
	if r != nil || !a.HasShift() {
		return a, r
	}
	switch {
	case l.layout == fuse.ConvTranspose:
		return a, fuse.Refuse(fuse.ReasonTranspose, "its shift would have to vary along the borders")
	case l.padded:
		return a, fuse.Refuse(fuse.ReasonPadding, "the padding is added after the norm and stays zero")
	case l.weight.perm != nil && len(l.weight.dims) > 2 && !p.useValue(l):
		return a, fuse.Refuse(fuse.ReasonWeight, "the weight is stored transposed")
	}
	if l.kind == "MatMul" && l.add < 0 {
		if users := p.readers(p.out(l.node)[0]); len(users) == 1 {
			p.adoptAdd(users[0]) // the shift goes into it, if it is one
		}
	}
	return a, nil
}

// checkBroadcast refuses a constant that broadcasting would spread x over: without the norm, x would keep
// fewer axes or a single channel.
func (p *planner) checkBroadcast(nm *norm, ax axis) *fuse.Refusal {
	if nm.batch() || nm.legacy {
		return nil
	}
	s := p.shape(nm.x)
	if len(nm.k.dims) > 0 && (ax.rank < 0 || len(nm.k.dims) >= ax.rank) && len(s.dims) < len(nm.k.dims) {
		return fuse.Refuse(fuse.ReasonBroadcast, "the constant %v may add axes to %q", nm.k.dims, p.name(nm.x))
	}
	if !nm.single() && s.at(len(s.dims)-1-ax.fromEnd) != ax.channels {
		return fuse.Refuse(fuse.ReasonBroadcast, "%q may have a single channel", p.name(nm.x))
	}
	return nil
}
