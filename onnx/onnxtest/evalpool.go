package onnxtest

import (
	"math"
	"slices"
)

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

func mean(values []float64) float64 { return sum(values) / float64(len(values)) }

func maximum(values []float64) float64 {
	largest := math.Inf(-1)
	for _, v := range values {
		largest = math.Max(largest, v)
	}
	return largest
}

func (c *call) globalPool(reduce func([]float64) float64) *Array {
	x := c.need(0)
	dims := slices.Repeat([]int{1}, len(x.Dims))
	copy(dims, x.Dims[:2])
	out, n := zeros(x.Elem, dims), numElem(x.Dims[2:])
	for i := range out.Data {
		out.Data[i] = reduce(x.Data[i*n : (i+1)*n])
	}
	return out
}

// pool reduces what is under the kernel at each position, without the padding.
func (c *call) pool(reduce func(win window, position []int, values []float64) float64) *Array {
	x := c.need(0)
	kernel, _ := c.intsAttr("kernel_shape")
	win := c.window(x.Dims[2:], kernel)
	out := zeros(x.Elem, append(slices.Clone(x.Dims[:2]), win.out...))
	nIn, nOut := numElem(win.in), numElem(win.out)
	for p, position := range indices(win.out) {
		taps := win.taps(position)
		for plane := range numElem(x.Dims[:2]) {
			values := make([]float64, len(taps))
			for i, t := range taps {
				values[i] = x.Data[plane*nIn+t.in]
			}
			out.Data[plane*nOut+p] = reduce(win, position, values)
		}
	}
	return out
}

func (c *call) maxPool() *Array {
	if c.hasOutput(1) {
		failf("the indices of the maxima are not computed")
	}
	return c.pool(func(_ window, _ []int, values []float64) float64 { return maximum(values) })
}

func (c *call) averagePool() *Array {
	countPad := c.int("count_include_pad", 0) != 0
	return c.pool(func(win window, position []int, values []float64) float64 {
		if countPad {
			return sum(values) / float64(win.padded(position))
		}
		return mean(values)
	})
}

// padded is how many places of the kernel are on the tensor or its padding.
func (w window) padded(position []int) int {
	n := 1
	for i, at := range position {
		count := 0
		for k := range w.kernel[i] {
			if at*w.strides[i]+k*w.dilations[i] < w.in[i]+w.begin[i]+w.end[i] {
				count++
			}
		}
		n *= count
	}
	return n
}

// reduce takes its axes as an attribute or as input 1; without any it reduces all.
func (c *call) reduce(f func([]float64) float64) *Array {
	x := c.need(0)
	axes := c.axes("axes", 1, len(x.Dims))
	if len(axes) == 0 && c.int("noop_with_empty_axes", 0) != 0 {
		return x
	}
	kept, dims := slices.Clone(x.Dims), []int{}
	for axis, d := range x.Dims {
		if len(axes) == 0 || slices.Contains(axes, axis) {
			kept[axis] = 1
			if c.int("keepdims", 1) == 0 {
				continue
			}
			d = 1
		}
		dims = append(dims, d)
	}
	groups := make([][]float64, numElem(kept))
	place := zeros(x.Elem, kept)
	for i := range place.Data {
		place.Data[i] = float64(i)
	}
	for i, index := range indices(x.Dims) {
		k := int(place.stretched(index))
		groups[k] = append(groups[k], x.Data[i])
	}
	out := zeros(x.Elem, dims)
	for i, values := range groups {
		out.Data[i] = f(values)
	}
	return out
}
