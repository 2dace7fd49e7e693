package verify

import (
	"math"
	"slices"
)

// constant is the value of v where it is stored, or computed from stored values by the operators below;
// nil where it is neither. An initializer that can be overridden is no constant.
func (c *checker) constant(v value) *array { return c.constantAt(v, 0) }

const maxChain = 1000 // operators in a row

func (c *checker) constantAt(v value, depth int) *array {
	if v.g == nil || depth > maxChain {
		return nil
	}
	if k, ok := c.constants[v]; ok {
		return k
	}
	k := c.evaluate(v, depth)
	c.constants[v] = k
	return k
}

func (c *checker) evaluate(v value, depth int) *array {
	if t := v.stored(); t != nil {
		if v.overridable() {
			return nil
		}
		return c.loaded(t)
	}
	n := v.producer()
	if n == nil || len(n.out) == 0 || n.out[0] != v.name {
		return nil
	}
	if n.op == "Constant" {
		return c.constantNode(n)
	}
	eval := evaluators[n.op]
	if eval == nil || len(n.in) == 0 {
		return nil
	}
	var args []*array
	for _, in := range n.in {
		k := c.constantAt(n.g.find(in), depth+1)
		if k == nil {
			return nil
		}
		args = append(args, k)
	}
	return eval(n, args)
}

// loaded is a tensor's value; damage is remembered and ends the check.
func (c *checker) loaded(t *tensor) *array {
	k, err := t.load()
	if err != nil && c.err == nil {
		c.err = err
	}
	return k
}

// constantTensor is the tensor of a Constant node that has one.
func (c *checker) constantTensor(n *node) *tensor {
	if n.op != "Constant" || len(n.attrs) != 1 {
		return nil
	}
	a := n.attrs[0]
	if a.name != "value" || a.ref || a.odd || a.typ != attrTensor && a.typ != 0 || len(a.tensor) == 0 {
		return nil
	}
	t, err := n.g.m.parseTensor(a.tensor...)
	if err != nil {
		if c.err == nil {
			c.err = err
		}
		return nil
	}
	return t
}

func (c *checker) constantNode(n *node) *array {
	if t := c.constantTensor(n); t != nil {
		return c.loaded(t)
	}
	if len(n.attrs) != 1 || n.attrs[0].ref {
		return nil
	}
	switch a := n.attrs[0]; a.name {
	case "value_float":
		return &array{elem: typeFloat, f: []float64{a.f}}
	case "value_floats":
		k := &array{elem: typeFloat, dims: []int{len(a.floats)}}
		for _, x := range a.floats {
			k.f = append(k.f, float64(x))
		}
		return k
	case "value_int":
		return &array{elem: typeInt64, i: []int64{a.i}}
	case "value_ints":
		if len(a.ints) < maxList {
			return &array{elem: typeInt64, dims: []int{len(a.ints)}, i: a.ints}
		}
	}
	return nil
}

// evaluators compute constants as a runtime does: each result is rounded to its own type. For all types
// but float64, +, −, ×, ÷ and √ in float64 rounded once more are that.
var evaluators map[string]func(n *node, args []*array) *array

func init() {
	evaluators = map[string]func(*node, []*array) *array{
		"Identity":   func(_ *node, k []*array) *array { return k[0] },
		"Cast":       evalCast,
		"Reshape":    evalReshape,
		"Squeeze":    evalReshape,
		"Unsqueeze":  evalReshape,
		"Flatten":    evalReshape,
		"Expand":     evalExpand,
		"Transpose":  evalTranspose,
		"Concat":     evalConcat,
		"Sqrt":       evalUnary(math.Sqrt),
		"Reciprocal": evalUnary(func(x float64) float64 { return 1 / x }),
		"Neg":        evalNeg,
		"Pow":        evalPow,
		"Add":        evalBinary(operation{func(x, y float64) float64 { return x + y }, whole(func(x, y int64) int64 { return x + y })}),
		"Sub":        evalBinary(operation{func(x, y float64) float64 { return x - y }, whole(func(x, y int64) int64 { return x - y })}),
		"Mul":        evalBinary(operation{func(x, y float64) float64 { return x * y }, whole(func(x, y int64) int64 { return x * y })}),
		"Div":        evalBinary(operation{func(x, y float64) float64 { return x / y }, quotient}),
	}
}

