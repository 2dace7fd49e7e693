package verify

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// shape is what is known of a tensor's dims; an axis is -1 where only its place is.
type shape struct {
	dims  []int
	known bool // at least the rank
}

func ranked(rank int) shape {
	s := shape{dims: make([]int, rank), known: true}
	for i := range s.dims {
		s.dims[i] = -1
	}
	return s
}

// shape is that of v in the original: stated by the file, or following from how v is computed.
func (c *checker) shape(v value) shape { return c.shapeAt(v, c.depth) }

func (c *checker) shapeAt(v value, depth int) shape {
	const deepest = 10_000
	if v.g == nil || depth > deepest {
		return shape{}
	}
	if s, ok := v.g.shapes[v.name]; ok {
		return s
	}
	s := c.declared(v)
	if n := v.producer(); n != nil {
		around := c.depth
		c.depth = depth + 1 // of shapes that are asked for on the way
		s = agreed(s, c.infer(n, v, c.depth))
		c.depth = around
	}
	v.g.shapes[v.name] = s
	return s
}

// agreed is what two sources say together, as far as they do not contradict each other.
func agreed(a, b shape) shape {
	if !a.known || !b.known {
		return shape{slices.Concat(a.dims, b.dims), a.known || b.known}
	}
	if len(a.dims) != len(b.dims) {
		return shape{}
	}
	s := shape{slices.Clone(a.dims), true}
	for i, d := range b.dims {
		if s.dims[i] >= 0 && d >= 0 && s.dims[i] != d {
			return ranked(len(s.dims))
		}
		s.dims[i] = max(s.dims[i], d)
	}
	return s
}

func (c *checker) declared(v value) shape {
	if t := v.stored(); t != nil {
		return shape{t.dims, !t.sparse}
	}
	if _, ok := v.g.inputAt[v.name]; ok && v.g.parent != nil {
		return shape{} // it has the shape of what comes in from the graph around it
	}
	if at, ok := v.g.infos[v.name]; ok {
		return v.g.m.typeShape(at)
	}
	if i, ok := v.g.inputAt[v.name]; ok {
		return v.g.m.typeShape(v.g.inputs[i].at)
	}
	for _, d := range v.g.outputs {
		if d.name == v.name {
			return v.g.m.typeShape(d.at)
		}
	}
	return shape{}
}

// typeShape reads ValueInfoProto.type.tensor_type.shape.
func (f *source) typeShape(at span) shape {
	s := shape{}
	path := []protowire.Number{2, 1, 2}
	var descend func(at span, level int) error
	descend = func(at span, level int) error {
		return f.fields(at, func(fd field) error {
			switch {
			case fd.typ != protowire.BytesType:
			case level < len(path) && fd.num == path[level]:
				s.known = s.known || level == len(path)-1
				return descend(fd.body, level+1)
			case level == len(path) && fd.num == 1 && len(s.dims) < maxRank:
				d := -1
				err := f.fields(fd.body, func(fd field) error {
					if fd.num == 1 && fd.typ == protowire.VarintType && int64(fd.value) >= 0 {
						d = int(fd.value)
					}
					return nil
				})
				s.dims = append(s.dims, d)
				return err
			}
			return nil
		})
	}
	if descend(at, 0) != nil {
		return shape{}
	}
	return s
}

// sameShape are operators whose output has the dims of their first input.
var sameShape = map[string]bool{"Identity": true, "Dropout": true, "Cast": true, "BatchNormalization": true, "InstanceNormalization": true,
	"LRN": true, "Relu": true, "LeakyRelu": true, "PRelu": true, "Elu": true, "Selu": true, "Celu": true, "Gelu": true, "Sigmoid": true,
	"HardSigmoid": true, "HardSwish": true, "Mish": true, "Softplus": true, "Softsign": true, "Tanh": true, "Clip": true, "Erf": true,
	"Exp": true, "Log": true, "Sqrt": true, "Abs": true, "Neg": true, "Reciprocal": true, "Sin": true, "Cos": true, "Floor": true,
	"Ceil": true, "Round": true, "Sign": true, "Softmax": true, "LogSoftmax": true, "Hardmax": true, "LayerNormalization": true,
	"GroupNormalization": true, "CumSum": true, "ThresholdedRelu": true, "Shrink": true, "Swish": true}

