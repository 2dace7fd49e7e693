package verify

import (
	"fmt"
	"slices"
)

// layer is a Conv, ConvTranspose, Gemm or MatMul of either model.
type layer struct {
	n      *node
	x      value
	weight *weight
	groups int
	transB bool
	alpha  float64 // Gemm's factor of the product
	beta   float64 // and of the bias

	in, out int // channels
}

func isLayer(n *node) bool {
	return n != nil && (n.op == "Conv" || n.op == "ConvTranspose" || n.op == "Gemm" || n.op == "MatMul")
}

// layerOf is nil, with the reason, where the weight is not constant or the layer's form is not known.
func (c *checker) layerOf(n *node) (*layer, error) {
	l := &layer{n: n, groups: 1, alpha: 1, beta: 1}
	if len(n.in) < 2 || len(n.out) != 1 {
		return nil, fmt.Errorf("%v has %d inputs and %d outputs", n, len(n.in), len(n.out))
	}
	l.x = n.g.find(n.in[0])
	if l.weight = c.weightOf(n.g.find(n.in[1])); l.weight == nil {
		return nil, fmt.Errorf("the weight %q is not a constant of a known form", n.in[1])
	}
	dims := l.weight.dims
	switch n.op {
	case "Conv", "ConvTranspose":
		g, ok := n.int("group", 1)
		if !ok && n.op == "Conv" {
			g, ok = 1, true // whatever the caller of the function says, the outputs are axis 0
		}
		if !ok || len(dims) < 3 || g < 1 || dims[0]%int(g) != 0 {
			return nil, fmt.Errorf("%v: weight %v in %d groups", n, dims, g)
		}
		l.groups = int(g)
		l.out, l.in = dims[0], dims[1]*int(g)
		if n.op == "ConvTranspose" {
			l.out, l.in = l.in, l.out
		}
		return l, nil
	case "Gemm":
		transB, ok := n.int("transB", 0)
		alpha, _ := n.float("alpha", 1)
		beta, ok2 := n.float("beta", 1)
		if !ok || !ok2 {
			return nil, fmt.Errorf("%v: its attributes are its function's", n)
		}
		if alpha-alpha != 0 || beta-beta != 0 {
			return nil, fmt.Errorf("%v: alpha is %v and beta %v", n, alpha, beta)
		}
		l.transB, l.alpha, l.beta = transB != 0, alpha, beta
	}
	if len(dims) != 2 {
		return nil, fmt.Errorf("%v: weight %v", n, dims)
	}
	l.in, l.out = dims[0], dims[1]
	if l.transB {
		l.in, l.out = l.out, l.in
	}
	return l, nil
}

// outAxis is where the layer's output has its channels.
func (c *checker) outAxis(l *layer) axis {
	switch l.n.op {
	case "Gemm":
		return axis{rank: 2, channels: l.out}
	case "MatMul":
		ax := axis{rank: -1, channels: l.out}
		for _, v := range []value{l.x, l.n.g.find(l.n.out[0])} { // a product has its first factor's rank
			if s := c.shape(v); s.known {
				ax.rank = len(s.dims)
			}
		}
		return ax
	}
	rank := len(l.weight.dims)
	return axis{rank: rank, fromEnd: rank - 2, channels: l.out}
}

// inAxis is where the layer's input has the channels that it sums over.
func (c *checker) inAxis(l *layer) (axis, error) {
	ax := c.outAxis(l)
	ax.channels = l.in
	if t, ok := l.n.int("transA", 0); !ok || t != 0 {
		return ax, fmt.Errorf("%v transposes its input", l.n)
	}
	for _, name := range []string{"group", "alpha"} {
		if a := l.n.attr(name); a != nil && a.ref {
			return ax, fmt.Errorf("the %s of %v is its function's", name, l.n)
		}
	}
	return ax, nil
}

// padded reports whether the window of a convolution may leave its input, where a shift would be missing.
func (l *layer) padded() bool {
	if l.n.op == "ConvTranspose" {
		return true
	}
	if a := l.n.attr("auto_pad"); a != nil && (a.ref || a.s != "NOTSET" && a.s != "VALID" && a.s != "") {
		return a.ref || product(l.weight.dims[2:]) != 1 // a window of one element has nothing to pad
	}
	pads, ok := l.n.ints("pads")
	return !ok || slices.ContainsFunc(pads, func(p int64) bool { return p != 0 })
}

// weight is a constant that a layer reads, as it is stored.
type weight struct {
	t     *tensor // nil where it is computed
	made  *array  // its value where it is computed
	name  string  // of what is stored
	at    value   // what is stored
	owner *node   // the Constant node that stores it, if one does
	dims  []int   // as the layer sees it
	perm  []int   // axis i of dims is axis perm[i] of the stored tensor; nil: the order is the same
	path  []*node // between, the one next to the layer first
}

// weightOf finds where a weight is stored:
//
//	stored tensor → (Identity | Transpose | Reshape | Squeeze | Unsqueeze | Flatten)* → layer
//
// A small one may be computed.
func (c *checker) weightOf(v value) *weight {
	w := &weight{at: v}
	for w.at.g != nil && len(w.path) < maxChain {
		if t := w.at.stored(); t != nil {
			if w.at.overridable() {
				return nil
			}
			w.t = t
			break
		}
		n := w.at.producer()
		if n == nil {
			return nil
		}
		if w.t = c.constantTensor(n); w.t != nil {
			w.owner = n
			break
		}
		if n.op != "Identity" && n.op != "Transpose" && !keepsOrder[n.op] || len(n.in) == 0 {
			break
		}
		w.path = append(w.path, n)
		w.at = n.g.find(n.in[0])
	}
	if w.t != nil && formatOf(w.t.elem) != nil && !w.t.sparse && w.t.nElem() >= 0 && c.moved(w) {
		w.name = w.at.label()
		return w
	}
	k := c.constant(v)
	if k == nil || !k.isFloat() {
		return nil
	}
	return &weight{made: k, at: v, name: v.name, dims: k.dims}
}

// inOrder is a small weight that is stored transposed as its value, in the layer's order of axes.
func (c *checker) inOrder(l *layer) *weight {
	v := l.n.g.find(l.n.in[1])
	k := c.constant(v)
	if l.weight.perm == nil || k == nil || !k.isFloat() {
		return l.weight
	}
	return &weight{made: k, at: v, name: v.name, dims: k.dims}
}

// moved works out dims and perm from the path.
func (c *checker) moved(w *weight) bool {
	w.dims = w.t.dims
	for _, n := range slices.Backward(w.path) {
		switch n.op {
		case "Identity":
		case "Transpose":
			perm, ok := permOf(n, len(w.dims))
			if !ok || w.perm == nil && !slices.Equal(w.dims, w.t.dims) {
				return false
			}
			if w.perm != nil {
				w.perm = permuted(w.perm, perm)
			} else {
				w.perm = perm
			}
			w.dims = permuted(w.dims, perm)
			if slices.IsSorted(w.perm) {
				w.perm = nil
			}
		default:
			s := c.reshape(n, shape{w.dims, true})
			if !s.known || w.perm != nil || product(s.dims) != w.t.nElem() {
				return false
			}
			w.dims = s.dims
		}
	}
	return true
}

// elem is the weight's ONNX element type.
func (w *weight) elem() int32 {
	if w.t != nil {
		return w.t.elem
	}
	return w.made.elem
}

// stored is the shape that the elements lie in.
func (w *weight) stored() []int {
	if w.t != nil && w.perm != nil {
		return w.t.dims
	}
	return w.dims
}
