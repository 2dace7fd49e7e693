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
