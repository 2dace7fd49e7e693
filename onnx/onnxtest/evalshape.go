package onnxtest

import "slices"

// reshape takes the shape as an attribute before opset 5, as input 1 since.
func (c *call) reshape() *Array {
	x := c.need(0)
	dims, ok := c.intsAttr("shape")
	if !ok {
		dims = c.need(1).ints()
	}
	known, free := 1, -1
	for i, d := range dims {
		switch {
		case d == 0 && c.int("allowzero", 0) == 0:
			dims[i] = x.Dims[i]
			known *= dims[i]
		case d == -1:
			free = i
		default:
			known *= d
		}
	}
	if free >= 0 {
		dims[free] = len(x.Data) / max(known, 1)
	}
	if numElem(dims) != len(x.Data) {
		failf("%v does not reshape to %v", x.Dims, dims)
	}
	return x.reshaped(dims)
}

func (c *call) flatten() *Array {
	x := c.need(0)
	axis := c.wrap(c.int("axis", 1), len(x.Dims))
	return x.reshaped([]int{numElem(x.Dims[:axis]), numElem(x.Dims[axis:])})
}

// squeeze drops axes of size 1: those named, or all.
func (c *call) squeeze() *Array {
	x := c.need(0)
	axes := c.axes("axes", 1, len(x.Dims))
	dims := []int{}
	for i, d := range x.Dims {
		drop := slices.Contains(axes, i) || axes == nil && d == 1
		if drop && d != 1 {
			failf("axis %d of %v is not 1", i, x.Dims)
		}
		if !drop {
			dims = append(dims, d)
		}
	}
	return x.reshaped(dims)
}

// unsqueeze adds axes of size 1, counted in the result.
func (c *call) unsqueeze() *Array {
	x := c.need(0)
	given, _ := c.intsAttr("axes")
	if a := c.maybe(1); a != nil {
		given = a.ints()
	}
	dims := make([]int, len(x.Dims)+len(given))
	for _, axis := range given {
		dims[c.wrap(axis, len(dims))] = 1
	}
	rest := x.Dims
	for i := range dims {
		if dims[i] == 0 {
			dims[i], rest = rest[0], rest[1:]
		}
	}
	return x.reshaped(dims)
}

// expand broadcasts both ways: a 1 in the wanted shape keeps the tensor's axis.
func (c *call) expand() *Array {
	x := c.need(0)
	dims, err := broadcast(x.Dims, c.need(1).ints())
	if err != nil {
		failf("%w", err)
	}
	out := zeros(x.Elem, dims)
	for i, index := range indices(dims) {
		out.Data[i] = x.stretched(index)
	}
	return out
}

// transpose reverses the axes unless perm says otherwise.
func (c *call) transpose() *Array {
	x := c.need(0)
	perm, ok := c.intsAttr("perm")
	if !ok {
		for i := range x.Dims {
			perm = append(perm, len(x.Dims)-1-i)
		}
	}
	if len(perm) != len(x.Dims) {
		failf("a perm of %d axes for %v", len(perm), x.Dims)
	}
	return permuted(x, perm)
}

// permuted has axis perm[i] of x as its axis i.
func permuted(x *Array, perm []int) *Array {
	dims, from := make([]int, len(perm)), make([]int, len(perm))
	for i, p := range perm {
		dims[i] = x.Dims[p]
	}
	out := zeros(x.Elem, dims)
	for i, index := range indices(dims) {
		for k, p := range perm {
			from[p] = index[k]
		}
		out.Data[i] = x.Data[offset(x.Dims, from)]
	}
	return out
}

func (c *call) concat() *Array {
	first := c.need(0)
	axis := c.wrap(c.int("axis", 1), len(first.Dims))
	dims := slices.Clone(first.Dims)
	dims[axis] = 0
	for i := range c.in {
		dims[axis] += c.need(i).Dims[axis]
	}
	out := zeros(first.Elem, dims)
	at := 0
	for row := range numElem(dims[:axis]) {
		for _, a := range c.in {
			n := numElem(a.Dims[axis:])
			at += copy(out.Data[at:], a.Data[row*n:(row+1)*n])
		}
	}
	return out
}

// shape is the dims, since opset 15 those from start to end.
func (c *call) shape() *Array {
	dims := c.need(0).Dims
	n := len(dims)
	start, end := c.int("start", 0), c.int("end", n)
	if start < 0 {
		start += n
	}
	if end < 0 {
		end += n
	}
	out := vector(Int64)
	for i := max(0, start); i < min(end, n); i++ {
		out.Data = append(out.Data, float64(dims[i]))
	}
	out.Dims[0] = len(out.Data)
	return out
}

