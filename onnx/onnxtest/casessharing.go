package onnxtest

// sharingCases share tensors between nodes. A shared weight or bias is folded into a new tensor, and
// the old one stays for its other users; an initializer goes only when nothing uses it.
func sharingCases() []Case {
	conv := func(n *net, name, x, w string, bias ...string) string {
		return n.node("Conv", name, append(in(x, w), bias...), Ints("pads", 1, 1, 1, 1))
	}
	return []Case{
		{
			Name: "sharing/weight of two layers, two norms", Why: "each layer gets a weight of its own",
			Model: build(13, func(n *net) {
				x, w := n.input("x", 1, 4, 4, 4), n.param("w", 4, 4, 3, 3)
				y := n.norm("bn1", conv(n, "conv1", x, w), 4)
				n.output(n.norm("bn2", conv(n, "conv2", y, w), 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn1", "bn2"),
		}, {
			Name: "sharing/weight of two layers, one norm", Why: "the layer without norm keeps the old weight",
			Model: build(13, func(n *net) {
				x, w := n.input("x", 1, 3, 4, 4), n.param("w", 4, 3, 3, 3)
				n.output(n.norm("bn", conv(n, "conv1", x, w), 4), 1, 4, 4, 4)
				n.output(conv(n, "conv2", x, w), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "sharing/bias of two layers", Why: "the layer without norm keeps the old bias",
			Model: build(13, func(n *net) {
				x, b := n.input("x", 1, 3, 4, 4), n.param("b", 4)
				n.output(n.norm("bn", conv(n, "conv1", x, n.param("w1", 4, 3, 3, 3), b), 4), 1, 4, 4, 4)
				n.output(conv(n, "conv2", x, n.param("w2", 4, 3, 3, 3), b), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "sharing/weight and bias of two layers, two norms", Why: "each layer gets both of its own",
			Model: build(13, func(n *net) {
				x, w, b := n.input("x", 1, 4, 4, 4), n.param("w", 4, 4, 3, 3), n.param("b", 4)
				y := n.norm("bn1", conv(n, "conv1", x, w, b), 4)
				n.output(n.norm("bn2", conv(n, "conv2", y, w, b), 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn1", "bn2"),
		}, {
			Name: "sharing/weight is a graph output", Why: "the caller gets the old weight",
			Model: build(13, func(n *net) {
				x, w := n.input("x", 1, 3, 4, 4), n.param("w", 4, 3, 3, 3)
				n.output(n.norm("bn", conv(n, "conv", x, w), 4), 1, 4, 4, 4)
				n.output(w, 4, 3, 3, 3)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "sharing/bias is a graph output", Why: "the caller gets the old bias",
			Model: build(13, func(n *net) {
				x, b := n.input("x", 1, 3, 4, 4), n.param("b", 4)
				n.output(n.norm("bn", conv(n, "conv", x, n.param("w", 4, 3, 3, 3), b), 4), 1, 4, 4, 4)
				n.output(b, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "sharing/weight read by another operator", Why: "a regularizer, say, reads the weight as it is",
			Model: build(13, func(n *net) {
				x, w := n.input("x", 1, 3, 4, 4), n.param("w", 4, 3, 3, 3)
				n.output(n.norm("bn", conv(n, "conv", x, w), 4), 1, 4, 4, 4)
				n.output(n.node("ReduceMax", "largest", in(w)), 1, 1, 1, 1)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "sharing/weight of a Conv and a ConvTranspose", Why: "each scales another axis of it",
			Model: build(13, func(n *net) {
				x, w := n.input("x", 1, 4, 4, 4), n.param("w", 4, 4, 3, 3)
				n.output(n.norm("bn1", conv(n, "conv", x, w), 4), 1, 4, 4, 4)
				n.output(n.norm("bn2", n.node("ConvTranspose", "deconv", in(x, w)), 4), 1, 4, 6, 6)
			}),
			WantFolded: folded("bn1", "bn2"),
		}, {
			Name: "sharing/weight directly and through Identity", Why: "the copy is the same tensor with another user",
			Model: build(13, func(n *net) {
				x, w := n.input("x", 1, 3, 4, 4), n.param("w", 4, 3, 3, 3)
				same := n.node("Identity", "same", in(w))
				n.output(n.norm("bn1", conv(n, "conv1", x, w), 4), 1, 4, 4, 4)
				n.output(n.norm("bn2", conv(n, "conv2", x, same), 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn1", "bn2"),
		}, {
			Name: "sharing/weight through Identity, kept by its owner", Why: "the layer without norm keeps the old weight",
			Model: build(13, func(n *net) {
				x, w := n.input("x", 1, 3, 4, 4), n.param("w", 4, 3, 3, 3)
				same := n.node("Identity", "same", in(w))
				n.output(conv(n, "conv1", x, w), 1, 4, 4, 4)
				n.output(n.norm("bn", conv(n, "conv2", x, same), 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		},
		sharedNorm("two norms", "both fold; then nothing uses the parameters", nil),
		sharedNorm("a norm that stays", "the parameters stay for it", func(n *net, params []string) {
			n.output(n.node("BatchNormalization", "bn3", append(in(n.input("z", 1, 4, 4, 4)), params...)), 1, 4, 4, 4)
		}),
		sharedNorm("the caller", "the parameters stay to be given out", func(n *net, params []string) {
			n.output(params[0], 4)
			n.output(params[3], 4)
		}),
		sharedNorm("an operator", "the parameters stay for it", func(n *net, params []string) {
			n.output(n.node("Sqrt", "sqrt", in(params[3])), 4)
		}),
		{
			Name: "sharing/norm parameters through Identity", Why: "as PyTorch writes equal parameters of different norms",
			Model: build(13, func(n *net) {
				x := n.input("x", 1, 4, 4, 4)
				params := n.normIn("bn1", "", 4)[1:]
				var same []string
				for _, p := range params {
					same = append(same, n.node("Identity", "same_"+p, in(p)))
				}
				y := conv(n, "conv1", x, n.param("w1", 4, 4, 3, 3))
				y = n.node("BatchNormalization", "bn1", append(in(y), params...))
				y = conv(n, "conv2", y, n.param("w2", 4, 4, 3, 3))
				n.output(n.node("BatchNormalization", "bn2", append(in(y), same...)), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn1", "bn2"),
		}, {
			Name: "sharing/mean is beta", Why: "one tensor may be two parameters of one norm",
			Model: build(13, func(n *net) {
				y := conv(n, "conv", n.input("x", 1, 3, 4, 4), n.param("w", 4, 3, 3, 3))
				params := n.normIn("bn", y, 4)
				params[2] = params[3]
				n.drop("bn_beta")
				n.output(n.node("BatchNormalization", "bn", params), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "sharing/bias is the norm's beta", Why: "one tensor may belong to the layer and to the norm",
			Model: build(13, func(n *net) {
				x, b := n.input("x", 1, 3, 4, 4), n.param("b", 4)
				y := conv(n, "conv", x, n.param("w", 4, 3, 3, 3), b)
				params := in(y, n.param("gamma", 4), b, n.param("mean", 4), n.between("var", 0.1, 1, shape(4)))
				n.output(n.node("BatchNormalization", "bn", params), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "sharing/another layer's bias is the norm's beta", Why: "beta stays for the layer that uses it as a bias",
			Model: build(13, func(n *net) {
				x, b := n.input("x", 1, 3, 4, 4), n.param("b", 4)
				y := conv(n, "conv1", x, n.param("w1", 4, 3, 3, 3))
				params := in(y, n.param("gamma", 4), b, n.param("mean", 4), n.between("var", 0.1, 1, shape(4)))
				n.output(n.node("BatchNormalization", "bn", params), 1, 4, 4, 4)
				n.output(conv(n, "conv2", x, n.param("w2", 4, 3, 3, 3), b), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "sharing/one constant for Mul and Add", Why: "y·c + c has scale c and shift c",
			Model: build(13, func(n *net) {
				y := conv(n, "conv", n.input("x", 1, 3, 4, 4), n.param("w", 4, 3, 3, 3))
				c := n.between("c", 0.5, 1.5, shape(4, 1, 1))
				n.output(n.node("Add", "add", in(n.node("Mul", "mul", in(y, c)), c)), 1, 4, 4, 4)
			}),
			WantFolded: folded("mul", "add"),
		}, {
			Name: "sharing/B is C", Why: "one tensor is weight and addend of a Gemm; each becomes another",
			Model: build(13, func(n *net) {
				w := n.param("w", 3, 4)
				y := n.node("Gemm", "fc", in(n.input("x", 3, 3), w, w), Float("alpha", 0.5), Float("beta", 2))
				n.output(n.norm("bn", y, 4), 3, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "sharing/C of two Gemms with other betas", Why: "each Gemm gets a C of its own; the other's β still scales the old",
			Model: build(13, func(n *net) {
				x, c := n.input("x", 2, 3), n.param("c", 4)
				y := n.node("Gemm", "fc1", in(x, n.param("w1", 3, 4), c), Float("beta", 0.5))
				n.output(n.norm("bn", y, 4), 2, 4)
				n.output(n.node("Gemm", "fc2", in(x, n.param("w2", 3, 4), c), Float("beta", 2)), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "sharing/names in a branch that look new", Why: "a new tensor's name must not be one that a subgraph defines, which would then hide it",
			Model: build(13, func(n *net) {
				x := n.input("x", 1, 3, 4, 4)
				n.output(n.norm("bn", conv(n, "conv", x, n.param("w", 4, 3, 3, 3)), 4), 1, 4, 4, 4)
				n.ifElse("if", n.branch("x", func(b *net) string {
					y := b.node("Neg", "neg", in(x))
					for _, taken := range newNames {
						y = b.node("Add", "add_"+taken, in(y, b.param(taken)))
					}
					return y
				}), n.branch("x", func(b *net) string { return b.node("Neg", "neg", in(x)) }))
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "sharing/names that look new", Why: "tensors with the names a tool would give to new ones exist already",
			Model: build(13, func(n *net) {
				x, w := n.input("x", 1, 3, 4, 4), n.param("w", 4, 3, 3, 3)
				y := n.norm("bn", conv(n, "conv", x, w), 4)
				for _, taken := range newNames {
					y = n.node("Add", "add_"+taken, in(n.node("Relu", "relu_"+taken, in(y)), n.param(taken, 4, 1, 1)))
				}
				n.output(n.node("Add", "last", in(y, conv(n, "conv2", x, w))), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		},
	}
}

// newNames are what a tool might call the tensors it adds for layer conv with weight w and norm bn.
var newNames = []string{
	"w_fused", "w_folded", "w.fused", "w.folded", "w_bnfuse", "w_1", "w_new", "w_scaled",
	"conv_bias", "conv.bias", "conv_b", "conv_w", "conv_out_bias", "bn_bias", "bn_out_bias", "bnfuse_0", "bnfuse_1",
}

// sharedNorm is two layers whose norms have the same parameters, which something else may use too.
func sharedNorm(with, why string, also func(n *net, params []string)) Case {
	c := Case{
		Name: "sharing/norm parameters with " + with, Why: why,
		Model: build(13, func(n *net) {
			params := n.normIn("bn", "", 4)[1:]
			y := n.layer("Conv", "conv1", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
			y = n.node("BatchNormalization", "bn1", append(in(y), params...))
			y = n.layer("Conv", "conv2", y, shape(4, 4, 3, 3))
			n.output(n.node("BatchNormalization", "bn2", append(in(y), params...)), 1, 4, 2, 2)
			if also != nil {
				also(n, params)
			}
		}),
		WantFolded: folded("bn1", "bn2"),
	}
	if with == "a norm that stays" {
		c.WantKept = kept("bn3", "")
	}
	return c
}
