package verify

import (
	"fmt"
	"slices"
)

// towards is a norm's map over the input channels of the layer behind it, where its own channels arrive
// there: ax is the layer's axis.
func (c *checker) towards(b *norm, ax axis) ([]affine, error) {
	if !b.moved() {
		return b.on(ax)
	}
	if list, ok := c.sameForAll(b, ax.channels); ok {
		return list, nil
	}
	for _, from := range c.axesOf(b) {
		list, err := b.on(from)
		if err != nil {
			continue
		}
		to, flat, ok := c.follow(b.way, from)
		switch {
		case !ok:
		case flat != nil && ax.fromEnd == 0:
			if all := flat.columns(list, ax.channels); all != nil {
				return all, nil
			}
		case flat == nil && to.fromEnd == ax.fromEnd && to.each <= 1 && len(list) == ax.channels:
			return list, nil
		}
	}
	return nil, fmt.Errorf("its channels do not provably reach the layer's")
}

// sameForAll is the map of a norm that does the same to every element, which may then go anywhere. It must not add axes,
// and no average behind it may count elements that it was not done to.
func (c *checker) sameForAll(b *norm, channels int) ([]affine, bool) {
	s := c.shape(b.x)
	if b.batch || len(b.k.f) != 1 || len(b.k.dims) > 0 && (!s.known || len(s.dims) < len(b.k.dims)) {
		return nil, false
	}
	for _, n := range b.way {
		if n.op == "AveragePool" && n.averagesPadding() {
			return nil, false
		}
	}
	one, err := b.on(axis{rank: max(len(b.k.dims), 1), channels: 1})
	if err != nil {
		return nil, false
	}
	return repeat(one, channels), true
}

// moved reports whether anything on the way to the layer moves elements.
func (b *norm) moved() bool {
	for _, n := range b.way {
		if n.op != "Identity" && n.op != "Dropout" {
			return true
		}
	}
	return false
}

// axesOf are the axes that a norm can be over: of a BatchNormalization the second, whatever the rank.
func (c *checker) axesOf(b *norm) []axis {
	s := c.shape(b.x)
	if b.batch {
		rank := max(len(s.dims), 2)
		return []axis{{rank: rank, fromEnd: rank - 2, channels: len(b.p[0])}}
	}
	var list []axis
	for i := 1; i < len(s.dims); i++ {
		if s.dims[i] > 0 {
			list = append(list, axis{rank: len(s.dims), fromEnd: len(s.dims) - 1 - i, channels: s.dims[i]})
		}
	}
	return list
}

// flattened is a tensor of which all axes but the first were joined: before and behind are the sizes of the axes
// between the first and the channels, and behind these; -1 where they are not known.
type flattened struct{ before, behind int }

// columns are the maps of all columns; nil where not enough is known.
func (f *flattened) columns(list []affine, n int) []affine {
	if len(list) == 0 {
		return nil
	}
	before, behind := f.before, f.behind
	switch {
	case before > 0:
		behind = n / len(list) / before
	case behind > 0:
		before = n / len(list) / behind
	}
	if before < 1 || behind < 1 || before*len(list)*behind != n {
		return nil
	}
	return slices.Repeat(repeat(list, behind), before)
}

// follow takes the channels along a way. Behind a flattening they are columns.
func (c *checker) follow(way []*node, ax axis) (to axis, flat *flattened, ok bool) {
	for _, n := range way {
		switch {
		case n.op == "Identity" || n.op == "Dropout":
		case flat != nil && c.joinsAll(n): // it is flat already
		case flat != nil:
			return ax, flat, false
		case c.joinsAll(n) && (ax.fromEnd == 0 || ax.fromEnd == ax.rank-2 || c.hasRank(n, ax.rank)):
			flat = &flattened{before: 1, behind: 1}
			dims := c.shape(n.g.find(n.in[0])).dims
			if ax.fromEnd < ax.rank-2 {
				flat.before = -1
			}
			if ax.fromEnd > 0 && len(dims) == ax.rank {
				flat.behind = product(dims[ax.rank-ax.fromEnd:])
			}
		case !c.hasRank(n, ax.rank):
			return ax, nil, false
		default:
			if ax, ok = c.through(n, ax); !ok || ax.ifNorm {
				return ax, nil, false
			}
		}
	}
	return ax, flat, true
}

// joinsAll reports whether a node keeps a tensor's first axis and joins all others to one.
func (c *checker) joinsAll(n *node) bool {
	x := n.g.find(n.in[0])
	switch n.op {
	case "Flatten":
		at, ok := n.int("axis", 1)
		return ok && at == 1
	case "Reshape":
		from, to := c.shape(x), c.shape(n.g.find(n.out[0]))
		if len(to.dims) != 2 {
			return false
		}
		sameRows := len(from.dims) > 0 && from.dims[0] > 0 && from.dims[0] == to.dims[0]
		sameColumns := len(from.dims) > 1 && to.dims[1] > 0 && product(from.dims[1:]) == to.dims[1]
		return sameRows || sameColumns || c.copies(n, 0)
	}
	return false
}

// hasRank reports whether what a node reads is known to have so many axes.
func (c *checker) hasRank(n *node, rank int) bool {
	s := c.shape(n.g.find(n.in[0]))
	return s.known && len(s.dims) == rank
}

// repeat gives every channel n times in a row.
func repeat(list []affine, n int) []affine {
	out := make([]affine, 0, len(list)*n)
	for _, a := range list {
		for range n {
			out = append(out, a)
		}
	}
	return out
}
