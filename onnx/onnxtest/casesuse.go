package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// useCases are about who else reads the layer's or the norm's output.
func useCases() []Case {
	conv := func(n *net) string {
		return n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
	}
	shared := func(name, why string, body func(n *net)) Case {
		return Case{
			Name: "use/" + name, Why: why,
			Model:    build(13, body),
			WantKept: kept("bn", fuse.ReasonOutputShared),
		}
	}
	return []Case{
		shared("layer's output is a graph output", "the caller reads it as it is", func(n *net) {
			y := conv(n)
			n.output(y, 1, 4, 4, 4)
			n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
		}),
		shared("layer's output has another reader", "the other reader needs it as it is", func(n *net) {
			y := conv(n)
			n.output(n.node("Relu", "relu", in(y)), 1, 4, 4, 4)
			n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
		}),
		shared("layer's output is read again after the norm", "a skip around the norm", func(n *net) {
			y := conv(n)
			z := n.norm("bn", y, 4)
			n.output(n.node("Add", "add", in(z, y)), 1, 4, 4, 4)
		}),
		shared("layer's output is captured by a subgraph", "the branch reads it by its name, as it is", func(n *net) {
			y := conv(n)
			z := n.norm("bn", y, 4)
			n.ifElse("if", n.branch(z, func(b *net) string { return b.node("Relu", "relu", in(y)) }),
				n.branch(z, func(b *net) string { return b.node("Neg", "neg", in(z)) }))
		}),
		{
			Name: "use/two norms read the layer", Why: "each needs the layer's output as it is; neither may have it alone",
			Model: build(13, func(n *net) {
				y := conv(n)
				n.output(n.norm("bn1", y, 4), 1, 4, 4, 4)
				n.output(n.norm("bn2", y, 4), 1, 4, 4, 4)
			}),
			WantKept: map[string]fuse.Reason{"bn1": fuse.ReasonOutputShared, "bn2": fuse.ReasonOutputShared},
		}, {
			Name: "use/norm's output has many readers", Why: "they all read the folded layer under the norm's output name",
			Model: build(13, func(n *net) {
				y := n.norm("bn", conv(n), 4)
				n.output(n.node("Relu", "relu", in(y)), 1, 4, 4, 4)
				n.output(n.node("Neg", "neg", in(y)), 1, 4, 4, 4)
				n.output(y, 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "use/norm's output is captured by a subgraph", Why: "the branch reads the folded layer under the norm's output name",
			Model: build(13, func(n *net) {
				y := n.norm("bn", conv(n), 4)
				n.ifElse("if", n.branch(y, func(b *net) string { return b.node("Relu", "relu", in(y)) }),
					n.branch(y, func(b *net) string { return b.node("Neg", "neg", in(y)) }))
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "use/norm's output is read by nobody", Why: "a dead norm may go or stay",
			Model: build(13, func(n *net) {
				x := n.input("x", 1, 3, 6, 6)
				n.norm("bn", n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 4)
				n.output(n.node("Relu", "relu", in(x)), 1, 3, 6, 6)
			}),
			Either: folded("bn"),
		}, {
			Name: "use/norm's output and its shape", Why: "as where one tensor is resized to the size of another: the shape stays what it was",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4)), 4)
				n.output(n.node("Reshape", "view", in(n.node("Relu", "relu", in(y)), n.node("Shape", "shape", in(y)))), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "use/norm of a graph input", Why: "there is no layer on either side",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				n.output(n.node("Relu", "relu", in(y)), 1, 3, 6, 6)
			}),
			WantKept: kept("bn", fuse.ReasonNoLayer),
		}, {
			Name: "use/norm alone", Why: "there is no layer on either side",
			Model: build(13, func(n *net) {
				n.output(n.norm("bn", n.input("x", 2, 3), 3), 2, 3)
			}),
			WantKept: kept("bn", fuse.ReasonNoLayer),
		}, {
			Name: "use/dense block", Why: "the norm reads a Concat of shared features, as in DenseNet; the layer behind it is padded by nobody but follows a Relu",
			Model: build(13, func(n *net) {
				x := n.input("x", 1, 3, 6, 6)
				y := n.layer("Conv", "conv1", x, shape(4, 3, 3, 3), Ints("pads", 1, 1, 1, 1))
				z := n.node("Concat", "concat", in(x, y), Int("axis", 1))
				z = n.node("Relu", "relu", in(n.norm("bn1", z, 7)))
				z = n.norm("bn2", n.layer("Conv", "conv2", z, shape(4, 7, 1, 1)), 4)
				n.output(n.node("Concat", "concat2", in(y, z), Int("axis", 1)), 1, 8, 6, 6)
			}),
			WantFolded: folded("bn2"), WantKept: kept("bn1", fuse.ReasonNoLayer),
		}, {
			Name: "use/no norm at all", Why: "nothing is to be folded: the file is copied",
			Model: build(13, func(n *net) {
				n.output(n.node("Relu", "relu", in(conv(n))), 1, 4, 4, 4)
			}),
		},
	}
}
