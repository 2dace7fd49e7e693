package verify

import (
	"math"
	"slices"
)

// size is an element of a list of integers: a number, the size of an axis that is not known, or not known at all.
type size struct {
	n     int64
	of    place // the zero value for a number
	blank bool  // it is not known
}

// place is an axis of a tensor, counted from the front.
type place struct {
	v    value
	axis int
}

// origin is the first place that has the size which v has at an axis, for all that the operators in between do.
func (c *checker) origin(v value, axis int) place {
	start := place{v, axis}
	if at, ok := c.origins[start]; ok {
		return at
	}
	c.origins[start] = c.firstPlace(v, axis)
	return c.origins[start]
}

// firstPlace looks for the origin from v upwards.
func (c *checker) firstPlace(v value, axis int) place {
	for range maxChain {
		if at, ok := c.origins[place{v, axis}]; ok {
			return at
		}
		n := v.producer()
		if n == nil || len(n.in) == 0 || n.out[0] != v.name {
			break
		}
		x, at := n.g.find(n.in[0]), axis
		switch op := n.op; {
		case sameShape[op]:
		case windowed[op] && axis == 0, op == "Flatten" && axis == 0:
			if first, ok := n.int("axis", 1); op == "Flatten" && (!ok || first != 1) {
				return place{v, axis}
			}
		case op == "Gemm" && axis == 0:
			t, ok := n.int("transA", 0)
			if !ok {
				return place{v, axis}
			}
			at = int(t & 1)
		case op == "MatMul":
			s, w := c.shape(x), c.shape(n.g.find(n.input(1)))
			if !s.known || !w.known || len(w.dims) != 2 || axis >= len(s.dims)-1 {
				return place{v, axis}
			}
		case op == "Transpose":
			s := c.shape(x)
			perm, ok := permOf(n, len(s.dims))
			if !s.known || !ok || axis >= len(perm) {
				return place{v, axis}
			}
			at = perm[axis]
		case op == "Reshape":
			list := c.target(n)
			if axis >= len(list) {
				return place{v, axis}
			}
			switch zero, ok := n.int("allowzero", 0); {
			case list[axis].of != (place{}):
				return list[axis].of
			case list[axis].blank || list[axis].n != 0 || !ok || zero != 0:
				return place{v, axis}
			}
		case op == "Add" || op == "Sub" || op == "Mul" || op == "Div":
			other := n.g.find(n.input(1))
			if c.constant(x) != nil {
				x, other = other, x
			}
			s, k := c.shape(x), c.constant(other)
			if i := 0; k != nil && s.known && n.opset() >= 7 {
				if i = axis - (len(s.dims) - len(k.dims)); i < 0 && len(k.dims) <= len(s.dims) || i >= 0 && i < len(k.dims) && k.dims[i] == 1 {
					break
				}
			}
			return place{v, axis}
		default:
			return place{v, axis}
		}
		v, axis = x, at
	}
	return place{v, axis}
}

// target is what is known of the shape that a Reshape gives; nil where not even its length is.
func (c *checker) target(n *node) []size {
	if name := n.input(1); name != "" {
		return c.list(n.g.find(name), 0)
	}
	list, ok := n.ints("shape") // before opset 5
	if !ok {
		return nil
	}
	return numbers(list)
}

func numbers(list []int64) []size {
	out := []size{}
	for _, x := range list {
		out = append(out, size{n: x})
	}
	return out
}

// list is what is known of the elements of v, a list of integers or one of them; nil where not even their number is.
func (c *checker) list(v value, depth int) []size {
	if list, ok := c.lists[v]; ok {
		return list
	}
	list := c.computedList(v, depth)
	if s := c.shape(v); list == nil && s.known && len(s.dims) < 2 {
		if n := product(s.dims); n >= 0 && n <= maxRank {
			list = slices.Repeat([]size{{blank: true}}, n)
		}
	}
	c.lists[v] = list
	return list
}

func (c *checker) computedList(v value, depth int) []size {
	if k := c.constant(v); k != nil {
		if k.isFloat() || len(k.dims) > 1 || len(k.i) > maxRank {
			return nil
		}
		return numbers(k.i)
	}
	n := v.producer()
	if n == nil || len(n.in) == 0 || n.out[0] != v.name || depth > maxRank {
		return nil
	}
	x := n.g.find(n.in[0])
	switch n.op {
	case "Shape":
		from, ok := n.int("start", 0)
		to, ok2 := n.int("end", math.MaxInt64)
		s := c.shape(x)
		if !ok || !ok2 || !s.known {
			return nil
		}
		list := []size{}
		for i := range s.dims {
			list = append(list, c.sizeOf(x, i))
		}
		return section(list, from, to)
	case "Cast":
		if to, ok := n.int("to", 0); !ok || to != typeInt64 {
			return nil
		}
		return c.list(x, depth+1)
	case "Identity", "Unsqueeze", "Squeeze":
		return c.list(x, depth+1)
	case "Gather":
		return c.gathered(n, x, depth)
	case "Slice":
		return c.sliced(n, c.list(x, depth+1))
	case "Concat":
		out := []size{}
		for _, name := range n.in {
			list := c.list(n.g.find(name), depth+1)
			if list == nil || len(out)+len(list) > maxRank {
				return nil
			}
			out = append(out, list...)
		}
		return out
	}
	return nil
}

// sizeOf is the size of x along an axis.
func (c *checker) sizeOf(x value, axis int) size {
	if s := c.shape(x); s.known && axis < len(s.dims) && s.dims[axis] >= 0 {
		return size{n: int64(s.dims[axis])}
	}
	return size{of: c.origin(x, axis)}
}

