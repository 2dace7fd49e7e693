package verify

import "slices"

// prove proves that p.b has the value of p.a, or reports why it does not seem to. What must hold of the
// inputs for that is claimed in turn.
//
// The heads of both sides are compared. Where they are the same node, the inputs must be equal. Where
// the original has a norm that the fused model has not, it is put on the trail, and the search goes on
// with what it reads, until both sides arrive at a layer.
func (c *checker) prove(p pair) { c.proveBehind(p, &trail{}) }

// proveBehind is prove where norms have been found behind p.
func (c *checker) proveBehind(p pair, t *trail) {
	b, a := p.b, p.a
	for range maxChain {
		nb, na := b.producer(), a.producer()
		if nb == nil || na == nil {
			if t.empty() {
				c.leaf(b, a)
			} else {
				c.lostNorms(t, b)
			}
			return
		}
		if isLayer(nb) && isLayer(na) && nb.op == na.op {
			c.layers(nb, na, t)
			return
		}
		if t.empty() && c.sameNode(nb, na) && c.sameConstants(nb, na) && !c.tookShift(nb, na) {
			c.match(nb, na, b, a)
			return
		}
		// An unchanged norm is the same node in both models; a norm after a MatMul may become its bias.
		norm := c.normOf(na)
		kept := t.empty() && c.sameNode(nb, na) && nb.out[0] == na.out[0]
		add := c.addedBehind(nb)
		switch {
		case norm != nil && (!kept || c.biasOf(na) != nil && add != nil):
			t.steps = append(t.steps, step{norm: norm})
			a = norm.x
			if kept {
				t.steps = append(t.steps, step{added: add})
				b = add.x
			}
		case add != nil && !kept:
			t.steps = append(t.steps, step{added: add})
			b = add.x
		case kept:
			c.match(nb, na, b, a)
			return
		case !t.empty() && c.passes(na) && b.name == nb.out[0] && a.name == na.out[0] && c.sameNode(nb, na):
			t.steps = append(t.steps, step{passB: nb, passA: na})
			b, a = nb.g.find(nb.in[0]), na.g.find(na.in[0])
		case !t.empty() && na.op == "Concat" && b.name == nb.out[0] && a.name == na.out[0] && c.sameNode(nb, na) && c.across(nb, na, t):
			return
		case t.empty():
			c.differ(p.b.name, "%v computes it, in the original %v does", nb, na)
			return
		default:
			c.lostNorms(t, p.b)
			return
		}
	}
	c.differ(p.b.name, "the chain of norms before it is too long")
}

// trail is the way from a tensor back to the layer it comes from.
type trail struct{ steps []step }

// step is one node of a trail: a norm of the original that is gone, an Add of the fused model that holds
// a MatMul's bias, or a node of both models that computes nothing.
type step struct {
	norm, added  *norm
	passB, passA *node
}

func (t *trail) empty() bool { return len(t.steps) == 0 }

// norms are the original's, in the order of the graph.
func (t *trail) norms() []*norm {
	var list []*norm
	for i := len(t.steps) - 1; i >= 0; i-- {
		if n := t.steps[i].norm; n != nil {
			list = append(list, n)
		}
	}
	return list
}

// lostNorms reports norms that are gone and are in no layer.
func (c *checker) lostNorms(t *trail, b value) {
	for _, n := range t.norms() {
		c.spend(n)
		c.differ(n.n.String(), "it is gone from before %q, and no layer there could have taken it", b.name)
	}
	for _, s := range t.steps {
		if s.added != nil && s.added.n.shift != nil {
			c.spend(s.added)
		} else if s.added != nil {
			c.explained[s.added.n] = true
			c.differ(s.added.n.String(), "the original has no such node, and no MatMul there needs a bias")
		}
	}
}

// biasOf is the Add that a node is, if a MatMul lies behind it and it may be its bias.
func (c *checker) biasOf(n *node) *norm {
	if n.shift != nil {
		return n.shift
	}
	if n.op != "Add" {
		return nil
	}
	add := c.normOf(n)
	if add == nil || c.matMulOf(add) == nil {
		return nil
	}
	return add
}

// addedBehind is biasOf in the fused model: there, a norm in between stayed, and the Add is no bias.
func (c *checker) addedBehind(n *node) *norm {
	add := c.biasOf(n)
	if add == nil || n.shift != nil {
		return add
	}
	v := add.x
	for p := v.producer(); p.op != "MatMul"; p = v.producer() {
		if !c.passes(p) {
			return nil
		}
		v = p.g.find(p.in[0])
	}
	if l, err := c.layerOf(v.producer()); err != nil || !add.adds(c.outAxis(l)) {
		return nil
	}
	return add
}