// gather puts the dims of the indices where the axis was.
func (c *call) gather() *Array {
	x, places := c.need(0), c.need(1)
	axis := c.wrap(c.int("axis", 0), len(x.Dims))
	dims := slices.Concat(x.Dims[:axis], places.Dims, x.Dims[axis+1:])
	out := &Array{Elem: x.Elem, Dims: dims}
	n, inner := x.Dims[axis], numElem(x.Dims[axis+1:])
	for outer := range numElem(x.Dims[:axis]) {
		for _, at := range places.ints() {
			if at < 0 {
				at += n
			}
			first := (outer*n + at) * inner
			out.Data = append(out.Data, x.Data[first:first+inner]...)
		}
	}
	return out
}

// slice has starts, ends and axes as attributes before opset 10, as inputs since, with steps.
func (c *call) slice() *Array {
	x := c.need(0)
	rank := len(x.Dims)
	starts, ok := c.intsAttr("starts")
	ends, _ := c.intsAttr("ends")
	if !ok {
		starts, ends = c.need(1).ints(), c.need(2).ints()
	}
	axes := c.axes("axes", 3, rank)
	steps := slices.Repeat([]int{1}, len(starts))
	if a := c.maybe(4); a != nil {
		steps = a.ints()
	}
	dims, first, step := slices.Clone(x.Dims), make([]int, rank), slices.Repeat([]int{1}, rank)
	for i := range starts {
		axis := i
		if axes != nil {
			axis = axes[i]
		}
		first[axis], step[axis] = sliceStart(starts[i], steps[i], x.Dims[axis]), steps[i]
		dims[axis] = sliceLen(first[axis], ends[i], steps[i], x.Dims[axis])
	}
	out := zeros(x.Elem, dims)
	from := make([]int, rank)
	for i, index := range indices(dims) {
		for axis := range from {
			from[axis] = first[axis] + index[axis]*step[axis]
		}
		out.Data[i] = x.Data[offset(x.Dims, from)]
	}
	return out
}

func sliceStart(start, step, n int) int {
	if start < 0 {
		start += n
	}
	if step < 0 {
		return max(0, min(start, n-1))
	}
	return max(0, min(start, n))
}

func sliceLen(first, end, step, n int) int {
	if end < 0 {
		end = max(-1, end+n)
	}
	if step < 0 {
		return max(0, (first-max(end, -1)-step-1)/-step)
	}
	return max(0, (min(end, n)-first+step-1)/step)
}

// pad takes its amounts as an attribute before opset 11 (in opset 1 under another name), as input 1
// since, for the axes of input 3 since opset 18.
func (c *call) pad() *Array {
	x := c.need(0)
	rank, value := len(x.Dims), c.float("value", 0)
	amounts, ok := c.intsAttr("pads")
	if !ok {
		amounts, ok = c.intsAttr("paddings")
	}
	if !ok {
		amounts = c.need(1).ints()
	}
	if a := c.maybe(2); a != nil {
		value = a.Data[0]
	}
	axes := c.axes("axes", 3, rank)
	if axes == nil {
		for i := range rank {
			axes = append(axes, i)
		}
	}
	dims, begin := slices.Clone(x.Dims), make([]int, rank)
	for i, axis := range axes {
		begin[axis] = amounts[i]
		dims[axis] += amounts[i] + amounts[len(axes)+i]
	}
	mode := c.text("mode", "constant")
	out := zeros(x.Elem, dims)
	from := make([]int, rank)
	for i, index := range indices(dims) {
		inside := true
		for axis, at := range index {
			from[axis], inside = padSource(at-begin[axis], x.Dims[axis], mode, inside)
		}
		out.Data[i] = value
		if inside {
			out.Data[i] = x.Data[offset(x.Dims, from)]
		}
	}
	return out
}

// padSource is where the element at a place, which may be outside, comes from.
func padSource(at, n int, mode string, inside bool) (int, bool) {
	switch {
	case at >= 0 && at < n:
		return at, inside
	case mode == "edge":
		return max(0, min(at, n-1)), inside
	case mode == "reflect" && at < 0:
		return -at, inside
	case mode == "reflect":
		return 2*(n-1) - at, inside
	}
	return at, false
}
