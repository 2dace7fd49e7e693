package verify

import (
	"fmt"
	"math"
	"slices"
)

// norm is a node of the original that computes a per-channel affine map: a BatchNormalization, or an
// Add, Sub, Mul or Div with a constant.
type norm struct {
	n      *node
	x      value
	params []value // the constants
	batch  bool
	p      [4][]float64 // γ, β, μ, σ²
	eps    float64
	k      *array
	first  bool // the constant is the first operand

	way []*node // of a norm before a layer: what lies between, in order

	part *part // of a norm behind a Concat: what one of its inputs has
}

// axis is where a tensor's channels stand. The rank is -1 where only their distance from the end is known.
type axis struct {
	rank, fromEnd, channels int

	// ifNorm: behind Flatten the columns are the channels if each has one element, which a norm over as
	// many channels proves: over more columns it would be no valid norm.
	ifNorm bool

	each int  // how many of the layer's channels, side by side, one of these stands for; 0 is 1
	lost bool // no axis has the channels any more, so that only what is the same for all can follow

	zeros bool // zeros were averaged with them: what is added behind is not what would be added before
}

// normOf is the norm a node is at inference, nil for none.
func (c *checker) normOf(n *node) *norm {
	switch n.op {
	case "BatchNormalization":
		return c.batchNormOf(n)
	case "Add", "Sub", "Mul", "Div":
		return c.writtenNormOf(n)
	}
	return nil
}

func (c *checker) batchNormOf(n *node) *norm {
	opset := n.opset()
	if len(n.in) != 5 || len(n.out) == 0 || opset < 1 {
		return nil
	}
	for _, name := range n.out[1:] {
		if name != "" {
			return nil // it gives the statistics of training
		}
	}
	training, ok := n.int("training_mode", 0)
	test, ok2 := n.int("is_test", 0)
	spatial, ok3 := n.int("spatial", 1)
	eps, ok4 := n.float("epsilon", float64(float32(1e-5)))
	if !ok || !ok2 || !ok3 || !ok4 || training != 0 || opset < 7 && test == 0 || opset < 9 && spatial == 0 {
		return nil
	}
	b := &norm{n: n, x: n.g.find(n.in[0]), batch: true, eps: eps}
	for i := range b.p {
		v := n.g.find(n.in[i+1])
		k := c.constant(v)
		if k == nil || !k.isFloat() || len(k.dims) != 1 {
			return nil
		}
		b.p[i], b.params = k.f, append(b.params, v)
	}
	return b
}

func (c *checker) writtenNormOf(n *node) *norm {
	if len(n.in) != 2 || len(n.out) != 1 {
		return nil
	}
	for i := range 2 {
		v := n.g.find(n.in[1-i])
		if k := c.constant(v); k != nil && k.isFloat() {
			x := n.g.find(n.in[i])
			if c.constant(x) != nil {
				return nil
			}
			if n.opset() >= 7 {
				k = c.least(k, x)
			}
			return &norm{n: n, x: x, params: []value{v}, k: k, first: i == 1}
		}
	}
	return nil
}

// least is the smallest constant that does to x what k does: where x is as long as k along an axis, and k's elements are
// all the same along it, the first of them does.
func (c *checker) least(k *array, x value) *array {
	for i, d := range k.dims {
		inner := product(k.dims[i+1:])
		if d <= 1 || inner <= 0 {
			continue
		}
		one := &array{elem: k.elem, dims: slices.Concat(k.dims[:i], []int{1}, k.dims[i+1:])}
		same := true
		for at, f := range k.f {
			if at/inner%d == 0 {
				one.f = append(one.f, f)
			}
			same = same && f == k.f[at-at/inner%d*inner]
		}
		if !same {
			continue
		}
		if s := c.shape(x); s.known && len(s.dims) >= len(k.dims) && s.dims[len(s.dims)-len(k.dims)+i] == d {
			k = one
		}
	}
	return k
}

