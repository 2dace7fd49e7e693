package onnx

import (
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// tryAfter folds a norm into the layer before it:
//
//	layer → (Identity | Dropout | Transpose | Reshape | …)* → norm
//
// Every tensor on the way has one reader, so that nobody else sees the layer's changed output. A norm
// that alone would overflow may stand on the way: together with this one it may not.
func (p *planner) tryAfter(c *candidate) bool {
	if c.refused != nil || c.folded {
		return false
	}
	c.after = nil
	var shared *fuse.Refusal
	var path []int32
	waiting := 0
	at := c.x
	for {
		val := &p.values[at]
		n := val.producer
		if n < 0 || p.nodes[n].graph != p.nodes[c.node].graph {
			c.after = fuse.Refuse(fuse.ReasonNoLayer, "it reads %q", p.name(at))
			return false
		}
		if shared == nil {
			shared = p.checkOneReader(at)
		}
		if l, r := p.layerOrBias(n); l != nil {
			c.layer = l.node
			if r == nil {
				r = shared
			}
			if r != nil {
				c.after = r
				return false
			}
			return p.joinAfter(c, l, path)
		}
		if w := p.waiting(n); w != nil && waiting < maxWaiting {
			waiting++
			path = append(path, n)
			at = w.x
			continue
		}
		if p.op(n) == "Concat" && shared == nil && p.justPass(path) {
			return p.tryAcross(c, n)
		}
		if !passes[p.op(n)] || len(path) > maxConstDepth || len(p.in(n)) == 0 || p.in(n)[0] < 0 || p.out(n)[0] != at {
			c.after = fuse.Refuse(fuse.ReasonNoLayer, "it reads %q, the output of %s", p.name(at), p.opName(n))
			return false
		}
		path = append(path, n)
		at = p.in(n)[0]
	}
}

// maxWaiting bounds how many norms that overflow alone are tried together.
const maxWaiting = 8

// waiting returns the norm that node n is, if it only stays because the layer would overflow, or
// because alone it is nothing but a bias.
func (p *planner) waiting(n int32) *candidate {
	w := p.byNode[n]
	if w == nil || w.folded || !w.isBias && (w.after == nil || w.after.Reason != fuse.ReasonOverflow) {
		return nil
	}
	return w
}

// layerOrBias returns the layer that node n is, or whose bias it adds; then the Add is the layer's from now on.
func (p *planner) layerOrBias(n int32) (*layer, *fuse.Refusal) {
	if l := p.adds[n]; l != nil {
		return l, nil
	}
	if l, r := p.layerAt(n); l != nil {
		return l, r
	}
	return p.adoptAdd(n)
}

// joinAfter folds the norm into l, whose output reaches it along path (the norm's end first), together
// with the norms that wait on the path.
func (p *planner) joinAfter(c *candidate, l *layer, path []int32) bool {
	if l.add == c.node || l.kind == "MatMul" && l.add < 0 && c.op == "Add" && !l.fold.After.HasShift() && !l.fold.Before.HasShift() {
		// MatMul → Add is how a linear layer is written: there is nothing to fold.
		c.after = fuse.Refuse(fuse.ReasonNoLayer, "it is the layer's bias")
		c.isBias = true
		return false
	}
	var joints []joint
	ax, f, apart := l.out, l.fold, false
	r := p.checkNameUnique(c.y)
	for _, n := range slices.Backward(append([]int32{c.node}, path...)) {
		if r != nil {
			break
		}
		w := p.byNode[n]
		if w == nil {
			ax, r = p.pass(n, ax)
			apart = true
			continue
		}
		var a fuse.Affine
		if a, r = w.on(ax); r != nil {
			break
		}
		if w == c {
			r = p.extend(l, &f, fuse.After, a)
		} else if err := f.Add(fuse.After, a); err != nil {
			r = refusal(err)
		}
		joints = append(joints, joint{w, a, apart})
	}
	if r != nil {
		c.after = r
		return false
	}
	p.touch(l, f)
	for _, j := range joints {
		p.fold(j.candidate, fuse.Step{Norm: p.normInfo(j.norm), Layer: p.layerInfo(l.node), Direction: fuse.After, Affine: j.affine})
		j.after = nil
		if l.kind == "MatMul" && l.add < 0 && !j.apart && f.After.HasShift() {
			p.becomeAdd(j.norm, l)
		} else {
			p.takeName(j.norm)
		}
	}
	return true
}

// joint is a norm on its way into a layer, and its map over the layer's channels.
type joint struct {
	*candidate
	affine fuse.Affine
	apart  bool // something other than norms stands before it
}

// takeName removes a folded norm: the tensor that fed it takes the name of the one it gave.
func (p *planner) takeName(nm *norm) {
	from := p.values[nm.x].producer
	out := p.out(from)
	out[slices.Index(out, nm.x)] = nm.y
	p.nodes[from].dirty = true
	p.values[nm.y].producer = from
	p.renameReaders(nm)
	p.values[nm.x].producer = -1
	p.values[nm.x].flags |= isGone
	p.remove(nm.node)
}

// renameReaders lets those who ask for the shape of what a norm reads ask for what it gives.
func (p *planner) renameReaders(nm *norm) {
	var moved []int32
	for _, u := range p.readers(nm.x) {
		if u == nm.node {
			continue
		}
		for i, v := range p.in(u) {
			if v == nm.x {
				p.in(u)[i] = nm.y
				p.uses[nm.y]++
				moved = append(moved, u)
				p.nodes[u].dirty = true
			}
		}
	}
	if moved != nil {
		p.newUser[nm.y] = slices.Concat(p.users(nm.y), moved)
	}
}

// becomeAdd turns the norm into the Add of a MatMul that has none; its constant is the new bias.
func (p *planner) becomeAdd(nm *norm, l *layer) {
	in := p.in(nm.node)
	for _, v := range in {
		if v != nm.x {
			p.release(v)
		}
	}
	nd := &p.nodes[nm.node]
	in[0], in[1] = nm.x, -1
	p.links[nd.link+2] = nm.y // the outputs follow the inputs
	nd.nIn, nd.nOut = 2, 1
	l.add, l.biasSlot = nm.node, 1
	p.adds[nm.node] = l
}
