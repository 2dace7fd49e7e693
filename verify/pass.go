package verify

import "slices"

// passes reports whether a node moves elements, or takes some or averages of some: a norm behind it may be folded into a
// layer before it.
func (c *checker) passes(n *node) bool {
	switch {
	case len(n.in) == 0 || len(n.out) == 0:
		return false
	case n.op == "Identity", n.op == "Transpose", keepsOrder[n.op], takesWithin[n.op]:
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

// past follows the channels through a node that passes, as far as they can be followed.
func (c *checker) past(n *node, ax axis) axis {
	zeros := ax.zeros || n.op == "AveragePool" && n.averagesPadding()
	if !ax.lost {
		to, ok := c.through(n, ax)
		if !ok {
			to = axis{rank: -1, channels: ax.channels * max(1, ax.each), lost: true}
		}
		ax = to
	}
	ax.zeros = zeros
	return ax
}

// at is the axis where it stands in a tensor of another rank.
func (ax axis) at(rank, i int) axis {
	ax.rank, ax.fromEnd = rank, rank-1-i
	return ax
}

// through follows the channels through a node that passes.
func (c *checker) through(n *node, ax axis) (axis, bool) {
	switch n.op {
	case "Identity", "Dropout":
		return ax, true
	}
	if ax.ifNorm {
		return ax, false
	}
	if takesWithin[n.op] {
		return c.within(n, ax)
	}
	switch n.op {
	case "Transpose":
		if list, ok := n.ints("perm"); ok && ax.rank < 0 && len(list) > ax.fromEnd {
			ax.rank = len(list)
		}
		perm, ok := permOf(n, max(ax.rank, 0))
		if !ok || ax.rank < 0 {
			return ax, false
		}
		ax.fromEnd = ax.rank - 1 - slices.Index(perm, ax.rank-1-ax.fromEnd)
		return ax, true
	case "Squeeze", "Unsqueeze":
		if to, ok := c.throughAxes(n, ax); ok {
			return to, true
		}
	case "Flatten":
		if at, ok := n.int("axis", 1); ok && at == 1 && ax.rank == 2 {
			return ax, true
		}
	}
	to, ok := c.throughSizes(n, ax)
	if !ok && c.joinsAll(n) && ax.rank > 2 && ax.fromEnd == ax.rank-2 && ax.each <= 1 {
		return axis{rank: 2, channels: ax.channels, ifNorm: true}, true
	}
	return to, ok
}

// throughSizes follows the channels through a node that keeps the elements in order, by the sizes of the axes.
func (c *checker) throughSizes(n *node, ax axis) (axis, bool) {
	from, to := c.shape(n.g.find(n.in[0])), c.shape(n.g.find(n.out[0]))
	if !to.known || ax.channels <= 0 {
		return ax, false
	}
	if !from.known && ax.rank >= 0 {
		from = ranked(ax.rank)
	}
	if !from.known { // the channels are the last axis before; they must be the last one after
		last := len(to.dims) - 1
		return ax.at(len(to.dims), last), ax.fromEnd == 0 && last >= 0 && to.dims[last] == ax.channels
	}
	at := len(from.dims) - 1 - ax.fromEnd
	if at < 0 {
		return ax, false
	}
	from.dims = slices.Clone(from.dims)
	from.dims[at] = ax.channels
	// All axes up to the channels' are as before.
	if at < len(to.dims) && c.samePrefix(n, from.dims[:at+1], to.dims) {
		return ax.at(len(to.dims), at), true
	}
	// Or, as the order stays, the channels are the axis of their number with as many elements behind it.
	if behind := product(from.dims[at+1:]); behind > 0 {
		for i, d := range to.dims {
			if d == ax.channels && product(to.dims[i+1:]) == behind {
				return ax.at(len(to.dims), i), true
			}
		}
	}
	// Or they are split, and an axis has the first part of them.
	if behind := product(from.dims[at+1:]); behind > 0 {
		for i, d := range slices.Backward(to.dims) {
			if d > 0 && ax.channels%d == 0 && product(to.dims[i:]) == ax.channels*behind {
				ax.each, ax.channels = max(1, ax.each)*(ax.channels/d), d
				return ax.at(len(to.dims), i), true
			}
		}
	}
	return ax, false
}

// throughAxes follows the channels through an operator that adds or takes out axes of one element, which
// needs no sizes.
func (c *checker) throughAxes(n *node, ax axis) (axis, bool) {
	var target *array
	if name := n.input(1); name != "" {
		if target = c.constant(n.g.find(name)); target == nil {
			return ax, false
		}
	}
	list, ok := n.ints("axes")
	if target != nil {
		list = target.i
	}
	if !ok || len(list) == 0 || ax.rank < 0 || ax.fromEnd >= ax.rank {
		return ax, false
	}
	const mark = -2 // no size of an axis
	dims := ranked(ax.rank).dims
	dims[ax.rank-1-ax.fromEnd] = mark
	to, ok := reshaped(n, dims, target)
	at := slices.Index(to, mark)
	return ax.at(len(to), at), ok && at >= 0
}

// samePrefix reports whether the output's first axes are the input's: of equal size, or copied by Reshape's target.
func (c *checker) samePrefix(n *node, from, to []int) bool {
	for i, d := range from {
		if (d <= 0 || d != to[i]) && !c.copies(n, i) {
			return false
		}
	}
	return true
}
