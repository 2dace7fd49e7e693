package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// computedCases have a Reshape between layer and norm whose target is computed from shapes, as PyTorch writes
// x.flatten(2) and x.view(x.size(0), …) where a size is not known when the model is exported.
func computedCases() []Case {
	// made is a case whose input x is given, since its shape names no sizes.
	made := func(name, why string, dims []int, model func(n *net), want ...string) Case {
		x := Array{Elem: Float32, Dims: dims, Data: make([]float64, numElem(dims))}
		for i := range x.Data {
			x.Data[i] = float64(i%13)/8 - 0.75
		}
		return Case{Name: "computed/" + name, Why: why, Model: build(13, model), Inputs: map[string]Array{"x": x}, WantFolded: want}
	}
	image, batch := []int{2, 3, 6, 6}, []any{"N", 3, 6, 6}
	conv := func(n *net, x string) string { return n.layer("Conv", "conv", x, shape(4, 3, 3, 3)) }
	return []Case{
		made("flatten(2)", "the first two axes are copied", image, func(n *net) {
			y := conv(n, n.input("x", "N", 3, "H", "W"))
			to := n.node("Concat", "to", in(n.sizes("size", y, 0, 2), n.integers("rest", -1)), Int("axis", 0))
			n.output(n.norm("bn", n.node("Reshape", "flat", in(y, to)), 4), "N", 4, "P")
		}, "bn"),
		made("flatten(2), Transpose, Mul", "the channels are the last axis then", image, func(n *net) {
			y := conv(n, n.input("x", 2, 3, 6, 6))
			to := n.node("Concat", "to", in(n.sizes("size", y, 0, 2), n.integers("rest", -1)), Int("axis", 0))
			y = n.node("Transpose", "t", in(n.node("Reshape", "flat", in(y, to))), Ints("perm", 0, 2, 1))
			n.output(n.by("Mul", "mul", y, shape(4)), 2, 16, 4)
		}, "mul"),
		made("view(n, C, -1)", "the batch is that of the input, which the Conv and the Relu keep", image, func(n *net) {
			x := n.node("Relu", "relu", in(n.input("x", batch...)))
			to := n.node("Concat", "to", in(n.size("n", "x", 0), n.integers("c", 4), n.integers("rest", -1)), Int("axis", 0))
			n.output(n.norm("bn", n.node("Reshape", "view", in(conv(n, x), to)), 4), "N", 4, 16)
		}, "bn"),
		made("view(n, C, h, w) of a Gemm", "the columns are split, the rows are as many", []int{2, 3}, func(n *net) {
			y := n.biased("Gemm", "fc", n.input("x", "N", 3), shape(3, 16), shape(16))
			to := n.node("Concat", "to", in(n.size("n", "x", 0), n.integers("rest", 4, 2, 2)), Int("axis", 0))
			n.output(n.norm("bn", n.node("Reshape", "view", in(y, to)), 4), "N", 4, 2, 2)
		}, "bn"),
		made("norm, view(n, -1), Gemm", "every column is a position of a channel", image, func(n *net) {
			y := n.norm("bn", conv(n, n.input("x", batch...)), 4)
			n.output(n.node("Relu", "other", in("x")), "N", 3, 6, 6)
			to := n.node("Concat", "to", in(n.size("n", "x", 0), n.integers("rest", -1)), Int("axis", 0))
			n.output(n.biased("Gemm", "fc", n.node("Reshape", "view", in(y, to)), shape(64, 5), shape(5)), "N", 5)
		}, "bn"),
		made("flatten(0, 1), norm, reshape_as", "the last axis is copied, and the rank behind is the layer's again", []int{2, 5, 3}, func(n *net) {
			y := n.layer("MatMul", "fc", n.input("x", "N", "L", 3), shape(3, 4))
			to := n.node("Concat", "to", in(n.integers("first", -1), n.sizes("last", y, 2, 3)), Int("axis", 0))
			z := n.norm("bn1", n.node("Reshape", "rows", in(y, to)), 4)
			z = n.node("Reshape", "back", in(z, n.node("Shape", "shape", in(y))))
			z = n.layer("MatMul", "fc2", n.node("Relu", "relu", in(z)), shape(4, 4))
			to = n.node("Concat", "to2", in(n.integers("first2", -1), n.sizes("last2", z, 2, 3)), Int("axis", 0))
			n.output(n.norm("bn2", n.node("Reshape", "rows2", in(z, to)), 4), "M", 4)
		}, "bn1", "bn2"),
		made("Reshape to the sizes of another input", "it may have other sizes than the layer's output", image, func(n *net) {
			y := conv(n, n.input("x", batch...))
			n.Inputs = append(n.Inputs, Val("like", Float32, "M"))
			to := n.node("Concat", "to", in(n.size("n", "like", 0), n.integers("c", 4), n.integers("rest", -1)), Int("axis", 0))
			n.output(n.norm("bn", n.node("Reshape", "view", in(y, to)), 4), "M", 4, "P")
		}).with("like", NewArray(Float32, []int{4}, 1, 2, 3, 4)).keeping("bn", fuse.ReasonAxis),
		made("Reshape that exchanges sizes", "the batch is where the channels were", []int{4, 3, 6, 6}, func(n *net) {
			y := conv(n, n.input("x", batch...))
			to := n.node("Concat", "to", in(n.integers("c", 4), n.size("n", "x", 0), n.integers("rest", -1)), Int("axis", 0))
			n.output(n.by("Mul", "mul", n.node("Reshape", "view", in(y, to)), shape(4, 1, 1)), 4, 4, 16)
		}).keeping("mul", ""),
		made("view of a size of a broadcast", "what is added may have more rows", []int{1, 3}, func(n *net) {
			y := n.biased("Gemm", "fc", n.input("x", "N", 3), shape(3, 16), shape(16))
			n.Inputs = append(n.Inputs, Val("more", Float32, "M", 3))
			sum := n.node("Add", "add", in("x", "more"))
			to := n.node("Concat", "to", in(n.size("n", sum, 0), n.integers("c", 4), n.integers("rest", -1)), Int("axis", 0))
			n.output(n.norm("bn", n.node("Reshape", "view", in(y, to)), 4), "M", 4, "P")
		}).with("more", NewArray(Float32, []int{2, 3}, 1, 2, 3, 4, 5, 6)).keeping("bn", fuse.ReasonAxis),
	}
}

// sizes adds the operators that give the sizes of axes from up to to, as a list.
func (n *net) sizes(name, x string, from, to float64) string {
	s := n.node("Shape", name+"_shape", in(x))
	return n.node("Slice", name, in(s, n.integers(name+"_from", from), n.integers(name+"_to", to)))
}

// size adds the operators that give one size, as a list of one.
func (n *net) size(name, x string, axis float64) string {
	s := n.node("Gather", name+"_of", in(n.node("Shape", name+"_shape", in(x)), n.index(name+"_axis", axis)), Int("axis", 0))
	return n.node("Unsqueeze", name, in(s, n.integers(name+"_axes", 0)))
}
