package verify

import "slices"

// shapeClaim is a claim about a tensor of which a node reads nothing but the shape: where a norm went
// into the layer before it, the layer's output has other values than it had, under the same shape.
type shapeClaim struct {
	b, a           value
	nb, na         *node   // the layers that they come from; nil where what they come from is claimed equal
	normsB, normsA []*norm // on the way from the layers
}

// readsShape reports whether a node reads only the shape of its first input.
func readsShape(n *node) bool { return n.op == "Shape" || n.op == "Size" }

// claimShape claims that two tensors have equal shapes. Through norms, and through nodes that both models have
// and that move elements, it goes up both models. Where each comes from a layer, it is enough that these are the
// same layer and that the norms do not change the shape, which is known when everything else is proven. Where
// each comes from a Concat, its inputs have equal shapes. Where each comes from something else, that must be equal.
func (c *checker) claimShape(b, a value) {
	if c.shaped[pair{b, a}] {
		return
	}
	c.shaped[pair{b, a}] = true
	s := shapeClaim{b: b, a: a}
	for range maxChain {
		var normsB, normsA []*norm
		b, normsB = c.beforeNorms(b)
		a, normsA = c.beforeNorms(a)
		s.normsB, s.normsA = append(s.normsB, normsB...), append(s.normsA, normsA...)
		nb, na := b.producer(), a.producer()
		if nb != nil && na != nil && isLayer(nb) && isLayer(na) {
			s.nb, s.na = nb, na
			c.shapes = append(c.shapes, s)
			return
		}
		if nb == nil || na == nil || isLayer(nb) || isLayer(na) || !c.passes(na) && na.op != "Concat" || !c.sameNode(nb, na) {
			break
		}
		c.pairNodes(nb, na)
		if na.op == "Concat" {
			for i := range min(len(nb.in), len(na.in)) {
				c.claimShape(nb.g.find(nb.in[i]), na.g.find(na.in[i]))
			}
			c.shapes = append(c.shapes, s)
			return
		}
		c.claimInputs(nb, na, 1)
		b, a = nb.g.find(nb.in[0]), na.g.find(na.in[0])
	}
	c.claim(b, a)
	c.shapes = append(c.shapes, s)
}

// beforeNorms is what a tensor comes from by norms alone.
func (c *checker) beforeNorms(v value) (value, []*norm) {
	var norms []*norm
	for range maxChain {
		n := v.producer()
		if n == nil || isLayer(n) {
			break
		}
		b := n.shift
		if b == nil {
			b = c.normOf(n)
		}
		switch {
		case b != nil:
			norms = append(norms, b)
			v = b.x
		case (n.op == "Identity" || n.op == "Dropout") && n.out[0] == v.name && len(n.in) > 0:
			v = n.g.find(n.in[0])
		default:
			return v, norms
		}
	}
	return v, norms
}

// leftShapes claims equal values where the shapes alone could not be proven equal. It reports whether it
// claimed anything.
func (c *checker) leftShapes() bool {
	any := false
	for _, s := range c.shapes {
		same := s.nb == nil || c.twin[s.nb] == s.na
		for _, n := range s.normsA {
			same = same && (n.batch || c.folded[n.n] || slices.ContainsFunc(s.normsB, func(b *norm) bool { return c.twin[b.n] == n.n }))
		}
		for _, n := range s.normsB {
			same = same && (n.batch || c.folded[n.n] || slices.ContainsFunc(s.normsA, func(a *norm) bool { return c.twin[a.n] == n.n }))
		}
		if !same {
			c.claim(s.b, s.a)
			any = true
		}
	}
	c.shapes = nil
	return any
}

// keepsShape reports whether a norm before a layer gives the shape of what it reads: a constant has no axis that
// broadcasting would spread the other over. ax is the layer's.
func (c *checker) keepsShape(n *norm, ax axis) bool {
	if n.batch || product(n.k.dims) == 1 && !n.moved() && len(n.k.dims) <= ax.rank {
		return true
	}
	s := c.shape(n.x)
	more := len(s.dims) - len(n.k.dims)
	if !s.known || more < 0 {
		return false
	}
	for i, d := range n.k.dims {
		if d != 1 && d != s.dims[more+i] {
			return false
		}
	}
	return true
}
