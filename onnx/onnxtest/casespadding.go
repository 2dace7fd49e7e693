package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// paddingCases are norms before a padded convolution, where the padding is 0 and not t.
func paddingCases() []Case {
	const padded = "the padding is 0 where the norm's output would be t"
	return []Case{
		preceded("pads", padded, Ints("pads", 1, 1, 1, 1)).keeping("bn", fuse.ReasonPadding),
		preceded("pads at one end", padded, Ints("pads", 0, 0, 0, 1)).keeping("bn", fuse.ReasonPadding),
		preceded("auto_pad SAME_UPPER", padded, String("auto_pad", "SAME_UPPER")).keeping("bn", fuse.ReasonPadding),
		preceded("auto_pad SAME_LOWER", padded, String("auto_pad", "SAME_LOWER")).keeping("bn", fuse.ReasonPadding),
		preceded("pads of zero", "they are none", Ints("pads", 0, 0, 0, 0)),
		preceded("auto_pad VALID", "VALID is no padding", String("auto_pad", "VALID")),
		preceded("auto_pad NOTSET", "NOTSET asks for pads, which are absent", String("auto_pad", "NOTSET")),
		preceded("auto_pad NOTSET with pads", padded, String("auto_pad", "NOTSET"), Ints("pads", 1, 1, 1, 1)).keeping("bn", fuse.ReasonPadding),
		preceded("pads, no shift", "s·0 + 0 = 0: the padding is what it was", Ints("pads", 1, 1, 1, 1)).centred(),
		preceded("auto_pad, no shift", "s·0 + 0 = 0: the padding is what it was", String("auto_pad", "SAME_UPPER")).centred(),
		{
			Name: "before/pads, one shift", Why: "one channel's t is not 0",
			Model: build(13, func(n *net) {
				x := n.node("Add", "add", in(n.input("x", 1, 3, 6, 6), n.values("c", shape(3, 1, 1), 0, 0.5, 0)))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3), Ints("pads", 1, 1, 1, 1)), 1, 4, 6, 6)
			}),
			WantKept: kept("add", fuse.ReasonPadding),
		}, {
			Name: "before/pads, Mul", Why: "a scale has no shift",
			Model: build(13, func(n *net) {
				x := n.by("Mul", "mul", n.input("x", 1, 3, 6, 6), shape(3, 1, 1))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3), Ints("pads", 1, 1, 1, 1)), 1, 4, 6, 6)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "before/pads, x ÷ 255", Why: "one number for every channel, and no shift",
			Model: build(13, func(n *net) {
				x := n.node("Div", "div", in(n.input("x", 1, 3, 6, 6), n.values("c", shape(), 255)))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3), Ints("pads", 1, 1, 1, 1)), 1, 4, 6, 6)
			}),
			WantFolded: folded("div"),
		}, {
			Name: "before/pads, shifts that cancel", Why: "Sub and Add of the same constant: the chain's t is 0 though its parts' are not, so all of it may fold and no part alone",
			Model: build(13, func(n *net) {
				c := n.values("c", shape(3, 1, 1), 1, 2, 3)
				x := n.node("Sub", "sub", in(n.input("x", 1, 3, 6, 6), c))
				x = n.node("Add", "add", in(x, c))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3), Ints("pads", 1, 1, 1, 1)), 1, 4, 6, 6)
			}),
			Either: folded("sub", "add"),
		}, {
			Name: "before/auto_pad SAME of one tap", Why: "a kernel of one tap needs no padding, for whoever looks",
			Model: build(13, func(n *net) {
				x := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 1, 1), String("auto_pad", "SAME_UPPER")), 1, 4, 6, 6)
			}),
			Either: folded("bn"),
		}, {
			Name: "before/Pad node", Why: "the padding is a node of its own between the norm and the layer",
			Model: build(13, func(n *net) {
				x := n.norm("bn", n.input("x", 1, 3, 4, 4), 3)
				x = n.node("Pad", "pad", in(x, n.integers("pads", 0, 0, 1, 1, 0, 0, 1, 1)))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonNoLayer),
		},
	}
}
