package verify

import "slices"

// passes reports whether a node moves elements, drops none and computes nothing: a norm behind it may be
// folded into a layer before it.
func (c *checker) passes(n *node) bool {
	switch {
	case len(n.in) == 0 || len(n.out) == 0:
		return false
	case n.op == "Identity", n.op == "Transpose", keepsOrder[n.op]:
		return true
	}
	return n.op == "Dropout" && c.atInference(n)
}

// atInference reports whether a Dropout passes everything.
func (c *checker) atInference(n *node) bool {
	switch opset := n.opset(); {
	case opset < 1:
		return false
	case opset < 7:
		test, ok := n.int("is_test", 0)
		return ok && test != 0
	case opset >= 12 && n.input(2) != "":
		k := c.constant(n.g.find(n.in[2]))
		return k != nil && len(k.i) == 1 && k.i[0] == 0
	}
	return true
}

// through follows the channels through a node that passes.
func (c *checker) through(n *node, ax axis) (axis, bool) {
	switch n.op {
	case "Identity", "Dropout":
		return ax, true
	case "Transpose":
		perm, ok := permOf(n, max(ax.rank, 0))
		if !ok || ax.rank < 0 {
			return ax, false
		}
		ax.fromEnd = ax.rank - 1 - slices.Index(perm, ax.rank-1-ax.fromEnd)
		return ax, true
	}
	from, to := c.shape(n.g.find(n.in[0])), c.shape(n.g.find(n.out[0]))
	if !to.known || ax.channels <= 0 {
		return ax, false
	}
	if !from.known && ax.rank >= 0 {
		from = ranked(ax.rank)
	}
	if !from.known { // the channels are the last axis before; they must be the last one after
		last := len(to.dims) - 1
		return axis{len(to.dims), 0, ax.channels}, ax.fromEnd == 0 && last >= 0 && to.dims[last] == ax.channels
	}
	at := len(from.dims) - 1 - ax.fromEnd
	if at < 0 {
		return ax, false
	}
	from.dims = slices.Clone(from.dims)
	from.dims[at] = ax.channels
	// The order stays, so the channels are the axis of their number with as many elements behind it.
	if behind := product(from.dims[at+1:]); behind > 0 {
		for i, d := range to.dims {
			if d == ax.channels && product(to.dims[i+1:]) == behind {
				return axis{len(to.dims), len(to.dims) - 1 - i, ax.channels}, true
			}
		}
	}
	// Or all axes up to the channels' are as before.
	if at < len(to.dims) && c.samePrefix(n, from.dims[:at+1], to.dims) {
		return axis{len(to.dims), len(to.dims) - 1 - at, ax.channels}, true
	}
	return ax, false
}

// samePrefix reports whether the output's first axes are the input's: of equal size, or copied by a zero
// in Reshape's target.
func (c *checker) samePrefix(n *node, from, to []int) bool {
	var list []int64
	if zero, ok := n.int("allowzero", 0); n.op == "Reshape" && ok && zero == 0 {
		list, _ = n.ints("shape")
		if name := n.input(1); name != "" {
			if k := c.constant(n.g.find(name)); k != nil {
				list = k.i
			}
		}
	}
	for i, d := range from {
		if (d <= 0 || d != to[i]) && (i >= len(list) || list[i] != 0) {
			return false
		}
	}
	return true
}
