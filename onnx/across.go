package onnx

import (
	"github.com/bnfuse/bnfuse/fuse"
)

// branch is an input of a Concat: a layer and how its output gets there.
type branch struct {
	layer *layer
	path  []int32 // the nodes between, the one next to the Concat first
	ax    axis    // of the layer's channels in the input
	fold  fuse.Fold
}

// tryAcross folds a norm behind a Concat of channels into the layers of all its inputs, each of which takes the norm's
// part over its own channels:
//
//	layer → (Identity | Dropout | Transpose | …)* ─┐
//	layer → (Identity | Dropout | Transpose | …)* ─┴─ Concat → (Identity | Dropout)* → norm
func (p *planner) tryAcross(c *candidate, concat int32) bool {
	branches, r := p.branches(concat)
	var steps []fuse.Step
	if r == nil {
		steps, r = p.parts(c, concat, branches)
	}
	if r == nil {
		r = p.checkNameUnique(c.y)
	}
	if len(branches) > 0 {
		c.layer = branches[0].layer.node
	}
	if r != nil {
		c.after = r
		return false
	}
	for _, b := range branches {
		p.touch(b.layer, b.fold)
	}
	p.fold(c, steps...)
	p.takeName(c.norm)
	return true
}

// justPass reports whether nodes are none but Identity and Dropout at inference.
func (p *planner) justPass(path []int32) bool {
	for _, n := range path {
		if op := p.op(n); op != "Identity" && op != "Dropout" || p.checkDropout(n) != nil {
			return false
		}
	}
	return true
}

// branches finds the layers of a Concat's inputs. Every tensor on the way has one reader.
func (p *planner) branches(concat int32) ([]branch, *fuse.Refusal) {
	none := func(v int32) *fuse.Refusal {
		return fuse.Refuse(fuse.ReasonNoLayer, "it reads a Concat, and %q is no layer's output", p.name(v))
	}
	var list []branch
	for _, v := range p.in(concat) {
		if v < 0 {
			return nil, fuse.Refuse(fuse.ReasonUnsupportedOp, "a Concat's input is missing")
		}
		var b branch
		for at := v; b.layer == nil; {
			n := p.values[at].producer
			if n < 0 || p.nodes[n].graph != p.nodes[concat].graph {
				return nil, none(v)
			}
			l, r := p.layerOrBias(n)
			switch {
			case l == nil && (!passes[p.op(n)] || len(b.path) > maxConstDepth || len(p.in(n)) == 0 || p.in(n)[0] < 0 || p.out(n)[0] != at):
				return nil, none(v)
			case r != nil:
				return nil, r
			}
			if r := p.checkOneReader(at); r != nil {
				return nil, r
			}
			if b.layer = l; l == nil {
				b.path = append(b.path, n)
				at = p.in(n)[0]
			}
		}
		list = append(list, b)
	}
	return list, nil
}

// parts composes each layer's part of the norm into its fold.
func (p *planner) parts(c *candidate, concat int32, branches []branch) ([]fuse.Step, *fuse.Refusal) {
	as := p.attrs(concat)
	at := int(as.int("axis", 1))
	if r := as.refusal(); r != nil {
		return nil, r
	}
	all := axis{rank: -1}
	for i := range branches {
		b := &branches[i]
		b.ax, b.fold = b.layer.out, b.layer.fold
		var r *fuse.Refusal
		for j := len(b.path) - 1; j >= 0 && r == nil; j-- {
			b.ax, r = p.pass(b.path[j], b.ax)
		}
		if r == nil {
			r = b.ax.lost
		}
		if r != nil {
			return nil, r
		}
		if i == 0 {
			all.rank, all.fromEnd = b.ax.rank, b.ax.fromEnd
			if at < 0 {
				at += b.ax.rank
			}
		}
		if b.ax.rank < 0 || b.ax.rank != all.rank || b.ax.fromEnd != all.fromEnd || b.ax.rank-1-b.ax.fromEnd != at || b.ax.ifNorm || b.ax.per > 1 {
			return nil, fuse.Refuse(fuse.ReasonAxis, "the Concat's axis is not provably that of the channels of %q", p.nodeName(b.layer.node))
		}
		all.channels += b.ax.channels
	}
	whole, r := c.on(all)
	if r != nil {
		return nil, r
	}
	var steps []fuse.Step
	from := 0
	for i := range branches {
		b := &branches[i]
		to := from + b.ax.channels
		part := fuse.Affine{Scale: whole.Scale[from:to:to], Shift: whole.Shift[from:to:to]}
		if r := p.extend(b.layer, &b.fold, fuse.After, part); r != nil {
			return nil, r
		}
		steps = append(steps, fuse.Step{Norm: p.normInfo(c.norm), Layer: p.layerInfo(b.layer.node), Direction: fuse.After, Affine: part})
		from = to
	}
	return steps, nil
}
