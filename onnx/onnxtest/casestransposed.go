package onnxtest

// matMulStoredTransposed are PyTorch's Linear layers: Transpose of the stored [out, in], then MatMul.
func matMulStoredTransposed() []Case {
	return []Case{
		{
			Name: "matmul/transposed weight", Why: "the weight is folded where it is stored, as [out, in]",
			Model: build(13, func(n *net) {
				w := n.node("Transpose", "t", in(n.param("w", 4, 3)), Ints("perm", 1, 0))
				y := n.node("MatMul", "fc", in(n.input("x", 2, 3), w))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "matmul/transposed weight without perm", Why: "without perm the axes are reversed",
			Model: build(13, func(n *net) {
				w := n.node("Transpose", "t", in(n.param("w", 4, 3)))
				y := n.node("MatMul", "fc", in(n.input("x", 2, 3), w))
				y = n.node("Add", "bias", in(n.param("b", 4), y))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"), WantKept: kept("bias", ""),
		}, {
			Name: "matmul/weight transposed to itself", Why: "perm [0, 1] moves nothing",
			Model: build(13, func(n *net) {
				w := n.node("Transpose", "t", in(n.param("w", 3, 4)), Ints("perm", 0, 1))
				y := n.node("MatMul", "fc", in(n.input("x", 2, 3), w))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "matmul/weight transposed twice", Why: "two transpositions are none",
			Model: build(13, func(n *net) {
				w := n.node("Transpose", "t1", in(n.param("w", 3, 4)))
				w = n.node("Transpose", "t2", in(w))
				y := n.node("MatMul", "fc", in(n.input("x", 2, 3), w))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "matmul/transposed square weight", Why: "both axes have the norm's length; the Transpose says which is the output",
			Model: build(13, func(n *net) {
				w := n.node("Transpose", "t", in(n.param("w", 3, 3)), Ints("perm", 1, 0))
				y := n.node("MatMul", "fc", in(n.input("x", 2, 3), w))
				n.output(n.norm("bn", y, 3), 2, 3)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "matmul/shared Transpose", Why: "each MatMul gets a weight of its own; the Transpose stays for the one without norm",
			Model: build(13, func(n *net) {
				x := n.input("x", 2, 3)
				w := n.node("Transpose", "t", in(n.param("w", 4, 3)))
				n.output(n.norm("bn", n.node("MatMul", "fc1", in(x, w)), 4), 2, 4)
				n.output(n.node("MatMul", "fc2", in(x, w)), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "gemm/weight behind Transpose", Why: "transB=0 and the Transpose together read the stored weight as [out, in]",
			Model: build(13, func(n *net) {
				w := n.node("Transpose", "t", in(n.param("w", 4, 3)))
				y := n.node("Gemm", "fc", in(n.input("x", 2, 3), w, n.param("b", 4)))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "gemm/weight transposed and transB", Why: "they undo each other",
			Model: build(13, func(n *net) {
				w := n.node("Transpose", "t", in(n.param("w", 3, 4)))
				y := n.node("Gemm", "fc", in(n.input("x", 2, 3), w, n.param("b", 4)), Int("transB", 1))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		},
	}
}

// convStoredTransposed are convolutions whose weight is small and stored in an order that no view of it fits: it
// is folded as its value.
func convStoredTransposed() []Case {
	return []Case{
		{
			Name: "convtranspose/grouped, weight behind Transpose", Why: "the group is in the axis that is stored last",
			Model: build(13, func(n *net) {
				w := n.node("Transpose", "t", in(n.param("w", 3, 2, 2, 4)), Ints("perm", 3, 0, 1, 2))
				y := n.node("ConvTranspose", "conv", in(n.input("x", 1, 4, 3, 3), w, n.param("b", 6)), Int("group", 2))
				n.output(n.norm("bn", y, 6), 1, 6, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/weight behind Transpose", Why: "the shift is summed over axes that are not stored side by side",
			Model: build(13, func(n *net) {
				w := n.node("Transpose", "t", in(n.param("w", 3, 3, 3, 4)), Ints("perm", 3, 2, 0, 1))
				y := n.node("Conv", "conv", in(n.norm("bn", n.input("x", 1, 3, 5, 5), 3), w))
				n.output(y, 1, 4, 3, 3)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/grouped, weight behind Transpose", Why: "the group is in the axis that is stored last",
			Model: build(13, func(n *net) {
				w := n.node("Transpose", "t", in(n.param("w", 2, 3, 3, 6)), Ints("perm", 3, 0, 1, 2))
				y := n.node("Conv", "conv", in(n.norm("bn", n.input("x", 1, 4, 5, 5), 4), w), Int("group", 2))
				n.output(y, 1, 6, 3, 3)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before and after/weight behind Transpose", Why: "the norm after is found first, where the weight is stored; then the one before asks for its value",
			Model: build(13, func(n *net) {
				w := n.node("Transpose", "t", in(n.param("w", 3, 3, 3, 4)), Ints("perm", 3, 2, 0, 1))
				y := n.node("Conv", "conv", in(n.norm("bn1", n.input("x", 1, 3, 5, 5), 3), w, n.param("b", 4)))
				n.output(n.norm("bn2", y, 4), 1, 4, 3, 3)
			}),
			WantFolded: folded("bn1", "bn2"),
		}, {
			Name: "before/shared weight behind Transpose", Why: "the other layer keeps the Transpose",
			Model: build(13, func(n *net) {
				x := n.input("x", 1, 3, 5, 5)
				w := n.node("Transpose", "t", in(n.param("w", 3, 3, 3, 4)), Ints("perm", 3, 2, 0, 1))
				n.output(n.node("Conv", "conv1", in(n.norm("bn", x, 3), w)), 1, 4, 3, 3)
				n.output(n.node("Conv", "conv2", in(x, w)), 1, 4, 3, 3)
			}),
			WantFolded: folded("bn"),
		},
	}
}
