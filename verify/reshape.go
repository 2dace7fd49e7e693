package verify

import "slices"

// keepsOrder are operators that give their input's elements in the same order under other dims.
var keepsOrder = map[string]bool{"Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true}

// reshape is the shape that node n gives x.
func (c *checker) reshape(n *node, x shape) shape {
	if list := c.target(n); list != nil && n.op == "Reshape" {
		zero, ok := n.int("allowzero", 0)
		dims := c.toSizes(n.g.find(n.in[0]), x, list, zero != 0)
		return shape{dims, ok && dims != nil}
	}
	var target *array
	if name := n.input(1); name != "" {
		if target = c.constant(n.g.find(name)); target == nil {
			return shape{}
		}
	}
	if n.op == "Flatten" && !x.known {
		return ranked(2)
	}
	if n.op != "Reshape" && !x.known {
		return shape{}
	}
	dims, ok := reshaped(n, x.dims, target)
	return shape{dims, ok}
}

// reshaped is what dims become by an operator of keepsOrder; target is its constant second input.
func reshaped(n *node, dims []int, target *array) ([]int, bool) {
	switch n.op {
	case "Flatten":
		axis, ok := n.int("axis", 1)
		if axis < 0 {
			axis += int64(len(dims))
		}
		if !ok || axis < 0 || axis > int64(len(dims)) {
			return nil, false
		}
		return []int{product(dims[:axis]), product(dims[axis:])}, true
	case "Reshape":
		list, ok := n.ints("shape")
		if target != nil {
			list = target.i
		}
		zero, ok2 := n.int("allowzero", 0)
		if !ok || !ok2 || len(list) > maxRank {
			return nil, false
		}
		return reshapedTo(dims, list, zero != 0)
	}
	list, ok := n.ints("axes")
	if target != nil {
		list = target.i
	}
	if !ok || len(list) > maxRank {
		return nil, false
	}
	if n.op == "Squeeze" {
		if len(list) == 0 && slices.Contains(dims, -1) {
			return nil, false // it goes if it is 1
		}
		var out []int
		for i, d := range dims {
			if !slices.Contains(list, int64(i)) && !slices.Contains(list, int64(i-len(dims))) && (len(list) > 0 || d != 1) {
				out = append(out, d)
			}
		}
		return out, true
	}
	rank := len(dims) + len(list)
	var out []int
	for i := range rank {
		if slices.Contains(list, int64(i)) || slices.Contains(list, int64(i-rank)) {
			out = append(out, 1)
		} else if len(dims) > 0 {
			out, dims = append(out, dims[0]), dims[1:]
		}
	}
	return out, len(out) == rank
}

func reshapedTo(dims []int, list []int64, zeroIsZero bool) ([]int, bool) {
	out := make([]int, len(list))
	open := -1
	for i, d := range list {
		switch {
		case d == -1 && open < 0:
			open, out[i] = i, 1
		case d == 0 && !zeroIsZero:
			out[i] = -1
			if i < len(dims) {
				out[i] = dims[i]
			}
		case d >= 0 && d <= maxElems:
			out[i] = int(d)
		default:
			return nil, false
		}
	}
	if open >= 0 {
		out[open] = -1
		rest := product(slices.Delete(slices.Clone(out), open, open+1))
		if whole := product(dims); whole >= 0 && rest > 0 && whole%rest == 0 {
			out[open] = whole / rest
		}
	}
	return out, true
}

// permOf is Transpose's permutation: output axis i is input axis perm[i].
func permOf(n *node, rank int) ([]int, bool) {
	perm := make([]int, rank)
	for i := range perm {
		perm[i] = rank - 1 - i
	}
	list, ok := n.ints("perm")
	if n.attr("perm") == nil || !ok {
		return perm, ok
	}
	if len(list) != rank {
		return nil, false
	}
	seen := make([]bool, rank)
	for i, p := range list {
		if p < 0 || p >= int64(rank) || seen[p] {
			return nil, false
		}
		perm[i], seen[p] = int(p), true
	}
	return perm, true
}

func permuted(dims, perm []int) []int {
	out := make([]int, len(perm))
	for i, p := range perm {
		out[i] = dims[p]
	}
	return out
}
