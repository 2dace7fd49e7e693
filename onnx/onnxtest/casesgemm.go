package onnxtest

import (
	"fmt"
	"math"

	"github.com/bnfuse/bnfuse/fuse"
)

// gemmCases are norms after a Gemm, y = s·(α·A·B + β·C) + t: W' by the view, C' = s·(β·C) + t, β := 1.
func gemmCases() []Case {
	cases := []Case{
		gemmAfter("transB=0", shape(3, 4), shape(4)),
		gemmAfter("transB=1", shape(4, 3), shape(4), Int("transB", 1)),
		gemmAfter("transB=1, square", shape(3, 3), shape(3), Int("transB", 1)),
		gemmAfter("transB=0, square", shape(3, 3), shape(3)),
		gemmAfter("alpha and beta", shape(3, 4), shape(4), Float("alpha", 0.3), Float("beta", -1.7)),
		gemmAfter("beta 0", shape(3, 4), shape(4), Float("beta", 0)),
		gemmAfter("beta 0, C [M,1], as many columns", shape(3, 2), shape(2, 1), Float("beta", 0)),
		gemmAfter("beta 0, C [M,1], as many columns, transB", shape(2, 3), shape(2, 1), Float("beta", 0), Int("transB", 1)),
		gemmAfter("beta 0, C [M,N]", shape(3, 4), shape(2, 4), Float("beta", 0)),
		gemmAfter("beta 0, C [1,N]", shape(3, 4), shape(1, 4), Float("beta", 0)),
		gemmAfter("beta 0, C []", shape(3, 4), shape(), Float("beta", 0)),
		gemmAfter("beta 0, one column, C [M,1]", shape(3, 1), shape(2, 1), Float("beta", 0)),
		gemmAfter("alpha 0", shape(3, 4), shape(4), Float("alpha", 0)),
		gemmAfter("alpha, beta, transB", shape(4, 3), shape(4), Int("transB", 1), Float("alpha", 2), Float("beta", 0.5)),
		gemmAfter("C []", shape(3, 4), shape()),
		gemmAfter("C [1]", shape(3, 4), shape(1), Float("beta", 0.5)),
		gemmAfter("C [1,1]", shape(3, 4), shape(1, 1)),
		gemmAfter("C [1,N]", shape(3, 4), shape(1, 4), Float("beta", 2)),
		gemmAfter("C [M,1]", shape(3, 4), shape(2, 1), Float("beta", 2)),
		gemmAfter("C [M,N]", shape(3, 4), shape(2, 4), Float("beta", 0.25)),
		gemmAfter("C [M,1], transB", shape(4, 3), shape(2, 1), Int("transB", 1)),
	}
	inf := float32(math.Inf(1))
	for _, a := range []Attr{Float("alpha", inf), Float("beta", -inf), Float("beta", inf-inf)} {
		c := gemmAfter(fmt.Sprintf("%s %v", a.Name, a.F), shape(3, 4), shape(4), a)
		c.WantFolded, c.WantKept = nil, kept("bn", fuse.ReasonNotFinite)
		c.NoEval, c.NoORT = "nothing is finite", "nothing is finite"
		cases = append(cases, c)
	}
	cases = append(cases, Case{
		Name: "gemm/norm before, beta 0, C [M,1], as many columns", Why: "C' has a number a column, whatever the shape of the C that nobody reads",
		Model: build(13, func(n *net) {
			x := n.norm("bn", n.input("x", 2, 3), 3)
			n.output(n.biased("Gemm", "fc", x, shape(3, 2), shape(2, 1), Float("beta", 0)), 2, 2)
		}),
		WantFolded: folded("bn"),
	})
	return append(append(cases, gemmOpsetCases()...), gemmKeptCases()...)
}

func gemmAfter(name string, weight, c []int64, attrs ...Attr) Case {
	outputs := weight[1]
	for _, a := range attrs {
		if a.Name == "transB" {
			outputs = weight[0]
		}
	}
	return Case{
		Name: "gemm/" + name, Why: "W' = s⊙W on the output axis, C' = s·(β·C) + t, right for every α, β and C that broadcasts",
		Model: build(13, func(n *net) {
			y := n.biased("Gemm", "fc", n.input("x", 2, 3), weight, c, attrs...)
			n.output(n.norm("bn", y, outputs), 2, int(outputs))
		}),
		WantFolded: folded("bn"),
	}
}

// inference are the attributes with which the norms of opsets 1 to 6 do not train.
func inference(opset int64) []Attr {
	attrs := []Attr{Int("is_test", 1)}
	if opset < 6 {
		attrs = append(attrs, Ints("consumed_inputs", 0, 0, 0, 1, 1))
	}
	return attrs
}

