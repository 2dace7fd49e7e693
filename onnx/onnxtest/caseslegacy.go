package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// legacyCases are Mul, Add, Sub and Div of opsets 1 to 6, where a constant is broadcast only when
// asked, along the axes that start at `axis`, or else along the last.
func legacyCases() []Case {
	after := func(name, why string, opset int64, norm func(n *net, y string) string) Case {
		return Case{
			Name: "legacy/" + name, Why: why,
			Model: build(opset, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 2, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(norm(n, y), 2, 4, 4, 4)
			}),
			NoORT: "opset < 7",
		}
	}
	fold := func(c Case, names ...string) Case {
		c.WantFolded = names
		return c
	}
	keep := func(c Case, name string) Case {
		c.WantKept = kept(name, fuse.ReasonBroadcast)
		return c
	}
	on, axis1 := Int("broadcast", 1), Int("axis", 1)
	// linear is a MatMul and an Add of one number, and a norm beside them.
	linear := func(name, why string, model func(n *net, y func(x string) string) string) Case {
		return Case{
			Name: "legacy/" + name, Why: why,
			Model: build(6, func(n *net) {
				n.output(model(n, func(x string) string {
					return n.by("Add", "bias", n.layer("MatMul", "fc", x, shape(3, 4)), shape(1), on)
				}), 2, 4)
			}),
			WantFolded: folded("bn"), NoORT: "opset < 7",
		}
	}
	test := Int("is_test", 1)
	return []Case{
		linear("MatMul, Add of one number, norm", "the bias becomes a number a column", func(n *net, y func(string) string) string {
			return n.norm("bn", y(n.input("x", 2, 3)), 4, test)
		}),
		linear("norm, MatMul, Add of one number", "the Add takes in the norm's shift", func(n *net, y func(string) string) string {
			return y(n.norm("bn", n.input("x", 2, 3), 3, test))
		}),
		{
			Name: "legacy/MatMul, Add of one number on an axis, norm", Why: "on that axis a number a column would lie wrong",
			Model: build(6, func(n *net) {
				y := n.by("Add", "bias", n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4)), shape(1), on, Int("axis", 0))
				n.output(n.norm("bn", y, 4, test), 2, 4)
			}),
			WantKept: kept("bn", ""), NoORT: "opset < 7",
		},
		fold(after("[C] on axis 1", "axis 1 is the channel", 6, func(n *net, y string) string {
			return n.by("Add", "add", n.by("Mul", "mul", y, shape(4), on, axis1), shape(4), on, axis1)
		}), "mul", "add"),
		fold(after("Sub, Div on axis 1", "axis 1 is the channel", 6, func(n *net, y string) string {
			return n.by("Div", "div", n.by("Sub", "sub", y, shape(4), on, axis1), shape(4), on, axis1)
		}), "sub", "div"),
		fold(after("opset 1, consumed_inputs", "consumed_inputs is about memory", 1, func(n *net, y string) string {
			return n.by("Mul", "mul", y, shape(4), on, axis1, Ints("consumed_inputs", 0, 0))
		}), "mul"),
		fold(after("one element", "one number for every channel", 6, func(n *net, y string) string {
			return n.by("Add", "add", n.by("Mul", "mul", y, shape(1), on), shape(), on)
		}), "mul", "add"),
		fold(after("one element on an axis", "one number has no axis to vary along", 6, func(n *net, y string) string {
			return n.by("Mul", "mul", y, shape(1), on, Int("axis", 3))
		}), "mul"),
		fold(after("after a norm", "both compose", 6, func(n *net, y string) string {
			return n.by("Mul", "mul", n.norm("bn", y, 4, Int("is_test", 1)), shape(4), on, axis1)
		}), "bn", "mul"),

		keep(after("[C] without axis", "without an axis the constant lies along the width", 6, func(n *net, y string) string {
			return n.by("Mul", "mul", y, shape(4), on)
		}), "mul"),
		keep(after("[C] on axis 2", "the constant lies along the height", 6, func(n *net, y string) string {
			return n.by("Mul", "mul", y, shape(4), on, Int("axis", 2))
		}), "mul"),
		keep(after("[C] on axis 3", "the constant lies along the width", 6, func(n *net, y string) string {
			return n.by("Add", "add", y, shape(4), on, Int("axis", 3))
		}), "add"),
		keep(after("[N] on axis 0", "the constant lies along the batch", 6, func(n *net, y string) string {
			return n.by("Add", "add", y, shape(2), on, Int("axis", 0))
		}), "add"),
		keep(after("[C,H] on axis 1", "the constant varies along the height too", 6, func(n *net, y string) string {
			return n.by("Mul", "mul", y, shape(4, 4), on, axis1)
		}), "mul"),
		keep(after("[N,C,H,W]", "without broadcast the constant is as large as the output", 6, func(n *net, y string) string {
			return n.by("Mul", "mul", y, shape(2, 4, 4, 4))
		}), "mul"),
		{
			Name: "legacy/Gemm, [N] without axis", Why: "the last axis of a matrix is the output",
			Model: build(6, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 3), shape(3, 4), shape(4), on)
				n.output(n.by("Mul", "mul", y, shape(4), on), 2, 4)
			}),
			WantFolded: folded("mul"), NoORT: "opset < 7",
		}, {
			Name: "legacy/Gemm, [N] on axis 1", Why: "axis 1 of a matrix is the output",
			Model: build(6, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 3), shape(3, 4), shape(4), on)
				n.output(n.by("Mul", "mul", y, shape(4), on, axis1), 2, 4)
			}),
			WantFolded: folded("mul"), NoORT: "opset < 7",
		}, {
			Name: "legacy/before a layer", Why: "the mean and the scale of an image, per channel",
			Model: build(6, func(n *net) {
				x := n.by("Div", "div", n.by("Sub", "sub", n.input("x", 2, 3, 6, 6), shape(3), on, axis1), shape(3), on, axis1)
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 2, 4, 4, 4)
			}),
			WantFolded: folded("sub", "div"), NoORT: "opset < 7",
		},
	}
}