// sameRank are operators whose output has the rank of their first input.
var sameRank = map[string]bool{"Pad": true, "Split": true, "Resize": true, "Upsample": true, "MaxPool": true,
	"AveragePool": true, "LpPool": true, "GlobalAveragePool": true, "GlobalMaxPool": true, "GlobalLpPool": true,
	"Tile": true, "DepthToSpace": true, "SpaceToDepth": true}

// windowed are operators that move a window over all axes but the first two.
var windowed = map[string]bool{"Conv": true, "ConvTranspose": true, "MaxPool": true, "AveragePool": true, "LpPool": true}

// sameBroadcast are operators of any number of inputs, which broadcast to the output.
var sameBroadcast = map[string]bool{"Sum": true, "Max": true, "Min": true, "Mean": true, "Where": true}

func (c *checker) infer(n *node, v value, depth int) shape {
	if k := c.constant(v); k != nil {
		return shape{k.dims, true}
	}
	if len(n.in) == 0 || n.out[0] != v.name && n.op != "Split" {
		return shape{}
	}
	x := c.shapeAt(n.g.find(n.in[0]), depth)
	other := func() shape { return c.shapeAt(n.g.find(n.input(1)), depth) }
	switch op := n.op; {
	case sameShape[op]:
		return x
	case sameRank[op]:
		if !x.known {
			return x
		}
		s := ranked(len(x.dims))
		if strings.HasSuffix(op, "Pool") || op == "Resize" || op == "Upsample" { // [N, C, …] with new spatial axes
			copy(s.dims, x.dims[:min(2, len(x.dims))])
		}
		switch kernel, ok := n.ints("kernel_shape"); {
		case strings.HasPrefix(op, "Global"):
			for i := 2; i < len(s.dims); i++ {
				s.dims[i] = 1
			}
		case windowed[op] && ok:
			n.setPositions(x.dims, kernel, s.dims)
		}
		return s
	case op == "Conv" || op == "ConvTranspose":
		w := other()
		s := convShape(n, x, w)
		var kernel []int64
		for _, d := range w.dims[min(2, len(w.dims)):] {
			kernel = append(kernel, int64(d))
		}
		n.setPositions(x.dims, kernel, s.dims)
		return s
	case op == "Gemm":
		return gemmShape(n, x, other())
	case op == "MatMul":
		w := other()
		if !x.known || len(x.dims) == 0 || !w.known || len(w.dims) != 2 {
			return shape{}
		}
		s := shape{slices.Clone(x.dims), true}
		s.dims[len(s.dims)-1] = w.dims[1]
		return s
	case op == "Add" || op == "Sub" || op == "Mul" || op == "Div" || op == "Pow":
		y := other()
		if n.opset() < 7 {
			return x
		}
		if !x.known || !y.known {
			return shape{}
		}
		dims, ok := broadcast(x.dims, y.dims)
		return shape{dims, ok}
	case sameBroadcast[op]:
		for i := 1; i < len(n.in); i++ {
			y := c.shapeAt(n.g.find(n.in[i]), depth)
			if n.opset() < 8 {
				return x
			}
			dims, ok := broadcast(x.dims, y.dims)
			x = shape{dims, ok && x.known && y.known}
		}
		return x
	case op == "Shape":
		return ranked(1)
	case op == "Gather":
		at, ok := n.int("axis", 0)
		if at < 0 {
			at += int64(len(x.dims))
		}
		if y := other(); ok && x.known && y.known && at >= 0 && at < int64(len(x.dims)) {
			return shape{slices.Concat(x.dims[:at], y.dims, x.dims[at+1:]), true}
		}
		return shape{}
	case op == "Expand":
		y := other() // a list of sizes: as many as there are axes at least
		if !x.known || len(y.dims) != 1 || y.dims[0] < 0 || y.dims[0] > maxRank {
			return shape{}
		}
		return ranked(max(len(x.dims), y.dims[0]))
	case op == "Transpose":
		if list, _ := n.ints("perm"); !x.known && len(list) <= maxRank {
			return shape{ranked(len(list)).dims, len(list) > 0} // it names every axis
		}
		perm, ok := permOf(n, len(x.dims))
		if !x.known || !ok {
			return shape{}
		}
		return shape{permuted(x.dims, perm), true}
	case keepsOrder[op]:
		return c.reshape(n, x)
	case op == "Concat":
		return c.joined(n, x)
	case op == "Slice":
		return c.cutOut(n, x)
	case strings.HasPrefix(op, "Reduce"):
		return c.reduced(n, x)
	}
	return shape{}
}

