package onnxtest

import (
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// beforeCases are norms before a convolution: W·(s·x + t) + b = (W⊙s)·x + (b + Σ W·t). In padding x is
// 0 and not t, so with padding every t must be 0.
func beforeCases() []Case {
	return slices.Concat(beforeConvFolds(), paddingCases(), beforeKept())
}

// preceded is a norm over 3 channels of [1, 3, 6, 6] before a Conv.
func preceded(name, why string, attrs ...Attr) Case {
	return Case{
		Name: "before/" + name, Why: why,
		Model: build(13, func(n *net) {
			y := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
			y = n.biased("Conv", "conv", y, shape(4, 3, 3, 3), shape(4), attrs...)
			n.output(y, 1, 4, nil, nil)
		}),
		WantFolded: folded("bn"),
	}
}

// centred makes the norm's shift zero: no mean, no beta.
func (c Case) centred() Case {
	for i := range c.Model.Graph.Init {
		if t := &c.Model.Graph.Init[i]; t.Name == "bn_beta" || t.Name == "bn_mean" {
			clear(t.Data)
		}
	}
	return c
}

func beforeConvFolds() []Case {
	const why = "without padding every tap of the kernel sees s·x + t"
	return []Case{
		preceded("conv", why),
		preceded("conv with strides and dilations", why, Ints("strides", 2, 1), Ints("dilations", 1, 2)),
		{
			Name: "before/conv without bias", Why: "the bias is Σ W·t",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				n.output(n.layer("Conv", "conv", y, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/conv 1d", Why: why,
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3, 6), 3)
				n.output(n.layer("Conv", "conv", y, shape(4, 3, 2)), 2, 4, 5)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/conv 3d", Why: why,
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 2, 3, 3, 3), 2)
				n.output(n.layer("Conv", "conv", y, shape(3, 2, 2, 2, 2)), 1, 3, 2, 2, 2)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/conv with groups", Why: "output channel o of group g sees the input channels of g only",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 6, 5, 5), 6)
				n.output(n.biased("Conv", "conv", y, shape(4, 3, 3, 3), shape(4), Int("group", 2)), 1, 4, 3, 3)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/depthwise conv", Why: "each input channel has a weight of its own",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 3, 5, 5), 3)
				n.output(n.layer("Conv", "conv", y, shape(6, 1, 3, 3), Int("group", 3)), 1, 6, 3, 3)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/image normalization", Why: "(x − mean) ÷ std, as preprocessing is put into a model",
			Model: build(13, func(n *net) {
				x := n.by("Sub", "sub", n.input("x", 1, 3, 6, 6), shape(1, 3, 1, 1))
				x = n.by("Div", "div", x, shape(1, 3, 1, 1))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantFolded: folded("sub", "div"),
		}, {
			Name: "before/c − x", Why: "a scale of −1 and a shift of c",
			Model: build(13, func(n *net) {
				x := n.node("Sub", "sub", in(n.param("c", 3, 1, 1), n.input("x", 1, 3, 6, 6)))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantFolded: folded("sub"),
		}, {
			Name: "before/Relu, norm, conv", Why: "as in networks with the norm before the layer",
			Model: build(13, func(n *net) {
				x := n.node("Relu", "relu", in(n.input("x", 1, 3, 6, 6)))
				n.output(n.layer("Conv", "conv", n.norm("bn", x, 3), shape(4, 3, 1, 1)), 1, 4, 6, 6)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/Identity and Dropout between", Why: "both do nothing",
			Model: build(13, func(n *net) {
				x := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				x = n.node("Identity", "same", in(n.node("Dropout", "drop", in(x))))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/norms on both sides", Why: "W' = s_out ⊙ W ⊙ s_in",
			Model: build(13, func(n *net) {
				x := n.norm("bn1", n.input("x", 1, 4, 6, 6), 4)
				y := n.biased("Conv", "conv", x, shape(6, 2, 3, 3), shape(6), Int("group", 2))
				n.output(n.norm("bn2", y, 6), 1, 6, 4, 4)
			}),
			WantFolded: folded("bn1", "bn2"),
		}, {
			Name: "before/shared input", Why: "x itself stays for its other reader",
			Model: build(13, func(n *net) {
				x := n.input("x", 1, 3, 6, 6)
				n.output(n.node("Relu", "relu", in(x)), 1, 3, 6, 6)
				n.output(n.layer("Conv", "conv", n.norm("bn", x, 3), shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/shared weight", Why: "the layer without norm keeps the old weight",
			Model: build(13, func(n *net) {
				x, w := n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3)
				n.output(n.node("Conv", "conv1", in(n.norm("bn", x, 3), w)), 1, 4, 4, 4)
				n.output(n.node("Conv", "conv2", in(x, w)), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/layer before it is shared", Why: "the norm cannot go into the layer before, whose output is read, but into the one after",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv1", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(y, 1, 4, 4, 4)
				n.output(n.layer("Conv", "conv2", n.norm("bn", y, 4), shape(2, 4, 3, 3)), 1, 2, 2, 2)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "before/between two layers", Why: "it goes into one of them, whichever",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.layer("Conv", "conv1", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3)), 4)
				n.output(n.layer("Conv", "conv2", y, shape(2, 4, 3, 3)), 1, 2, 2, 2)
			}),
			WantFolded: folded("bn"),
		},
	}
}

// beforeKept are norms before a layer that cannot take them.
func beforeKept() []Case {
	return []Case{
		{
			Name: "before/ConvTranspose", Why: "each output position sums another number of taps, so t does not make a bias",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 3, 4, 4), 3)
				n.output(n.layer("ConvTranspose", "deconv", y, shape(3, 4, 3, 3)), 1, 4, 6, 6)
			}),
			WantKept: kept("bn", fuse.ReasonTranspose),
		},
		Case{
			Name: "before/ConvTranspose, no shift", Why: "without t the scale goes into the weight's axis 0",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 4, 4, 4), 4)
				n.output(n.biased("ConvTranspose", "deconv", y, shape(4, 3, 3, 3), shape(6), Int("group", 2)), 1, 6, 6, 6)
			}),
			WantFolded: folded("bn"),
		}.centred(),
		{
			Name: "before/two layers", Why: "both must take the norm, or neither: the design leaves it open",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				n.output(n.layer("Conv", "conv1", y, shape(4, 3, 3, 3)), 1, 4, 4, 4)
				n.output(n.layer("Conv", "conv2", y, shape(4, 3, 1, 1)), 1, 4, 6, 6)
			}),
			Either: folded("bn"),
		}, {
			Name: "before/two layers, one padded", Why: "one of the two cannot take the norm, and so none",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				n.output(n.layer("Conv", "conv1", y, shape(4, 3, 3, 3)), 1, 4, 4, 4)
				n.output(n.layer("Conv", "conv2", y, shape(4, 3, 3, 3), Ints("pads", 1, 1, 1, 1)), 1, 4, 6, 6)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "before/norm's output is a graph output", Why: "the caller reads the norm's output",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				n.output(y, 1, 3, 6, 6)
				n.output(n.layer("Conv", "conv", y, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "before/norm's output has another reader", Why: "the other reader needs the norm",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				n.output(n.node("Relu", "relu", in(y)), 1, 3, 6, 6)
				n.output(n.layer("Conv", "conv", y, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "before/Relu between", Why: "an activation is not affine",
			Model: build(13, func(n *net) {
				y := n.node("Relu", "relu", in(n.norm("bn", n.input("x", 1, 3, 6, 6), 3)))
				n.output(n.layer("Conv", "conv", y, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonNoLayer),
		}, {
			Name: "before/weight not constant", Why: "there is no weight to scale",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				n.output(n.node("Conv", "conv", in(y, n.input("w", 4, 3, 3, 3))), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonWeight),
		}, {
			Name: "before/norm of the weight", Why: "the norm's output is the layer's weight, not its input",
			Model: build(13, func(n *net) {
				w := n.norm("bn", n.input("w", 4, 3, 3, 3), 3)
				n.output(n.node("Conv", "conv", in(n.input("x", 1, 3, 6, 6), w)), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "before/constant that makes the channels", Why: "one channel times three constants is three channels; without the Mul the layer would get one",
			Model: build(13, func(n *net) {
				x := n.by("Mul", "mul", n.input("x", 1, 1, 6, 6), shape(3, 1, 1))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantKept: kept("mul", ""),
		}, {
			Name: "before/channels unknown", Why: "the input may have one channel, which the constant would make three",
			Model: build(13, func(n *net) {
				x := n.by("Mul", "mul", n.input("x", 1, "C", 6, 6), shape(3, 1, 1))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			Inputs:   map[string]Array{"x": NewArray(Float32, []int{1, 1, 6, 6}, 0.5)},
			WantKept: kept("mul", ""),
		}, {
			Name: "before/scalar, channels unknown", Why: "one number leaves the channels as they are",
			Model: build(13, func(n *net) {
				x := n.by("Mul", "mul", n.input("x", 1, "C", 6, 6), shape())
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			Inputs:     map[string]Array{"x": NewArray(Float32, []int{1, 3, 6, 6}, 0.5)},
			WantFolded: folded("mul"),
		}, {
			Name: "before/unknown input", Why: "the norm's output has the rank the layer's weight asks for, and the norm keeps the rank and its channels",
			Model: build(13, func(n *net) {
				n.Inputs = append(n.Inputs, Value{Name: "x", Elem: Float32, Unranked: true})
				n.output(n.layer("Conv", "conv", n.norm("bn", "x", 3), shape(4, 3, 3, 3)), nil, 4, nil, nil)
			}),
			Inputs:     map[string]Array{"x": NewArray(Float32, []int{1, 3, 6, 6}, 0.5)},
			WantFolded: folded("bn"),
		}, {
			Name: "before/unknown input, Mul [1,C,1,1]", Why: "an input of rank 3 would become rank 4 by the constant",
			Model: build(13, func(n *net) {
				n.Inputs = append(n.Inputs, Value{Name: "x", Elem: Float32, Unranked: true})
				x := n.by("Mul", "mul", "x", shape(1, 3, 1, 1))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), nil, 4, nil, nil)
			}),
			Inputs:   map[string]Array{"x": NewArray(Float32, []int{3, 6, 6}, 0.5)},
			WantKept: kept("mul", ""),
		}, {
			Name: "before/constant that makes the batch", Why: "the constant's first axis stretches the batch",
			Model: build(13, func(n *net) {
				x := n.by("Mul", "mul", n.input("x", 1, 3, 6, 6), shape(2, 1, 1, 1))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 2, 4, 4, 4)
			}),
			WantKept: kept("mul", fuse.ReasonBroadcast),
		}, {
			Name: "before/constant that makes the rank", Why: "an input of rank 3 becomes rank 4 by the constant",
			Model: build(13, func(n *net) {
				x := n.by("Mul", "mul", n.input("x", 3, 6, 6), shape(1, 3, 1, 1))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantKept: kept("mul", ""),
		}, {
			Name: "before/lengths disagree with the weight", Why: "the weight wants other channels than the norm has: the model does not run",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				n.output(n.layer("Conv", "conv", y, shape(4, 5, 3, 3)), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonChannels), NoORT: "the model is wrong", NoEval: "the model is wrong",
		},
	}
}
