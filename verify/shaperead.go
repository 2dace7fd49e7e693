package verify

import "slices"

// shapeClaim is a claim about a tensor of which a node reads nothing but the shape: where a norm went
// into the layer before it, the layer's output has other values than it had, under the same shape.
type shapeClaim struct {
	b, a           value
	nb, na         *node   // the layers that they come from
	normsB, normsA []*norm // on the way from the layers
}

// readsShape reports whether a node reads only the shape of its first input.
func readsShape(n *node) bool { return n.op == "Shape" || n.op == "Size" }

// claimShape claims that two tensors have equal shapes. Where each comes from a layer through norms, it is
// enough that these are the same layer and that the norms do not change the shape, which is known when
// everything else is proven. Otherwise the values must be equal.
func (c *checker) claimShape(b, a value) {
	s := shapeClaim{b: b, a: a}
	s.nb, s.normsB = c.beforeNorms(b)
	s.na, s.normsA = c.beforeNorms(a)
	if s.nb == nil || s.na == nil {
		c.claim(b, a)
		return
	}
	c.shapes = append(c.shapes, s)
}

// beforeNorms is the layer that a tensor comes from by norms alone, nil for none.
func (c *checker) beforeNorms(v value) (*node, []*norm) {
	var norms []*norm
	for range maxChain {
		n := v.producer()
		if n == nil || isLayer(n) {
			return n, norms
		}
		b := c.normOf(n)
		switch {
		case b != nil:
			norms = append(norms, b)
			v = b.x
		case (n.op == "Identity" || n.op == "Dropout") && n.out[0] == v.name && len(n.in) > 0:
			v = n.g.find(n.in[0])
		default:
			return nil, nil
		}
	}
	return nil, nil
}

// leftShapes claims equal values where the shapes alone could not be proven equal. It reports whether it
// claimed anything.
func (c *checker) leftShapes() bool {
	any := false
	for _, s := range c.shapes {
		same := c.twin[s.nb] == s.na
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