// on is the norm's map over the channels of a layer, which stand at an axis of what the norm reads, or why it is
// none there.
func (b *norm) on(ax axis) ([]affine, error) {
	if b.part != nil {
		return b.onPart(ax)
	}
	if ax.lost && (b.batch || len(b.k.f) != 1) {
		return nil, fmt.Errorf("which axis has the layer's channels is not known")
	}
	list, err := b.over(ax)
	if ax.zeros && slices.ContainsFunc(list, func(a affine) bool { return a.t.Sign() != 0 }) {
		return nil, fmt.Errorf("an AveragePool before it may count padding, to which nothing was added")
	}
	if err != nil || ax.each <= 1 {
		return list, err
	}
	return repeat(list, ax.each), nil
}

// over is the norm's map over an axis.
func (b *norm) over(ax axis) ([]affine, error) {
	out := make([]affine, ax.channels)
	if b.batch {
		if ax.rank < 0 || ax.fromEnd != ax.rank-2 {
			return nil, fmt.Errorf("its axis 1 is not provably the axis of the layer's channels")
		}
		for _, p := range b.p {
			if len(p) != ax.channels {
				return nil, fmt.Errorf("it has %d channels, the layer %d", len(p), ax.channels)
			}
		}
		for i := range out {
			var err error
			if out[i], err = batchNorm(b.p[0][i], b.p[1][i], b.p[2][i], b.p[3][i], b.eps); err != nil {
				return nil, fmt.Errorf("channel %d: %w", i, err)
			}
		}
		return out, nil
	}
	perChannel, err := b.spread(ax)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if out[i], err = written(b.n.op, b.first, b.k.f[i*perChannel]); err != nil {
			return nil, fmt.Errorf("channel %d: %w", i, err)
		}
	}
	return out, nil
}

// spread reports how the constant meets the channels: 1 for an element each, 0 for one for all.
func (b *norm) spread(ax axis) (int, error) {
	refuse := func() (int, error) {
		return 0, fmt.Errorf("its constant of dims %v is not one number for each of %d channels at axis %d from the end", b.k.dims, ax.channels, ax.fromEnd)
	}
	dims := b.k.dims
	if b.n.opset() < 7 {
		return b.spreadLegacy(ax, refuse)
	}
	if len(dims) > 1 && (ax.rank < 0 && len(dims) > ax.fromEnd+1 || ax.rank >= 0 && len(dims) > ax.rank) {
		return refuse() // it might raise the rank
	}
	for i, d := range dims {
		if d != 1 && (len(dims)-1-i != ax.fromEnd || d != ax.channels) {
			return refuse()
		}
	}
	if product(dims) == 1 {
		return 0, nil
	}
	return 1, nil
}

// spreadLegacy follows the rules before opset 7: the second operand is fitted to the first, at the axis
// that the attribute says or at the end.
func (b *norm) spreadLegacy(ax axis, refuse func() (int, error)) (int, error) {
	on, ok := b.n.int("broadcast", 0)
	at, ok2 := b.n.int("axis", math.MinInt64)
	if !ok || !ok2 || b.first || on != 1 {
		return refuse()
	}
	dims := b.k.dims
	if product(dims) == 1 {
		return 0, nil
	}
	last := len(dims) - 1 // distance from the end of the constant's first axis
	if at != math.MinInt64 {
		if at < 0 {
			last = int(-at) - 1
		} else if ax.rank < 0 {
			return refuse()
		} else {
			last = ax.rank - 1 - int(at)
		}
	}
	for i, d := range dims {
		if d != 1 && (last-i != ax.fromEnd || d != ax.channels) {
			return refuse()
		}
	}
	return 1, nil
}

// elem is the type that the norm's bias has in a checkpoint, which need not be the layer's.
func (b *norm) elem(layers int32) int32 {
	if t := b.params[0].stored(); t != nil && t.state != nil {
		return t.elem
	}
	return layers
}
