package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// shapeCases have tensors whose dims do not fit each other, or have no elements. Most cannot run, but
// a tool must not fall over them.
func shapeCases() []Case {
	wrong := func(name, why string, reason fuse.Reason, body func(n *net)) Case {
		return Case{
			Name: "shape/" + name, Why: why, Model: build(13, body),
			WantKept: kept("bn", reason), NoORT: "the model is wrong", NoEval: "the model is wrong",
		}
	}
	conv := func(n *net, weight []int64, attrs ...Attr) string {
		return n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), weight, attrs...)
	}
	return []Case{
		wrong("norm of other length", "five channels against four", fuse.ReasonChannels, func(n *net) {
			n.output(n.norm("bn", conv(n, shape(4, 3, 3, 3)), 5), 1, 4, 4, 4)
		}),
		wrong("gamma of other length", "the norm's own parameters disagree", fuse.ReasonChannels, func(n *net) {
			y := conv(n, shape(4, 3, 3, 3))
			params := n.normIn("bn", y, 4)
			params[1] = n.param("gamma", 3)
			n.drop("bn_gamma")
			n.output(n.node("BatchNormalization", "bn", params), 1, 4, 4, 4)
		}),
		wrong("gamma of one value", "one value is not a value for every channel in a BatchNormalization", fuse.ReasonChannels, func(n *net) {
			y := conv(n, shape(4, 3, 3, 3))
			params := n.normIn("bn", y, 4)
			params[1] = n.param("gamma", 1)
			n.drop("bn_gamma")
			n.output(n.node("BatchNormalization", "bn", params), 1, 4, 4, 4)
		}),
		wrong("norm of the input's length", "three input channels, four outputs", fuse.ReasonChannels, func(n *net) {
			n.output(n.norm("bn", conv(n, shape(4, 3, 3, 3)), 3), 1, 4, 4, 4)
		}),
		wrong("Conv weight of rank 2", "no kernel", fuse.ReasonLayerShape, func(n *net) {
			n.output(n.norm("bn", conv(n, shape(4, 3)), 4), 1, 4, 4, 4)
		}),
		wrong("groups that do not divide", "four output channels in three groups", fuse.ReasonLayerShape, func(n *net) {
			n.output(n.norm("bn", conv(n, shape(4, 1, 3, 3), Int("group", 3)), 4), 1, 4, 4, 4)
		}),
		wrong("group 0", "no group", fuse.ReasonLayerShape, func(n *net) {
			n.output(n.norm("bn", conv(n, shape(4, 3, 3, 3), Int("group", 0)), 4), 1, 4, 4, 4)
		}),
		wrong("bias of other length", "the layer's own parameters disagree", "", func(n *net) {
			y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(3))
			n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
		}),
		wrong("norm with too few inputs", "a parameter is missing", "", func(n *net) {
			params := n.normIn("bn", conv(n, shape(4, 3, 3, 3)), 4)
			n.drop("bn_var")
			n.output(n.node("BatchNormalization", "bn", params[:4]), 1, 4, 4, 4)
		}),
		wrong("Gemm C of other length", "C does not broadcast to the output", "", func(n *net) {
			y := n.biased("Gemm", "fc", n.input("x", 2, 3), shape(3, 4), shape(3))
			n.output(n.norm("bn", y, 4), 2, 4)
		}),
		{
			Name: "shape/gamma [C,1]", Why: "the elements are the channels', the rank is not what the operator asks for",
			Model: build(13, func(n *net) {
				params := n.normIn("bn", conv(n, shape(4, 3, 3, 3)), 4)
				n.init("bn_gamma").Dims = shape(4, 1)
				n.output(n.node("BatchNormalization", "bn", params), 1, 4, 4, 4)
			}),
			Either: folded("bn"), NoORT: "the model is wrong",
		}, {
			Name: "shape/empty batch", Why: "no image today; the weights are folded all the same",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 0, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4), 0, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "shape/weight without inputs", Why: "a sum over nothing is C; the weight has no elements to scale",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 0), shape(0, 4), shape(4))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "shape/no channels", Why: "nothing to scale: either is right",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(0, 3, 3, 3))
				n.output(n.norm("bn", y, 0), 1, 0, 4, 4)
			}),
			Either: folded("bn"),
		},
	}
}
