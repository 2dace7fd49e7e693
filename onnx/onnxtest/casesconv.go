package onnxtest

// convCases are norms after a Conv: y = s·(W·x + b) + t scales each output channel, axis 0 of W.
// Padding does not matter on this side: the norm sees the layer's output only.
func convCases() []Case {
	const why = "the norm's axis 1 is the output channel, axis 0 of the weight"
	return []Case{
		{
			Name: "conv/2d", Why: why + "; there was no bias, so one comes",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 2, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4), 2, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/2d with bias", Why: why,
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 2, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
				n.output(n.norm("bn", y, 4), 2, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/bias left empty", Why: why + "; an empty name is no bias",
			Model: build(13, func(n *net) {
				y := n.node("Conv", "conv", in(n.input("x", 2, 3, 6, 6), n.param("w", 4, 3, 3, 3), ""))
				n.output(n.norm("bn", y, 4), 2, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/1d", Why: why,
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 2, 3, 8), shape(5, 3, 3), shape(5))
				n.output(n.norm("bn", y, 5), 2, 5, 6)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/3d", Why: why,
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 1, 2, 4, 5, 3), shape(3, 2, 2, 3, 1), shape(3))
				n.output(n.norm("bn", y, 3), 1, 3, 3, 3, 3)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/groups", Why: "groups split the input channels; axis 0 of the weight is still all output channels",
			Model: build(13, func(n *net) {
				x := n.input("x", 2, 4, 5, 5)
				y := n.biased("Conv", "conv", x, shape(6, 2, 3, 3), shape(6), Int("group", 2))
				n.output(n.norm("bn", y, 6), 2, 6, 3, 3)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/depthwise", Why: "as with any groups",
			Model: build(13, func(n *net) {
				x := n.input("x", 2, 4, 5, 5)
				y := n.layer("Conv", "conv", x, shape(4, 1, 3, 3), Int("group", 4), Ints("pads", 1, 1, 1, 1))
				n.output(n.norm("bn", y, 4), 2, 4, 5, 5)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/depthwise with a multiplier", Why: "as with any groups",
			Model: build(13, func(n *net) {
				x := n.input("x", 1, 3, 5, 5)
				y := n.layer("Conv", "conv", x, shape(6, 1, 3, 3), Int("group", 3))
				n.output(n.norm("bn", y, 6), 1, 6, 3, 3)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/pads, strides, dilations", Why: "the norm after sees the output; how it was made does not matter",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 9, 9), shape(4, 3, 3, 3),
					Ints("kernel_shape", 3, 3), Ints("pads", 2, 1, 0, 1), Ints("strides", 2, 1), Ints("dilations", 1, 2))
				n.output(n.norm("bn", y, 4), 1, 4, 5, 7)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/auto_pad", Why: "padding by auto_pad is padding, which the norm after does not see",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 7, 7), shape(4, 3, 3, 3),
					String("auto_pad", "SAME_UPPER"), Ints("strides", 2, 2))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/1x1", Why: why,
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 2, 3, 4, 4), shape(5, 3, 1, 1))
				n.output(n.norm("bn", y, 5), 2, 5, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/one output channel", Why: why,
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 2, 3, 4, 4), shape(1, 3, 3, 3), shape(1))
				n.output(n.norm("bn", y, 1), 2, 1, 2, 2)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/named batch axis", Why: "the batch may have any size",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", "N", 3, "H", "W"), shape(4, 3, 1, 1))
				n.output(n.norm("bn", y, 4), "N", 4, "H", "W")
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "conv/activation after the norm", Why: "the norm is between the layer and the activation and still the layer's neighbour",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.node("Relu", "relu", in(n.norm("bn", y, 4))), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, residual(), {
			Name: "conv/two blocks", Why: "each norm goes into the layer before it; the Relu keeps the blocks apart",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv1", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				y = n.node("Relu", "relu", in(n.norm("bn1", y, 4)))
				y = n.layer("Conv", "conv2", y, shape(5, 4, 3, 3), Ints("pads", 1, 1, 1, 1))
				n.output(n.norm("bn2", y, 5), 1, 5, 4, 4)
			}),
			WantFolded: folded("bn1", "bn2"),
		},
	}
}

