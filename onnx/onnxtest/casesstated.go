package onnxtest

import (
	"math"

	"github.com/bnfuse/bnfuse/fuse"
)

// statedCases state shapes that are not so, and have forms that hide what a shape is. Runtimes do not check
// value_info: what it says is believed only where nothing speaks against it.
func statedCases() []Case {
	return []Case{
		{
			Name: "stated/a wrong rank", Why: "Relu keeps three axes, so the norm is over MatMul's rows",
			Model: build(13, func(n *net) {
				y := n.node("Relu", "relu", in(n.input("x", 2, 4, 3)))
				n.describe(y, 2, 3)
				n.output(n.norm("bn", n.layer("MatMul", "fc", y, shape(3, 4)), 4), nil, nil, nil)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "stated/a wrong rank of the product", Why: "the input has three axes, and so has the product",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 4, 3), shape(3, 4))
				n.describe(y, 2, 4)
				n.output(n.norm("bn", y, 4), nil, nil, nil)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "stated/a wrong batch", Why: "two images become one row: their channels are no run of columns each",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3, 2, 2), 3)
				n.describe(y, 1, 3, 2, 2)
				y = n.node("Reshape", "reshape", in(y, n.integers("to", 1, -1)))
				n.output(n.biased("Gemm", "fc", y, shape(4, 24), shape(4), Int("transB", 1)), nil, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "stated/a wrong rank inside Loop", Why: "what comes into a body has the rank it has",
			Model: build(13, func(n *net) {
				x := n.input("x", 2, 4, 3)
				body := n.body("body", func(b *net) {
					b.Inputs = append(b.Inputs, Val("i", Int64), Val("go", Bool), Val("state", Float32, 2, 3))
					y := b.norm("bn", b.layer("MatMul", "fc", "state", shape(3, 4)), 4)
					y = b.node("MatMul", "back", in(y, b.param("back_w", 4, 3)))
					b.Outputs = append(b.Outputs, Val(b.node("Identity", "on", in("go")), Bool), Val(y, Float32, nil, nil, nil))
				})
				n.Init = append(n.Init, NewTensor("trips", Int64, nil, 2))
				y := n.node("Loop", "loop", in("trips", "", x), GraphAttr("body", body))
				n.output(y, nil, nil, nil)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "stated/ReduceSum over no axes", Why: "noop_with_empty_axes: nothing is summed, and two images become one row",
			Model: build(13, func(n *net) {
				y := n.node("ReduceSum", "reduce", in(n.input("x", 2, 3, 2, 2)), Int("noop_with_empty_axes", 1))
				y = n.node("Reshape", "reshape", in(n.norm("bn", y, 3), n.integers("to", 1, -1)))
				n.output(n.biased("Gemm", "fc", y, shape(4, 24), shape(4), Int("transB", 1)), nil, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "stated/a norm over a vector", Why: "a norm of one channel may read a vector, which has no axis 1",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 3), 1)
				y = n.node("Unsqueeze", "unsqueeze", in(y, n.integers("axes", 0)))
				n.output(n.biased("Gemm", "fc", y, shape(4, 3), shape(4), Int("transB", 1)), 1, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "stated/constants behind Reshape with allowzero", Why: "no size is zero, so that allowzero changes nothing",
			Model: build(14, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				k := n.node("Reshape", "spread", in(n.param("k", 4), n.integers("to", 1, 4, 1, 1)), Int("allowzero", 1))
				n.output(n.node("Mul", "mul", in(y, k)), 1, 4, 4, 4)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "stated/C that beta 0 leaves out", Why: "runtimes do not read C, whatever it holds",
			Model: build(13, func(n *net) {
				y := n.layer("Gemm", "fc", n.input("x", 2, 3), shape(3, 4))
				n.last().In = append(n.last().In, n.values("c", shape(4), 1, math.NaN(), math.Inf(1), 2))
				n.last().Attrs = append(n.last().Attrs, Float("beta", 0))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "stated/an infinite weight and an infinite bias", Why: "Σ W·t is NaN for a shift of zero, and then the bias would be",
			Model: build(13, func(n *net) {
				x := n.norm("bn", n.input("x", 1, 2, 1, 1), 2)
				w := n.values("w", shape(1, 2, 1, 1), math.Inf(1), 1)
				n.init("bn_beta").Data, n.init("bn_mean").Data = []float64{0, 1}, []float64{0, 0}
				n.output(n.node("Conv", "conv", in(x, w, n.values("b", shape(1), math.Inf(1)))), 1, 1, 1, 1)
			}),
			WantKept: map[string]fuse.Reason{"bn": ""}, NonFinite: true,
		},
	}
}