func gemmOpsetCases() []Case {
	legacy := func(name string, opset int64, c []int64, attrs ...Attr) Case {
		return Case{
			Name: "gemm/" + name, Why: "the same sum; C' broadcasts as C did, or is as large as the output",
			Model: build(opset, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 3), shape(4, 3), c, append(attrs, Int("transB", 1))...)
				n.output(n.norm("bn", y, 4, inference(opset)...), 2, 4)
			}),
			WantFolded: folded("bn"), NoORT: "opset < 7",
		}
	}
	return []Case{
		legacy("opset 1, C [N]", 1, shape(4), Int("broadcast", 1)),
		legacy("opset 6, C [N]", 6, shape(4), Int("broadcast", 1)),
		legacy("opset 6, C [1]", 6, shape(1), Int("broadcast", 1)),
		legacy("opset 6, C [M,N]", 6, shape(2, 4)),
		legacy("opset 6, C [M,N], beta", 6, shape(2, 4), Float("beta", 0.5)),
		{
			Name: "gemm/opset 7", Why: "C broadcasts as in numpy from here on",
			Model: build(7, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 3), shape(3, 4), shape(4))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "gemm/C absent", Why: "since opset 11 C may be absent; the shift becomes C",
			Model: build(13, func(n *net) {
				y := n.layer("Gemm", "fc", n.input("x", 2, 3), shape(3, 4), Float("alpha", 0.5), Float("beta", 3))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "gemm/C left empty", Why: "an empty name is no C; beta must not scale the new one",
			Model: build(11, func(n *net) {
				in := in(n.input("x", 2, 3), n.param("w", 4, 3), "")
				y := n.node("Gemm", "fc", in, Int("transB", 1), Float("beta", 0))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "gemm/transA", Why: "how A is read does not matter to a norm after",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 3, 2), shape(3, 4), shape(4), Int("transA", 1))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "gemm/transA and transB", Why: "how A is read does not matter to a norm after",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 3, 2), shape(4, 3), shape(4), Int("transA", 1), Int("transB", 1))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "gemm/Mul [N] and Add [1,N]", Why: "the last axis of a Gemm's output is N, which both constants vary along",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 3), shape(3, 4), shape(4))
				y = n.by("Mul", "mul", y, shape(4))
				n.output(n.by("Add", "add", y, shape(1, 4)), 2, 4)
			}),
			WantFolded: folded("mul", "add"),
		}, {
			Name: "gemm/one row", Why: "with M = 1, C [M,N] is C [1,N]",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 1, 3), shape(3, 4), shape(1, 4))
				n.output(n.norm("bn", y, 4), 1, 4)
			}),
			WantFolded: folded("bn"),
		},
	}
}

func gemmKeptCases() []Case {
	return []Case{
		{
			Name: "gemm/C not constant", Why: "s·(β·C) cannot be computed",
			Model: build(13, func(n *net) {
				c := n.input("c", 4)
				y := n.node("Gemm", "fc", in(n.input("x", 2, 3), n.param("w", 3, 4), c))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantKept: kept("bn", fuse.ReasonBias),
		}, {
			Name: "gemm/B not constant", Why: "there is no weight to scale",
			Model: build(13, func(n *net) {
				w := n.input("w", 3, 4)
				y := n.node("Gemm", "fc", in(n.input("x", 2, 3), w, n.param("b", 4)))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantKept: kept("bn", fuse.ReasonWeight),
		}, {
			Name: "gemm/Mul [M,1]", Why: "the constant varies along the rows, not along the outputs",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 4, 3), shape(3, 4), shape(4))
				n.output(n.by("Mul", "mul", y, shape(4, 1)), 4, 4)
			}),
			WantKept: kept("mul", fuse.ReasonBroadcast),
		}, {
			Name: "gemm/Mul [M,N]", Why: "the constant varies along both axes",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 3), shape(3, 4), shape(4))
				n.output(n.by("Mul", "mul", y, shape(2, 4)), 2, 4)
			}),
			WantKept: kept("mul", fuse.ReasonBroadcast),
		}, {
			Name: "gemm/Mul [1,1,N]", Why: "the constant makes the result rank 3",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 3), shape(3, 4), shape(4))
				n.output(n.by("Mul", "mul", y, shape(1, 1, 4)), 1, 2, 4)
			}),
			WantKept: kept("mul", fuse.ReasonBroadcast),
		}, {
			Name: "gemm/the layer's weight is A", Why: "A is the constant: the norm's axis is B's, not the weight's output axis",
			Model: build(13, func(n *net) {
				x := n.input("x", 3, 4)
				y := n.node("Gemm", "fc", in(n.param("w", 2, 3), x, n.param("b", 4)))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantKept: kept("bn", fuse.ReasonWeight),
		},
	}
}
