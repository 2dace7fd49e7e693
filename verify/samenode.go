package verify

import "google.golang.org/protobuf/encoding/protowire"

// sameNode reports whether two nodes say the same: name, operator, attributes, documentation, whatever a
// later version may add. Inputs, outputs and subgraphs are compared elsewhere.
func (c *checker) sameNode(nb, na *node) bool { return c.sameNodeBut(nb, na, "") }

// sameNodeBut leaves an attribute out.
func (c *checker) sameNodeBut(nb, na *node, but string) bool {
	if nb.key != na.key || nb.op != na.op || nb.name != na.name || !c.sameSpans(nb.g.m, nb.rest, na.g.m, na.rest) {
		return false
	}
	without := func(list []*attribute) []*attribute {
		var kept []*attribute
		for _, a := range list {
			if a.name != but || but == "" {
				kept = append(kept, a)
			}
		}
		return kept
	}
	b, a := without(nb.attrs), without(na.attrs)
	if len(b) != len(a) {
		return false
	}
	for i := range b {
		if !c.sameAttribute(nb.g.m, b[i], na.g.m, a[i]) {
			return false
		}
	}
	return true
}

// sameAttribute compares two attributes but for their graphs.
func (c *checker) sameAttribute(mb *model, b *attribute, ma *model, a *attribute) bool {
	if len(b.graphs) != len(a.graphs) || (b.tensor == nil) != (a.tensor == nil) {
		return false
	}
	const t, g, graphs = 5, 6, 11
	same, err := sameFields(mb, []span{b.at}, ma, []span{a.at}, func(num protowire.Number) bool { return num == t || num == g || num == graphs })
	if err == nil && same && b.tensor != nil {
		var tb, ta *tensor
		if tb, err = mb.parseTensor(b.tensor...); err == nil {
			if ta, err = ma.parseTensor(a.tensor...); err == nil {
				same, err = sameTensor(tb, ta)
			}
		}
	}
	if err != nil {
		c.failed(err)
	}
	return same
}

func (c *checker) sameSpans(mb *model, b []span, ma *model, a []span) bool {
	if len(b) != len(a) {
		return false
	}
	for i := range b {
		if b[i].len() != a[i].len() {
			return false
		}
		same, err := sameRange(mb, b[i], ma, a[i])
		if err != nil {
			c.failed(err)
		}
		if !same {
			return false
		}
	}
	return true
}

// sameConstants reports whether two nodes read the same constants, as far as they are small. Norms that
// stand in a row may differ in nothing else.
func (c *checker) sameConstants(nb, na *node) bool {
	if c.normOf(na) == nil {
		return true
	}
	for i := range na.in {
		a := c.constant(na.g.find(na.in[i]))
		b := c.constant(nb.g.find(nb.input(i)))
		if (a == nil) != (b == nil) || a != nil && !sameArray(b, a) {
			return false
		}
	}
	return true
}