// adds reports whether a norm is one over the channels of a tensor.
func (b *norm) adds(ax axis) bool {
	_, err := b.on(ax)
	return err == nil
}

// matMulOf is the MatMul that a norm may belong to, behind norms and nodes that compute nothing.
func (c *checker) matMulOf(add *norm) *node {
	v := add.x
	for range maxChain {
		n := v.producer()
		switch {
		case n == nil:
			return nil
		case n.op == "MatMul":
			return n
		case c.passes(n):
			v = n.g.find(n.in[0])
		default:
			between := c.normOf(n)
			if between == nil {
				return nil
			}
			v = between.x
		}
	}
	return nil
}

// tookShift reports whether an Add that adds what it did may have been written anew: it has another tensor, or its
// MatMul reads something else, and the shift of a norm before that was too small to show.
func (c *checker) tookShift(nb, na *node) bool {
	b, a := c.addedBehind(nb), c.biasOf(na)
	if b == nil || a == nil || nb.shift != nil {
		return false
	}
	mb, ma := c.matMulOf(b), c.matMulOf(a)
	return mb != nil && ma != nil && (mb.input(0) != ma.input(0) || b.params[0].name != a.params[0].name)
}

// leaf compares tensors that no node computes on at least one side.
func (c *checker) leaf(b, a value) {
	tb, ta := b.stored(), a.stored()
	switch {
	case b.g == nil || a.g == nil:
		if b != a {
			c.differ(b.name, "it is read where the original reads %q", a.name)
		}
	case tb != nil && ta != nil:
		c.accounted[b], c.accounted[a] = true, true
		if b.name != a.name {
			c.differ(b.label(), "it is read where the original reads the tensor %q", a.label())
		} else if !c.same(tb, ta) {
			c.differ(b.label(), "%s", whatChanged(tb, ta))
		}
	case c.partner[b.g] != a.g || b.name != a.name || tb != nil || ta != nil || b.producer() != nil || a.producer() != nil:
		c.differ(b.name, "it is read where the original reads %q, which is another tensor", a.name)
	}
}

// match accounts for a node that both models have and claims that its inputs are equal.
func (c *checker) match(nb, na *node, b, a value) {
	c.pairNodes(nb, na)
	if b.name != a.name || !slices.Equal(nb.out, na.out) {
		c.differ(nb.String(), "its outputs are %q, in the original %q", nb.out, na.out)
	}
	from := 0
	if readsShape(na) && len(nb.in) == 1 && len(na.in) == 1 {
		c.claimShape(nb.g.find(nb.in[0]), na.g.find(na.in[0]))
		from = 1
	}
	c.claimInputs(nb, na, from)
	c.claimGraphs(nb, na)
}

// pairNodes accounts for a node of each model. One node cannot stand for two: what it computes may be
// random.
func (c *checker) pairNodes(nb, na *node) {
	c.explained[nb], c.explained[na] = true, true
	if x, y := c.twin[nb], c.twin[na]; x != nil && x != na || y != nil && y != nb || c.partner[nb.g] != na.g {
		c.differ(nb.String(), "it stands where the original has %v, and elsewhere for another node", na)
	}
	c.twin[nb], c.twin[na] = na, nb
	gotBias := isLayer(nb) && len(nb.in) == 3 && len(na.in) == 2
	if len(nb.in) != len(na.in) && !gotBias || len(nb.out) != len(na.out) {
		c.differ(nb.String(), "it has %d inputs and %d outputs, in the original %d and %d", len(nb.in), len(nb.out), len(na.in), len(na.out))
	}
}

// claimInputs claims that two nodes have equal inputs, from one of them on.
func (c *checker) claimInputs(nb, na *node, from int) {
	for i := from; i < max(len(nb.in), len(na.in)); i++ {
		switch x, y := nb.input(i), na.input(i); {
		case x == "" && y == "":
		case x == "" || y == "":
			c.differ(nb.String(), "its input %d is %q, in the original %q", i, x, y)
		default:
			c.claim(nb.g.find(x), na.g.find(y))
		}
	}
}

func (c *checker) claimGraphs(nb, na *node) {
	for i, x := range nb.attrs {
		if i >= len(na.attrs) || len(na.attrs[i].graphs) != len(x.graphs) {
			continue // sameNode has said so
		}
		for j, g := range x.graphs {
			c.pairGraphs(g, na.attrs[i].graphs[j])
		}
	}
}
