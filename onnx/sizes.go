package onnx

import (
	"math"
	"slices"
)

// A size that is not known has a number all the same, so that it can be found equal to another: less than −1, a new one
// for each. It goes with the axis from tensor to tensor, and through the operators that compute the target of a Reshape
// from a Shape. −1 is a size that is not known, and may be any.
const firstSymbol = -2

// unknownElem is an element of a list that is not known.
const unknownElem = math.MinInt

// symbolic numbers the sizes of a shape that are not known.
func (m *model) symbolic(s shape) shape {
	if i := slices.Index(s.dims, -1); i >= 0 {
		s.dims = slices.Clone(s.dims)
		for ; i < len(s.dims); i++ {
			if s.dims[i] == -1 {
				s.dims[i] = firstSymbol - m.symbols
				m.symbols++
			}
		}
	}
	return s
}

// sameSize reports whether two sizes are equal, and not zero.
func sameSize(a, b int) bool { return a == b && a != 0 && a != -1 }

// place is an axis of a value, counted from the front.
type place struct {
	value int32
	axis  int
}

// sizeOf is the size of v along an axis, which v must have if its rank is not known. Its shape has been inferred.
func (m *model) sizeOf(v int32, axis int) int {
	if s := m.shapes[v]; s.known {
		return s.at(axis)
	}
	at := place{v, axis}
	if m.unranked[at] == 0 {
		m.unranked[at] = firstSymbol - m.symbols
		m.symbols++
	}
	return m.unranked[at]
}

// listOf is what is known of the elements of a value, a vector of integers or a single one: what they are, −1 among
// them, or symbols, or unknownElem. It is nil where even their number is not known.
func (m *model) listOf(v int32) []int {
	if v < 0 {
		return nil
	}
	if list, ok := m.lists[v]; ok {
		return list
	}
	if m.isConstant(v) {
		k, r := m.constant(v, "")
		if r != nil || k.float() || len(k.dims) > 1 || len(k.i) > maxRank {
			return nil
		}
		list := make([]int, len(k.i))
		for i, x := range k.i {
			if list[i] = unknownElem; x >= -1 && x <= maxSize {
				list[i] = int(x)
			}
		}
		return list
	}
	if s := m.shapes[v]; s.known && len(s.dims) < 2 {
		if n := product(s.dims); n >= 0 && n <= maxRank {
			return slices.Repeat([]int{unknownElem}, n)
		}
	}
	return nil
}

// inferList is listOf the first output of node n, from the lists and shapes of its inputs.
func (m *model) inferList(n int32) []int {
	in := m.in(n)
	if len(in) == 0 || in[0] < 0 {
		return nil
	}
	op := m.op(n)
	switch op {
	case "Shape", "Gather", "Slice", "Concat", "Unsqueeze", "Squeeze", "Identity", "Cast":
	default:
		return nil
	}
	as := m.attrs(n)
	a := shapeArgs{m: m, node: n, as: &as}
	var list []int
	switch op {
	case "Shape":
		dims := m.shapes[in[0]].dims
		from, to := as.int("start", 0), as.int("end", math.MaxInt64)
		list = section(dims, from, to)
	case "Gather":
		list = a.gathered()
	case "Slice":
		list = a.sliced(m.listOf(in[0]))
	case "Concat":
		for _, v := range in {
			part := m.listOf(v)
			if part == nil || len(list)+len(part) > maxRank {
				return nil
			}
			list = append(list, part...)
		}
	case "Cast":
		if as.int("to", 0) == typeInt64 { // others hold less
			list = m.listOf(in[0])
		}
	default:
		list = m.listOf(in[0])
	}
	if as.err != nil {
		return nil
	}
	return list
}

// gathered is a Gather from a list, or from a Shape whose length is not known.
func (a shapeArgs) gathered() []int {
	in := a.m.in(a.node)
	if len(in) < 2 || a.as.int("axis", 0) != 0 {
		return nil
	}
	indices, ok := a.ints("", 1)
	if !ok || len(indices) > maxRank {
		return nil
	}
	list, of := a.m.listOf(in[0]), a.m.shapeOf(in[0])
	var out []int
	for _, i := range indices {
		if i < 0 {
			i += int64(len(list))
		}
		switch {
		case i >= 0 && i < int64(len(list)):
			out = append(out, list[i])
		case list == nil && of >= 0 && i >= 0 && i < maxRank:
			out = append(out, a.m.sizeOf(of, int(i)))
		default:
			return nil
		}
	}
	return out
}

// shapeOf is the value whose whole shape v is, -1 where it is none.
func (m *model) shapeOf(v int32) int32 {
	n := m.values[v].producer
	if n < 0 || m.op(n) != "Shape" || len(m.in(n)) != 1 {
		return -1
	}
	if as := m.attrs(n); as.err != nil || len(as.list) > 0 { // start and end
		return -1
	}
	return m.in(n)[0]
}

// sliced is a Slice of a list.
func (a shapeArgs) sliced(list []int) []int {
	cuts, ok := a.cuts(1)
	if !ok || len(cuts) != 1 || cuts[0].step != 1 {
		return nil
	}
	return section(list, cuts[0].from, cuts[0].to)
}

// section is the elements from one index up to another, which count from the end where they are negative.
func section(list []int, from, to int64) []int {
	n := int64(len(list))
	from, to = bound(from, n), bound(to, n)
	if list == nil || from > to {
		return nil
	}
	return list[from:to]
}

// quotient is the size of the axis that a Reshape leaves open: the product of the dims divided by that of the others of
// its result. A symbol on both sides cancels. It is −1 where it is not known.
func quotient(dims, others []int) int {
	whole, part := 1, 1
	var symbols []int
	for _, d := range dims {
		if d < 0 {
			symbols = append(symbols, d)
		} else if whole = product([]int{whole, d}); whole < 0 {
			return -1
		}
	}
	for _, d := range others {
		if i := slices.Index(symbols, d); d < -1 && i >= 0 {
			symbols = slices.Delete(symbols, i, i+1)
		} else if part = product([]int{part, d}); part < 0 {
			return -1
		}
	}
	switch {
	case part <= 0 || whole%part != 0:
		return -1
	case len(symbols) == 0:
		return whole / part
	case len(symbols) == 1 && whole == part:
		return symbols[0]
	}
	return -1
}
