package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// acrossCases are norms behind a Concat of channels: each layer takes the part over its own.
func acrossCases() []Case {
	across := func(name, why string, model func(n *net), want ...string) Case {
		return Case{Name: "across/" + name, Why: why, Model: build(13, model), WantFolded: want}
	}
	kept := func(name, why string, reason fuse.Reason, model func(n *net)) Case {
		return across(name, why, model).keeping("bn", reason)
	}
	image := func(n *net) string { return n.input("x", 2, 3, 6, 6) }
	conv := func(n *net, name, x string, out int64) string {
		return n.layer("Conv", name, x, shape(out, 3, 3, 3))
	}
	concat := func(n *net, axis int64, parts ...string) string {
		return n.node("Concat", "concat", parts, Int("axis", axis))
	}
	return []Case{
		across("two convolutions", "the first two channels are of one, the other five of the other", func(n *net) {
			x := image(n)
			y := concat(n, 1, conv(n, "conv1", x, 2), conv(n, "conv2", x, 5))
			n.output(n.norm("bn", y, 7), 2, 7, 4, 4)
		}, "bn"),
		across("layers of three kinds, a chain of norms", "channels of a grouped ConvTranspose are in order, too", func(n *net) {
			x := image(n)
			a := n.biased("Conv", "conv1", x, shape(2, 3, 1, 1), shape(2))
			b := n.layer("ConvTranspose", "up", n.input("z", 2, 4, 5, 5), shape(4, 3, 2, 2), Int("group", 2))
			c := n.node("Identity", "same", in(n.biased("Conv", "conv2", x, shape(3, 1, 1, 1), shape(3), Int("group", 3))))
			y := n.node("Identity", "all", in(concat(n, -3, a, b, c)))
			n.output(n.by("Mul", "mul", n.norm("bn", y, 11), shape(11, 1, 1)), 2, 11, 6, 6)
		}, "bn", "mul"),
		across("the shape is read, too", "a Shape of what the norm gives, and one of what it reads", func(n *net) {
			x := image(n)
			y := concat(n, 1, conv(n, "conv1", x, 2), conv(n, "conv2", x, 5))
			z := n.norm("bn", y, 7)
			view := n.node("Reshape", "view", in(n.node("Relu", "relu", in(z)), n.node("Shape", "shape", in(z))))
			n.output(n.node("Reshape", "back", in(view, n.node("Shape", "shape_before", in(y)))), 2, 7, 4, 4)
		}, "bn"),
		across("flattened by its first size", "as view(x.size(0), -1) behind a pooling", func(n *net) {
			x := image(n)
			y := n.norm("bn", concat(n, 1, conv(n, "conv1", x, 2), conv(n, "conv2", x, 5)), 7)
			y = n.node("GlobalAveragePool", "pool", in(y))
			size := n.node("Gather", "first", in(n.node("Shape", "shape", in(y)), n.integers("zero", 0)))
			to := n.node("Concat", "to", in(size, n.integers("rest", -1)), Int("axis", 0))
			n.output(n.node("Reshape", "view", in(y, to)), 2, 7)
		}, "bn"),
		across("linear layers", "a Gemm, a MatMul with its Add and one without", func(n *net) {
			x := n.input("x", 2, 3)
			a := n.biased("Gemm", "fc1", x, shape(3, 2), shape(2))
			b := n.node("Add", "bias", in(n.layer("MatMul", "fc2", x, shape(3, 4)), n.param("b", 4)))
			c := n.layer("MatMul", "fc3", x, shape(3, 1))
			n.output(n.norm("bn", concat(n, 1, a, b, c), 7), 2, 7)
		}, "bn"),
		across("the last axis", "the constant has a number for every channel of both", func(n *net) {
			x := n.input("x", 2, 5, 3)
			y := concat(n, -1, n.layer("MatMul", "fc1", x, shape(3, 2)), n.layer("MatMul", "fc2", x, shape(3, 4)))
			n.output(n.by("Add", "add", n.by("Mul", "mul", y, shape(6)), shape(6)), 2, 5, 6)
		}, "mul", "add"),
		across("behind a Transpose", "the channels are axis 1 in both inputs", func(n *net) {
			x := n.input("x", 2, 5, 3)
			t := func(name, y string) string { return n.node("Transpose", name, in(y), Ints("perm", 0, 2, 1)) }
			y := concat(n, 1, t("t1", n.layer("MatMul", "fc1", x, shape(3, 2))), t("t2", n.layer("MatMul", "fc2", x, shape(3, 4))))
			n.output(n.norm("bn", y, 6), 2, 6, 5)
		}, "bn"),
		across("norms in front of it as well", "each layer has its own, and its part of the other", func(n *net) {
			x := image(n)
			y := concat(n, 1, n.norm("bn1", conv(n, "conv1", x, 2), 2), n.norm("bn2", conv(n, "conv2", x, 2), 2))
			n.output(n.norm("bn", y, 4), 2, 4, 4, 4)
		}, "bn1", "bn2", "bn"),
		across("a shared weight", "each layer gets a weight of its own", func(n *net) {
			w := n.param("w", 2, 3, 3, 3)
			y := concat(n, 1, n.node("Conv", "conv1", in(image(n), w)), n.node("Conv", "conv2", in(n.input("z", 2, 3, 6, 6), w)))
			n.output(n.norm("bn", y, 4), 2, 4, 4, 4)
		}, "bn"),
		kept("one input is read elsewhere", "its other reader wants it without the norm", fuse.ReasonOutputShared, func(n *net) {
			x := image(n)
			a := conv(n, "conv1", x, 2)
			n.output(n.node("Relu", "relu", in(a)), 2, 2, 4, 4)
			n.output(n.norm("bn", concat(n, 1, a, conv(n, "conv2", x, 2)), 4), 2, 4, 4, 4)
		}),
		kept("the whole is read elsewhere", "its other reader wants it without the norm", "", func(n *net) {
			x := image(n)
			y := concat(n, 1, conv(n, "conv1", x, 2), conv(n, "conv2", x, 2))
			n.output(n.node("Relu", "relu", in(y)), 2, 4, 4, 4)
			n.output(n.norm("bn", y, 4), 2, 4, 4, 4)
		}),
		kept("the same input twice", "the two parts of the norm differ", fuse.ReasonOutputShared, func(n *net) {
			a := conv(n, "conv1", image(n), 2)
			n.output(n.norm("bn", concat(n, 1, a, a), 4), 2, 4, 4, 4)
		}),
		kept("one input is no layer's", "nothing can take its part", fuse.ReasonNoLayer, func(n *net) {
			x := image(n)
			n.output(n.norm("bn", concat(n, 1, conv(n, "conv1", x, 2), n.input("z", 2, 2, 4, 4)), 4), 2, 4, 4, 4)
		}),
		kept("one input is behind a Relu", "the norm does not pass it", fuse.ReasonNoLayer, func(n *net) {
			x := image(n)
			n.output(n.norm("bn", concat(n, 1, conv(n, "conv1", x, 2), n.node("Relu", "relu", in(conv(n, "conv2", x, 2)))), 4), 2, 4, 4, 4)
		}),
		kept("another axis", "both layers have all channels: each would take all of the norm", fuse.ReasonAxis, func(n *net) {
			x := image(n)
			n.output(n.norm("bn", concat(n, 2, conv(n, "conv1", x, 4), conv(n, "conv2", x, 4)), 4), 2, 4, 8, 4)
		}),
		kept("one layer would overflow", "then all keep it", fuse.ReasonOverflow, func(n *net) {
			n.elem = Float16
			x := n.input("x", 1, 1, 2, 2)
			a, b := n.layer("Conv", "conv1", x, shape(2, 1, 1, 1)), n.layer("Conv", "conv2", x, shape(2, 1, 1, 1))
			n.init("conv2_w").Data[1] = 60000
			n.output(n.node("Mul", "bn", in(concat(n, 1, a, b), n.values("c", shape(4, 1, 1), 0.5, 1, 1, 2))), 1, 4, 2, 2)
		}).with("x", NewArray(Float16, []int{1, 1, 2, 2}, 0.25, -0.25, 0.125, 0.5)), // its results fit
	}
}
