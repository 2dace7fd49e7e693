package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// overrideCases have initializers that are graph inputs too. From IR 4 on, the caller may give another
// value; before, all initializers had to be inputs and are constants.
func overrideCases() []Case {
	layerAndNorm := func(n *net) {
		y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
		n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
	}
	var cases []Case
	for _, name := range []string{"conv_w", "conv_b", "bn_gamma", "bn_beta", "bn_mean", "bn_var"} {
		cases = append(cases, Case{
			Name: "override/" + name, Why: "the caller may give another value, which a fold would have baked in",
			Model: build(13, func(n *net) {
				layerAndNorm(n)
				n.overridable(name)
			}),
			WantKept: kept("bn", fuse.ReasonOverridable),
		})
	}
	ir3 := func(name, why string, body func(n *net), names ...string) Case {
		return Case{
			Name: "override/IR 3, " + name, Why: why,
			Model: build(9, func(n *net) {
				n.model.IR = 3
				body(n)
			}),
			WantFolded: names,
		}
	}
	return append(cases,
		Case{
			Name: "override/everything", Why: "keep_initializers_as_inputs with IR 4: the caller may give any of them",
			Model: build(13, func(n *net) {
				layerAndNorm(n)
				for _, t := range n.Init {
					n.Inputs = append(n.Inputs, t.value())
				}
			}),
			WantKept: kept("bn", fuse.ReasonOverridable),
		},
		Case{
			Name: "override/Mul's constant", Why: "the caller may give another value",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.by("Mul", "mul", y, shape(4, 1, 1)), 1, 4, 4, 4)
				n.overridable("mul_c")
			}),
			WantKept: kept("mul", fuse.ReasonOverridable),
		},
		Case{
			Name: "override/weight through Identity", Why: "a copy of what the caller may give",
			Model: build(13, func(n *net) {
				w := n.node("Identity", "same", in(n.param("w", 4, 3, 3, 3)))
				y := n.node("Conv", "conv", in(n.input("x", 1, 3, 6, 6), w))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				n.overridable("w")
			}),
			WantKept: kept("bn", fuse.ReasonOverridable),
		},
		Case{
			Name: "override/constant arithmetic over an input", Why: "computed from what the caller may give",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				c := n.node("Sqrt", "sqrt", in(n.between("c", 0.5, 1.5, shape(4, 1, 1))))
				n.output(n.node("Mul", "mul", in(y, c)), 1, 4, 4, 4)
				n.overridable("c")
			}),
			WantKept: kept("mul", fuse.ReasonOverridable),
		},
		Case{
			Name: "override/target of a Reshape", Why: "the caller may ask for other axes than shape inference has stated",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				y = n.node("Reshape", "reshape", in(y, n.integers("to", 1, 4, 16)))
				n.describe(y, 1, 4, 16)
				n.output(n.norm("bn", y, 4), 1, 4, 16)
				n.overridable("to")
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		},
		Case{
			Name: "override/MatMul's bias", Why: "the caller may give another value",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				y = n.node("Add", "bias", in(y, n.param("b", 4)))
				n.output(n.norm("bn", y, 4), 2, 4)
				n.overridable("b")
			}),
			WantKept: kept("bn", fuse.ReasonOverridable),
		},
		Case{
			Name: "override/another layer's weight", Why: "an input that the layer and its norm do not use",
			Model: build(13, func(n *net) {
				x := n.input("x", 1, 3, 6, 6)
				n.output(n.norm("bn", n.layer("Conv", "conv1", x, shape(4, 3, 3, 3)), 4), 1, 4, 4, 4)
				n.output(n.layer("Conv", "conv2", x, shape(4, 3, 3, 3)), 1, 4, 4, 4)
				n.overridable("conv2_w")
			}),
			WantFolded: folded("bn"),
		},
		ir3("all listed", "every initializer is listed as an input; a new bias comes, the norm's parameters go, and their inputs with them", layerAndNorm, "bn"),
		ir3("no bias", "the new bias must be listed as an input", func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
			n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
		}, "bn"),
		ir3("shared weight", "the new weight must be listed as an input", func(n *net) {
			x, w := n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3)
			n.output(n.norm("bn", n.node("Conv", "conv1", in(x, w)), 4), 1, 4, 4, 4)
			n.output(n.node("Conv", "conv2", in(x, w)), 1, 4, 4, 4)
		}, "bn"),
		ir3("MatMul", "the Add's constant must be listed as an input", func(n *net) {
			y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
			n.output(n.norm("bn", y, 4), 2, 4)
		}, "bn"),
	)
}
