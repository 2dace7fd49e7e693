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

// claimShape claims that two tensors have equal shapes. Where each comes from a layer through norms, it is
// enough that these are the same layer and that the norms do not change the shape, which is known when
// everything else is proven. Where each comes through norms from something else, that must be equal.
func (c *checker) claimShape(b, a value) {
	s := shapeClaim{b: b, a: a}
	fromB, normsB := c.beforeNorms(b)
	fromA, normsA := c.beforeNorms(a)
	s.normsB, s.normsA = normsB, normsA
	s.nb, s.na = fromB.producer(), fromA.producer()
	switch layerB, layerA := s.nb != nil && isLayer(s.nb), s.na != nil && isLayer(s.na); {
	case layerB != layerA:
		c.claim(b, a)
		return
	case !layerB:
		s.nb, s.na = nil, nil
		c.claim(fromB, fromA)
	}
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
		b := c.normOf(n)
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