func residual() Case {
	return Case{
		Name: "conv/residual block", Why: "the Add of two activations is no norm; both norms before it have a layer of their own",
		Model: build(13, func(n *net) {
			x := n.input("x", 1, 4, 6, 6)
			a := n.norm("bn1", n.layer("Conv", "conv1", x, shape(4, 4, 3, 3), Ints("pads", 1, 1, 1, 1)), 4)
			a = n.node("Relu", "relu1", in(a))
			a = n.norm("bn2", n.layer("Conv", "conv2", a, shape(4, 4, 3, 3), Ints("pads", 1, 1, 1, 1)), 4)
			b := n.norm("bn3", n.layer("Conv", "shortcut", x, shape(4, 4, 1, 1)), 4)
			n.output(n.node("Relu", "relu2", in(n.node("Add", "add", in(a, b)))), 1, 4, 6, 6)
		}),
		WantFolded: folded("bn1", "bn2", "bn3"),
		WantKept:   kept("add", ""),
	}
}

// convTransposeCases are norms after a ConvTranspose, whose weight is [Cin, Cout/g, k…]: output channel
// g·(Cout/g) + c is weight axis 1 in group g of axis 0.
func convTransposeCases() []Case {
	const why = "the output channel is axis 1 of the weight, in the group of axis 0"
	transposed := func(name string, x []any, weight []int64, channels int64, out []any, attrs ...Attr) Case {
		return Case{
			Name: "convtranspose/" + name, Why: why,
			Model: build(13, func(n *net) {
				y := n.biased("ConvTranspose", "deconv", n.input("x", x...), weight, shape(channels), attrs...)
				n.output(n.norm("bn", y, channels), out...)
			}),
			WantFolded: folded("bn"),
		}
	}
	return []Case{
		transposed("1d", []any{2, 3, 5}, shape(3, 4, 3), 4, []any{2, 4, 7}),
		transposed("2d", []any{2, 3, 4, 4}, shape(3, 5, 2, 2), 5, []any{2, 5, 8, 8}, Ints("strides", 2, 2)),
		transposed("3d", []any{1, 2, 2, 3, 2}, shape(2, 3, 2, 1, 2), 3, []any{1, 3, 3, 3, 3}),
		transposed("groups", []any{1, 4, 3, 3}, shape(4, 3, 2, 2), 6, []any{1, 6, 4, 4}, Int("group", 2)),
		transposed("square groups", []any{1, 4, 3, 3}, shape(4, 2, 3, 3), 4, []any{1, 4, 5, 5}, Int("group", 2)),
		transposed("depthwise", []any{1, 3, 3, 3}, shape(3, 1, 3, 3), 3, []any{1, 3, 5, 5}, Int("group", 3)),
		transposed("output_padding", []any{1, 3, 3, 3}, shape(3, 4, 3, 3), 4, []any{1, 4, 6, 6},
			Ints("strides", 2, 2), Ints("pads", 1, 1, 1, 1), Ints("output_padding", 1, 1)),
		transposed("auto_pad", []any{1, 3, 3, 3}, shape(3, 4, 3, 3), 4, []any{1, 4, 6, 6},
			Ints("strides", 2, 2), String("auto_pad", "SAME_UPPER")),
		transposed("output_shape", []any{1, 3, 3, 3}, shape(3, 4, 3, 3), 4, []any{1, 4, 6, 6},
			Ints("strides", 2, 2), Ints("output_shape", 6, 6)),
		{
			Name: "convtranspose/no bias", Why: why + "; there was no bias, so one comes",
			Model: build(13, func(n *net) {
				y := n.layer("ConvTranspose", "deconv", n.input("x", 1, 3, 4, 4), shape(3, 4, 2, 2))
				n.output(n.norm("bn", y, 4), 1, 4, 5, 5)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "convtranspose/channel count of the wrong axis",
			Why:  "the norm has as many channels as the weight's axis 0, the inputs; the outputs are 2·2, by chance as many",
			Model: build(13, func(n *net) {
				y := n.layer("ConvTranspose", "deconv", n.input("x", 1, 4, 3, 3), shape(4, 2, 2, 2), Int("group", 2))
				y = n.by("Mul", "mul", y, shape(4, 1, 1))
				n.output(n.by("Add", "add", y, shape(4, 1, 1)), 1, 4, 4, 4)
			}),
			WantFolded: folded("mul", "add"),
		},
	}
}
