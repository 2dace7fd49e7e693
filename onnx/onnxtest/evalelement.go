package onnxtest

import (
	"math"
	"slices"
)

// unary applies f to every element.
func (c *call) unary(f func(float64) float64) *Array {
	x := c.need(0)
	out := zeros(x.Elem, x.Dims)
	for i, v := range x.Data {
		out.Data[i] = f(v)
	}
	return out
}

// binary applies f to pairs of elements.
func (c *call) binary(f func(x, y float64) float64) *Array {
	a, b := c.need(0), c.need(1)
	if c.version() < 7 {
		b = c.legacyBroadcast(a, b)
	}
	return pairs(a, b, f)
}

func pairs(a, b *Array, f func(x, y float64) float64) *Array {
	dims, err := broadcast(a.Dims, b.Dims)
	if err != nil {
		failf("%w", err)
	}
	out := zeros(a.Elem, dims)
	for i, index := range indices(dims) {
		out.Data[i] = f(a.stretched(index), b.stretched(index))
	}
	return out
}

// legacyBroadcast gives b the rank of a, as opsets 1 to 6 did when asked: b is one element, or its
// shape is a run of a's axes, which starts at the attribute axis or else ends with the last.
func (c *call) legacyBroadcast(a, b *Array) *Array {
	if c.int("broadcast", 0) == 0 {
		if !slices.Equal(a.Dims, b.Dims) {
			failf("shapes %v and %v differ and broadcast is not set", a.Dims, b.Dims)
		}
		return b
	}
	dims := slices.Repeat([]int{1}, len(a.Dims))
	if len(b.Data) == 1 {
		return b.reshaped(dims)
	}
	axis := c.wrap(c.int("axis", len(a.Dims)-len(b.Dims)), len(a.Dims))
	if axis+len(b.Dims) > len(a.Dims) || !slices.Equal(a.Dims[axis:axis+len(b.Dims)], b.Dims) {
		failf("shape %v is not that of %v from axis %d", b.Dims, a.Dims, axis)
	}
	copy(dims[axis:], b.Dims)
	return b.reshaped(dims)
}

func (c *call) div() *Array {
	if c.need(0).Elem.IsFloat() {
		return c.binary(func(x, y float64) float64 { return x / y })
	}
	return c.binary(func(x, y float64) float64 { return math.Trunc(x / y) })
}

func (c *call) compare(f func(x, y float64) bool) *Array {
	out := c.binary(func(x, y float64) float64 {
		if f(x, y) {
			return 1
		}
		return 0
	})
	out.Elem = Bool
	return out
}

// fold applies f across any number of inputs.
func (c *call) fold(f func(x, y float64) float64) *Array {
	out := c.need(0)
	for i := 1; i < len(c.in); i++ {
		out = pairs(out, c.need(i), f)
	}
	return out
}

func (c *call) leakyRelu() *Array {
	alpha := c.float("alpha", 0.01)
	return c.unary(func(x float64) float64 {
		if x < 0 {
			return alpha * x
		}
		return x
	})
}

func (c *call) hardSigmoid() *Array {
	alpha, beta := c.float("alpha", 0.2), c.float("beta", 0.5)
	return c.unary(func(x float64) float64 { return math.Max(0, math.Min(1, alpha*x+beta)) })
}

// clip has its limits as attributes before opset 11, as inputs since.
func (c *call) clip() *Array {
	low, high := math.Inf(-1), math.Inf(1)
	if a, ok := c.attr("min"); ok {
		low = float64(a.F)
	}
	if a, ok := c.attr("max"); ok {
		high = float64(a.F)
	}
	if a := c.maybe(1); a != nil {
		low = a.Data[0]
	}
	if a := c.maybe(2); a != nil {
		high = a.Data[0]
	}
	return c.unary(func(x float64) float64 { return math.Min(math.Max(x, low), high) })
}

func (c *call) cast() *Array {
	to := ElemType(c.int("to", 0))
	out := c.unary(func(x float64) float64 {
		switch {
		case to == Bool && x != 0:
			return 1
		case to.IsFloat():
			return to.value(to.bits(x))
		}
		return math.Trunc(x)
	})
	out.Elem = to
	return out
}

// softmax is over one axis since opset 13; before, over all axes from it on.
func (c *call) softmax() *Array {
	x := c.need(0)
	absent := -1
	if c.version() < 13 {
		absent = 1
	}
	axis := c.wrap(c.int("axis", absent), len(x.Dims))
	n, inner := x.Dims[axis], numElem(x.Dims[axis+1:])
	if c.version() < 13 {
		n, inner = n*inner, 1
	}
	out := zeros(x.Elem, x.Dims)
	for i := range out.Data {
		first := i/(n*inner)*n*inner + i%inner
		total := 0.0
		for k := range n {
			total += math.Exp(x.Data[first+k*inner] - x.Data[i])
		}
		out.Data[i] = 1 / total
	}
	return out
}

// dropout is the identity at inference. Which inputs say so differs by opset.
func (c *call) dropout() []*Array {
	x := c.need(0)
	training := false
	switch v := c.version(); {
	case v < 7:
		training = c.int("is_test", 0) == 0
	case v >= 12:
		mode := c.maybe(2)
		training = mode != nil && mode.Data[0] != 0
	}
	if training {
		failf("dropout in training draws random numbers")
	}
	mask := zeros(Bool, x.Dims)
	if c.version() < 10 {
		mask.Elem = x.Elem
	}
	for i := range mask.Data {
		mask.Data[i] = 1
	}
	return []*Array{x, mask}
}