// gathered is a Gather from a list, or from a shape of any length.
func (c *checker) gathered(n *node, from value, depth int) []size {
	axis, ok := n.int("axis", 0)
	index := c.constant(n.g.find(n.input(1)))
	list := c.list(from, depth+1)
	if !ok || axis != 0 || index == nil {
		return nil
	}
	shape := from.producer()
	whole := list == nil && shape != nil && shape.op == "Shape" && len(shape.attrs) == 0 && len(shape.in) == 1
	out := []size{}
	for _, i := range index.i {
		if i < 0 {
			i += int64(len(list))
		}
		switch {
		case i >= 0 && i < int64(len(list)):
			out = append(out, list[i])
		case whole && i >= 0 && i < maxRank:
			out = append(out, c.sizeOf(shape.g.find(shape.in[0]), int(i)))
		default:
			return nil
		}
	}
	return out
}

// sliced is a Slice of a list.
func (c *checker) sliced(n *node, list []size) []size {
	cuts, ok := c.cuts(n)
	if list == nil || !ok || len(cuts) != 1 || cuts[0].axis != 0 && cuts[0].axis != -1 || cuts[0].step != 1 {
		return nil
	}
	return section(list, cuts[0].from, cuts[0].to)
}

// cut is what a Slice takes along an axis.
type cut struct{ axis, from, to, step int64 }

// cuts are a Slice's, whose numbers are inputs or, in older opsets, attributes.
func (c *checker) cuts(n *node) (list []cut, ok bool) {
	numbers := func(name string, i int, absent func(i int) int64) (v []int64, ok bool) {
		if input := n.input(i); input != "" {
			k := c.constant(n.g.find(input))
			return k.ints(), k != nil
		}
		if v, ok = n.ints(name); n.attr(name) == nil && absent != nil {
			for i := range list {
				v = append(v, absent(i))
			}
		}
		return v, ok
	}
	from, ok := numbers("starts", 1, nil)
	if len(from) > maxRank {
		return nil, false
	}
	list = make([]cut, len(from))
	to, ok2 := numbers("ends", 2, nil)
	axes, ok3 := numbers("axes", 3, func(i int) int64 { return int64(i) })
	steps, ok4 := numbers("steps", 4, func(int) int64 { return 1 })
	if !ok || !ok2 || !ok3 || !ok4 || len(to) != len(from) || len(axes) != len(from) || len(steps) != len(from) {
		return nil, false
	}
	for i := range list {
		list[i] = cut{axes[i], from[i], to[i], steps[i]}
	}
	return list, true
}

// of is how many of d elements in a row the cut takes; -1 for unknown.
func (k cut) of(d int) int {
	if d < 0 || k.step < 1 {
		return -1
	}
	from, to, step := within(k.from, d), within(k.to, d), min(k.step, int64(d)+1)
	return int(max(0, to-from+step-1) / step)
}

// within is an index into n elements, at most n. Below zero it counts from the end.
func within(i int64, n int) int64 {
	if i < 0 {
		i += int64(n)
	}
	return min(max(i, 0), int64(n))
}

// ints are the integers of an array, which may be none.
func (k *array) ints() []int64 {
	if k == nil {
		return nil
	}
	return k.i
}

// section is a list from one index to another; below zero they count from the end.
func section(list []size, from, to int64) []size {
	from, to = within(from, len(list)), within(to, len(list))
	return list[from:max(from, to)]
}

// toSizes is what the shape of v becomes by a Reshape to a list of sizes, which need not all be numbers.
func (c *checker) toSizes(v value, x shape, list []size, zeroIsZero bool) []int {
	if len(list) > maxRank {
		return nil
	}
	dims, out := x.dims, make([]int, len(list))
	open := -1
	var missing []place // sizes of x that are not known, without those that the list has as well
	for i, d := range dims {
		if d < 0 {
			missing = append(missing, c.origin(v, i))
		}
	}
	whole, rest := 1, 1
	for _, d := range dims {
		if d >= 0 {
			whole = product([]int{whole, d})
		}
	}
	for i, s := range list {
		switch at := slices.Index(missing, s.of); {
		case s.blank || s.of != (place{}):
			out[i] = -1
			if s.blank || at < 0 {
				rest = -1
			} else {
				missing = slices.Delete(missing, at, at+1)
			}
			continue
		case s.n == -1 && open < 0:
			open, out[i] = i, -1
			continue
		case s.n == 0 && !zeroIsZero:
			out[i] = -1
			if i < len(dims) {
				out[i] = dims[i]
				if at := slices.Index(missing, c.origin(v, i)); dims[i] < 0 && at >= 0 {
					missing = slices.Delete(missing, at, at+1)
					continue
				}
			}
		case s.n >= 0 && s.n <= maxElems:
			out[i] = int(s.n)
		default:
			return nil
		}
		rest = product([]int{rest, out[i]})
	}
	if open >= 0 && x.known && len(missing) == 0 && whole >= 0 && rest > 0 && whole%rest == 0 {
		out[open] = whole / rest
	}
	return out
}

// copies reports whether a Reshape's target asks for the size that its input has along an axis, where no number says so.
func (c *checker) copies(n *node, axis int) bool {
	zero, ok := n.int("allowzero", 0)
	list := c.target(n)
	if n.op != "Reshape" || axis >= len(list) || list[axis].blank {
		return false
	}
	if of := list[axis].of; of != (place{}) {
		return of == c.origin(n.g.find(n.in[0]), axis)
	}
	return list[axis].n == 0 && ok && zero == 0
}