func evalUnary(op func(float64) float64) func(*node, []*array) *array {
	return func(_ *node, args []*array) *array {
		k := args[0]
		if !k.isFloat() {
			return nil
		}
		out := &array{elem: k.elem, dims: k.dims, f: make([]float64, len(k.f))}
		for i, x := range k.f {
			out.f[i] = formatOf(k.elem).round(op(x))
		}
		return out
	}
}

// evalNeg is 0 − x, and −0 of a floating-point 0.
func evalNeg(n *node, args []*array) *array {
	if k := args[0]; !k.isFloat() {
		zero := &array{elem: k.elem, i: []int64{0}}
		return evaluators["Sub"](n, []*array{zero, k})
	}
	return evalUnary(func(x float64) float64 { return -x })(n, args)
}

func evalBinary(op operation) func(*node, []*array) *array {
	return func(n *node, args []*array) *array {
		if len(args) != 2 || args[0].elem != args[1].elem {
			return nil
		}
		a, b := args[0], args[1]
		if on, ok := n.int("broadcast", 0); n.opset() < 7 && !slices.Equal(a.dims, b.dims) && (!ok || on != 1 || len(b.f)+len(b.i) != 1) {
			return nil
		}
		dims, ok := broadcast(a.dims, b.dims)
		if !ok || product(dims) < 0 || product(dims) > maxArray {
			return nil
		}
		if !a.isFloat() {
			return op.evalInts(a, b, dims)
		}
		out := &array{elem: a.elem, dims: dims, f: make([]float64, product(dims))}
		for i := range out.f {
			out.f[i] = formatOf(a.elem).round(op.float(a.at(i, dims), b.at(i, dims)))
		}
		return out
	}
}

// evalPow is a floating-point power; since opset 12 the exponent may have another type.
func evalPow(n *node, args []*array) *array {
	if len(args) != 2 || !args[0].isFloat() {
		return nil
	}
	if x := args[1]; x.elem != args[0].elem && n.opset() >= 12 {
		power := &array{elem: args[0].elem, dims: x.dims, f: slices.Clone(x.f)}
		for _, i := range x.i {
			power.f = append(power.f, float64(i))
		}
		args = []*array{args[0], power}
	}
	return evalBinary(operation{float: math.Pow})(n, args)
}

// evalReshape covers the operators that keep the elements' order.
func evalReshape(n *node, args []*array) *array {
	var target *array
	if len(args) > 1 {
		target = args[1]
	}
	dims, ok := reshaped(n, args[0].dims, target)
	if !ok || product(dims) != len(args[0].f)+len(args[0].i) {
		return nil
	}
	return &array{elem: args[0].elem, dims: dims, f: args[0].f, i: args[0].i}
}

func evalExpand(_ *node, args []*array) *array {
	if len(args) != 2 {
		return nil
	}
	target := make([]int, len(args[1].i))
	for i, d := range args[1].i {
		if d < 0 || d > maxArray {
			return nil
		}
		target[i] = int(d)
	}
	dims, ok := broadcast(args[0].dims, target)
	if !ok || product(dims) < 0 || product(dims) > maxArray {
		return nil
	}
	return args[0].reordered(dims, func(i int) int { return sourceIndex(i, dims, args[0].dims) })
}

// evalConcat joins vectors, as the parts of a shape.
func evalConcat(n *node, args []*array) *array {
	if axis, ok := n.int("axis", 0); !ok || axis != 0 {
		return nil
	}
	out := &array{elem: args[0].elem}
	for _, k := range args {
		if len(k.dims) != 1 || k.elem != out.elem || len(out.f)+len(out.i)+k.dims[0] > maxArray {
			return nil
		}
		out.f, out.i = append(out.f, k.f...), append(out.i, k.i...)
	}
	out.dims = []int{len(out.f) + len(out.i)}
	return out
}

func evalTranspose(n *node, args []*array) *array {
	k := args[0]
	perm, ok := permOf(n, len(k.dims))
	if !ok {
		return nil
	}
	dims := permuted(k.dims, perm)
	stride := make([]int, len(perm)) // of the input
	step := 1
	for d := len(perm) - 1; d >= 0; d-- {
		stride[d] = step
		step *= k.dims[d]
	}
	return k.reordered(dims, func(i int) int {
		at := 0
		for d := len(perm) - 1; d >= 0; d-- {
			at += i % dims[d] * stride[perm[d]]
			i /= dims[d]
		}
		return at
	})
}