// joined is the shape of tensors put one behind the other along an axis.
func (c *checker) joined(n *node, x shape) shape {
	axis, ok := n.int("axis", 1)
	if axis < 0 {
		axis += int64(len(x.dims))
	}
	if !ok || !x.known || axis < 0 || axis >= int64(len(x.dims)) {
		return shape{}
	}
	s := shape{slices.Clone(x.dims), true}
	for _, name := range n.in[1:] {
		y := c.shape(n.g.find(name))
		if !y.known || len(y.dims) != len(x.dims) || y.dims[axis] < 0 || s.dims[axis] < 0 {
			s.dims[axis] = -1
			break
		}
		s.dims[axis] += y.dims[axis]
	}
	return s
}

// cutOut is the shape that a Slice leaves.
func (c *checker) cutOut(n *node, x shape) shape {
	if !x.known {
		return x
	}
	cuts, ok := c.cuts(n)
	if !ok {
		return ranked(len(x.dims))
	}
	s := shape{slices.Clone(x.dims), true}
	for _, k := range cuts {
		if k.axis < 0 {
			k.axis += int64(len(x.dims))
		}
		if k.axis < 0 || k.axis >= int64(len(x.dims)) {
			return ranked(len(x.dims))
		}
		s.dims[k.axis] = k.of(x.dims[k.axis])
	}
	return s
}

// reduced is the shape without the axes that a reduction sums over, or with one element in each.
func (c *checker) reduced(n *node, x shape) shape {
	axes, ok := n.ints("axes")
	given := n.attr("axes") != nil
	if name := n.input(1); name != "" {
		k := c.constant(n.g.find(name))
		if k == nil {
			return shape{}
		}
		axes, given = k.i, true
	}
	keep, ok2 := n.int("keepdims", 1)
	if noop, ok := n.int("noop_with_empty_axes", 0); !given && (noop != 0 || !ok) {
		return shape{x.dims, x.known && ok}
	}
	if !ok || !ok2 || !x.known || given && len(axes) == 0 {
		return shape{}
	}
	s := shape{known: true}
	for i, d := range x.dims {
		over := !given || slices.Contains(axes, int64(i)) || slices.Contains(axes, int64(i-len(x.dims)))
		switch {
		case !over:
			s.dims = append(s.dims, d)
		case keep != 0:
			s.dims = append(s.dims, 1)
		}
	}
	return s
}

func convShape(n *node, x, w shape) shape {
	if !w.known || len(w.dims) < 3 {
		return shape{}
	}
	s := ranked(len(w.dims))
	if len(x.dims) > 0 {
		s.dims[0] = x.dims[0]
	}
	if n.op == "Conv" {
		s.dims[1] = w.dims[0]
	} else if g, ok := n.int("group", 1); ok && g > 0 && g < 1<<31 && w.dims[1] >= 0 {
		s.dims[1] = w.dims[1] * int(g)
	}
	return s
}

func gemmShape(n *node, x, w shape) shape {
	s := ranked(2)
	if t, ok := n.int("transA", 0); ok && len(x.dims) == 2 {
		s.dims[0] = x.dims[t&1]
	}
	if t, ok := n.int("transB", 0); ok && len(w.dims) == 2 {
		s.dims[1] = w.dims[1-t&1]
	}
	return s
}
