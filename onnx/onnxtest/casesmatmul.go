package onnxtest

import (
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// matMulCases are norms after a MatMul, whose weight is [in, out], with or without an Add.
func matMulCases() []Case {
	return slices.Concat(matMulFolds(), matMulStoredTransposed(), matMulRanks(), matMulKept())
}

func matMulFolds() []Case {
	return []Case{
		{
			Name: "matmul/norm", Why: "a matrix times a matrix is a matrix, so axis 1 is the weight's; an Add of the shift takes the norm's place",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "matmul/norm with documentation", Why: "what is said of the node is said of the Add",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4)), 4)
				n.last().Doc, n.last().Metadata = "as it was trained", []Entry{{Key: "by", Value: "hand"}}
				n.output(y, 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "matmul/bias, norm", Why: "the Add is the layer's bias",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				y = n.node("Add", "bias", in(y, n.param("b", 4)))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"), WantKept: kept("bias", ""),
		}, {
			Name: "matmul/bias first, norm", Why: "an Add may name its constant first, as PyTorch does",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				y = n.node("Add", "bias", in(n.param("b", 4), y))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"), WantKept: kept("bias", ""),
		}, {
			Name: "matmul/bias [1,N], norm", Why: "the bias is one row",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				y = n.node("Add", "bias", in(y, n.param("b", 1, 4)))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"), WantKept: kept("bias", ""),
		}, {
			Name: "matmul/scalar bias, norm", Why: "one number for every channel is a bias too; s·b + t differs by channel",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				y = n.node("Add", "bias", in(y, n.param("b")))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"), WantKept: kept("bias", ""),
		}, {
			Name: "matmul/bias [M,N], norm", Why: "s·(W·x + B) + t = W'·x + (s·B + t) holds for a constant B of any shape; only Gemm's C must be folded so",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				y = n.node("Add", "bias", in(y, n.param("b", 2, 4)))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			Either: folded("bn"),
		}, {
			Name: "matmul/Mul", Why: "a scale alone goes into the weight",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				n.output(n.by("Mul", "mul", y, shape(4)), 2, 4)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "matmul/Mul, Add", Why: "the Mul goes into the weight; the Add is then the layer's bias",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				y = n.by("Mul", "mul", y, shape(4))
				n.output(n.by("Add", "add", y, shape(4)), 2, 4)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "matmul/bias, Mul, Add", Why: "Mul and Add are the norm, the first Add is the bias",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				y = n.by("Add", "bias", y, shape(4))
				y = n.by("Mul", "mul", y, shape(4))
				n.output(n.by("Add", "add", y, shape(4)), 2, 4)
			}),
			WantFolded: folded("mul", "add"), WantKept: kept("bias", ""),
		}, {
			Name: "matmul/bias alone", Why: "an Add after a MatMul is its bias: nothing is to be folded",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				n.output(n.by("Add", "bias", y, shape(4)), 2, 4)
			}),
			WantKept: kept("bias", ""),
		}, {
			Name: "matmul/opset 6", Why: "the Add in the norm's place must ask for its broadcast",
			Model: build(6, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				n.output(n.norm("bn", y, 4, Int("is_test", 1)), 2, 4)
			}),
			WantFolded: folded("bn"), NoORT: "opset < 7",
		}, {
			Name: "matmul/opset 6 with bias", Why: "a suffix is what broadcast means without an axis",
			Model: build(6, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				y = n.by("Add", "bias", y, shape(4), Int("broadcast", 1))
				n.output(n.norm("bn", y, 4, Int("is_test", 1)), 2, 4)
			}),
			WantFolded: folded("bn"), WantKept: kept("bias", ""), NoORT: "opset < 7",
		},
	}
}

func matMulKept() []Case {
	return []Case{
		{
			Name: "matmul/no constant", Why: "a product of two activations has no weight",
			Model: build(13, func(n *net) {
				w := n.input("w", 3, 4)
				y := n.node("MatMul", "fc", in(n.input("x", 2, 3), w))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantKept: kept("bn", fuse.ReasonWeight),
		}, {
			Name: "matmul/constant on the left", Why: "the norm's axis 1 is the activation's; the constant's output axis is 0",
			Model: build(13, func(n *net) {
				x := n.input("x", 3, 4)
				y := n.node("MatMul", "fc", in(n.param("w", 4, 3), x))
				n.output(n.norm("bn", y, 4), 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonWeight),
		}, {
			Name: "matmul/batched weight", Why: "the weight has rank 3: no layer, and axis 1 is a row",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 4, 3), shape(2, 3, 4))
				n.output(n.norm("bn", y, 4), 2, 4, 4)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "matmul/vector weight", Why: "a product with a vector drops the last axis: axis 1 is the input's",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 4, 3), shape(3))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "matmul/Add of an activation", Why: "the Add is a residual, not a bias",
			Model: build(13, func(n *net) {
				x := n.input("x", 2, 4)
				y := n.layer("MatMul", "fc", x, shape(4, 4))
				y = n.node("Add", "add", in(y, x))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "matmul/product used beside its bias", Why: "the other user needs the product as it is",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				n.output(y, 2, 4)
				y = n.by("Add", "bias", y, shape(4))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantKept: kept("bn", fuse.ReasonOutputShared),
		}, {
			Name: "matmul/sum used beside its norm", Why: "the other user needs the sum as it is",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				y = n.by("Add", "bias", y, shape(4))
				n.output(y, 2, 4)
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantKept: kept("bn", fuse.ReasonOutputShared),
		},
	}
}
