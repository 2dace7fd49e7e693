package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// beforeLinearCases are norms before Gemm (C' = β·C + α·Σ B·t, β := 1) and before MatMul.
func beforeLinearCases() []Case {
	gemm := func(name string, weight, c []int64, attrs ...Attr) Case {
		return Case{
			Name: "before/Gemm, " + name, Why: "α·A'·B = α·A·(s⊙B) + α·Σ B·t, which joins β·C",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3), 3)
				n.output(n.biased("Gemm", "fc", y, weight, c, attrs...), 2, 4)
			}),
			WantFolded: folded("bn"),
		}
	}
	matMul := func(name, why string, body func(n *net) string, out ...any) Case {
		return Case{
			Name: "before/MatMul, " + name, Why: why,
			Model:      build(13, func(n *net) { n.output(body(n), out...) }),
			WantFolded: folded("bn"),
		}
	}
	behind := matMul("Transpose, Add", "the Add that the norm's shift needs takes in the one behind the Transpose", func(n *net) string {
		y := n.layer("MatMul", "fc", n.norm("bn", n.input("x", 2, 3), 3), shape(3, 4))
		return n.by("Add", "add", n.node("Transpose", "t", in(y), Ints("perm", 1, 0)), shape(4, 1))
	}, 4, 2)
	behind.WantFolded = folded("bn", "add")
	scaled := matMul("Transpose, Add, no shift", "without a shift there is no Add to take in the other", func(n *net) string {
		y := n.layer("MatMul", "fc", n.by("Mul", "mul", n.input("x", 2, 3), shape(3)), shape(3, 4))
		return n.by("Add", "add", n.node("Transpose", "t", in(y), Ints("perm", 1, 0)), shape(4, 1))
	}, 4, 2)
	scaled.WantFolded, scaled.WantKept = folded("mul"), kept("add", "")
	clash := matMul("a node named as the Add might be", "runtimes refuse two nodes with one name", func(n *net) string {
		y := n.layer("MatMul", "fc", n.norm("bn", n.input("x", 2, 3), 3), shape(3, 4))
		return n.node("Relu", y+"_add", in(y))
	}, 2, 4)
	return []Case{
		behind, scaled, clash,
		gemm("transB=0", shape(3, 4), shape(4)),
		gemm("transB=1", shape(4, 3), shape(4), Int("transB", 1)),
		gemm("alpha and beta", shape(3, 4), shape(4), Float("alpha", 0.5), Float("beta", -2)),
		gemm("beta 0", shape(3, 4), shape(4), Float("beta", 0)),
		gemm("C []", shape(3, 4), shape()),
		gemm("C [1,N]", shape(3, 4), shape(1, 4)),
		gemm("C [M,1]", shape(3, 4), shape(2, 1), Float("beta", 0.5)),
		gemm("C [M,N]", shape(4, 3), shape(2, 4), Int("transB", 1)),
		{
			Name: "before/Gemm, C absent", Why: "α·Σ B·t becomes C",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3), 3)
				n.output(n.layer("Gemm", "fc", y, shape(3, 4), Float("alpha", 0.5), Float("beta", 0)), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/Gemm, C not constant", Why: "α·Σ B·t would have to join an activation",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3), 3)
				n.output(n.node("Gemm", "fc", in(y, n.param("w", 3, 4), n.input("c", 4))), 2, 4)
			}),
			WantKept: kept("bn", fuse.ReasonBias),
		}, {
			Name: "before/Gemm, transA", Why: "the norm's axis 1 is then the rows of the product",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 3, 3), 3)
				n.output(n.biased("Gemm", "fc", y, shape(3, 4), shape(4), Int("transA", 1)), 3, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "before/Gemm, both sides", Why: "W' = s_out ⊙ W ⊙ s_in with α, β and C",
			Model: build(13, func(n *net) {
				y := n.norm("bn1", n.input("x", 2, 3), 3)
				y = n.biased("Gemm", "fc", y, shape(4, 3), shape(2, 1), Int("transB", 1), Float("alpha", 0.5), Float("beta", 3))
				n.output(n.norm("bn2", y, 4), 2, 4)
			}),
			WantFolded: folded("bn1", "bn2"),
		}, {
			Name: "before/Gemm, opset 6", Why: "C' broadcasts as C did",
			Model: build(6, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3), 3, Int("is_test", 1))
				n.output(n.biased("Gemm", "fc", y, shape(3, 4), shape(4), Int("broadcast", 1)), 2, 4)
			}),
			WantFolded: folded("bn"), NoORT: "opset < 7",
		}, {
			Name: "before/Gemm, norm of C", Why: "the norm's output is the addend, not the layer's input",
			Model: build(13, func(n *net) {
				c := n.norm("bn", n.input("c", 2, 4), 4)
				n.output(n.node("Gemm", "fc", in(n.input("x", 2, 3), n.param("w", 3, 4), c)), 2, 4)
			}),
			WantKept: kept("bn", ""),
		},

		matMul("rank 2", "axis 1 is the last; an Add of Σ W·t follows the layer", func(n *net) string {
			return n.layer("MatMul", "fc", n.norm("bn", n.input("x", 2, 3), 3), shape(3, 4))
		}, 2, 4),
		matMul("rank 2, bias", "Σ W·t joins the bias", func(n *net) string {
			y := n.layer("MatMul", "fc", n.norm("bn", n.input("x", 2, 3), 3), shape(3, 4))
			return n.node("Add", "bias", in(n.param("b", 4), y))
		}, 2, 4),
		matMul("transposed weight", "the stored weight is [out, in]", func(n *net) string {
			w := n.node("Transpose", "t", in(n.param("w", 4, 3)))
			return n.node("MatMul", "fc", in(n.norm("bn", n.input("x", 2, 3), 3), w))
		}, 2, 4),
		matMul("rank 3", "axis 1 is the sequence, not what is summed over", func(n *net) string {
			return n.layer("MatMul", "fc", n.norm("bn", n.input("x", 2, 3, 3), 3), shape(3, 4))
		}, 2, 3, 4).keeping("bn", fuse.ReasonAxis),
		matMul("norm on the right", "the norm's output is the second operand; the constant is the first", func(n *net) string {
			return n.node("MatMul", "fc", in(n.param("w", 4, 3), n.norm("bn", n.input("x", 3, 3), 3)))
		}, 4, 3).keeping("bn", ""),
		{
			Name: "before/MatMul, rank 3, Mul [K] and Add [K]", Why: "a vector lies along the last axis, which is what is summed over, whatever the rank",
			Model: build(13, func(n *net) {
				y := n.by("Mul", "mul", n.input("x", 2, 5, 3), shape(3))
				y = n.by("Add", "add", y, shape(3))
				n.output(n.layer("MatMul", "fc", y, shape(3, 4)), 2, 5, 4)
			}),
			WantFolded: folded("mul", "add"),
		}, {
			Name: "before/MatMul, Mul [K] on one column", Why: "the constant makes three columns of one",
			Model: build(13, func(n *net) {
				y := n.by("Mul", "mul", n.input("x", 2, 1), shape(3))
				n.output(n.layer("MatMul", "fc", y, shape(3, 4)), 2, 4)
			}),
			WantKept: kept("mul", ""),
		}, {
			Name: "before/MatMul, Mul [S,1]", Why: "the constant varies along the sequence",
			Model: build(13, func(n *net) {
				y := n.by("Mul", "mul", n.input("x", 2, 5, 3), shape(5, 1))
				n.output(n.layer("MatMul", "fc", y, shape(3, 4)), 2, 5, 4)
			}),
			WantKept: kept("mul", ""),
		},
	}
}
