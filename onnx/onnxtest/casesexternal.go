package onnxtest

import "slices"

// externalCases have tensors in other files.
func externalCases() []Case {
	conv := func(n *net) {
		y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
		n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
	}
	// external is a layer and its norm with some tensors moved to files.
	external := func(name, why string, move func(n *net)) Case {
		return Case{
			Name: "external/" + name, Why: why,
			Model: build(13, func(n *net) {
				conv(n)
				move(n)
			}),
			WantFolded: folded("bn"),
		}
	}
	const weightBytes = 4 * 3 * 3 * 3 * 4
	return []Case{
		external("the weight", "the weight in a file, the rest in the model", func(n *net) {
			n.moveTo("weights.bin", 0, "conv_w")
		}),
		external("everything in one file", "one after the other", func(n *net) {
			n.moveTo("model.onnx.data", 0, "conv_w", "conv_b", "bn_gamma", "bn_beta", "bn_mean", "bn_var")
		}),
		external("the norm's parameters", "the norm is read from the file; nothing of it is left", func(n *net) {
			n.moveTo("norm.bin", 0, "bn_gamma", "bn_beta", "bn_mean", "bn_var")
		}),
		external("Constant nodes", "tensors of nodes may be in files too; those of the norm go with their nodes", func(n *net) {
			at := int64(0)
			for _, name := range []string{"bn_gamma", "bn_beta", "bn_mean", "bn_var", "conv_b"} {
				t := n.init(name).InFile("constants.bin", at)
				at += int64(len(t.RawBytes()))
				n.drop(name)
				n.Nodes = slices.Insert(n.Nodes, 0, Node{Op: "Constant", Name: name + "_node", Out: []string{name}, Attrs: []Attr{TensorAttr("value", t)}})
			}
		}),
		external("several files", "a file for each tensor", func(n *net) {
			n.moveTo("w.bin", 0, "conv_w")
			n.moveTo("b.bin", 0, "conv_b")
			n.moveTo("norm.bin", 64, "bn_gamma", "bn_beta", "bn_mean", "bn_var")
		}),
		external("sub-folder", "a location may be in a folder below the model's", func(n *net) {
			n.moveTo("data/deep/weights.bin", 0, "conv_w", "conv_b")
		}),
		external("offset", "the tensors start in the middle of the file, on pages", func(n *net) {
			n.moveTo("weights.bin", 4096, "conv_w")
			n.moveTo("weights.bin", 8192, "bn_gamma", "bn_beta", "bn_mean", "bn_var")
		}),
		external("odd offset", "nothing says that an offset is aligned", func(n *net) {
			n.moveTo("weights.bin", 3, "conv_w", "conv_b")
		}),
		external("descending offsets", "the file's order is not the model's", func(n *net) {
			n.moveTo("weights.bin", 4096, "conv_w")
			n.moveTo("weights.bin", 0, "conv_b")
		}),
		external("no offset", "an absent offset is 0", func(n *net) {
			n.moveTo("weights.bin", 0, "conv_w")
			n.init("conv_w").External.NoOffset = true
		}),
		external("no length", "an absent length is what the dims need, to the file's end", func(n *net) {
			n.moveTo("weights.bin", 16, "conv_w")
			n.init("conv_w").External.NoLength = true
		}),
		external("one place for two tensors", "two tensors may be the same bytes: folding one must leave the other", func(n *net) {
			n.output(n.node("Conv", "conv2", in("x", n.param("conv_w2", 4, 3, 3, 3))), 1, 4, 4, 4)
			n.init("conv_w2").Data = n.init("conv_w").Data
			n.moveTo("weights.bin", 0, "conv_w")
			n.moveTo("weights.bin", 0, "conv_w2")
		}),
		external("tensors that overlap", "the second's bytes start inside the first's", func(n *net) {
			n.output(n.node("Conv", "conv2", in("x", n.param("conv_w2", 2, 3, 3, 3))), 1, 2, 4, 4)
			n.init("conv_w2").Data = n.init("conv_w").Data[54:]
			n.moveTo("weights.bin", 0, "conv_w")
			n.moveTo("weights.bin", weightBytes/2, "conv_w2")
		}),
		external("other weights", "what has no norm is copied to the new file", func(n *net) {
			n.output(n.node("Conv", "conv2", in("x", n.param("conv_w2", 4, 3, 3, 3), n.param("conv_b2", 4))), 1, 4, 4, 4)
			n.moveTo("weights.bin", 0, "conv_w2", "conv_w", "conv_b2", "conv_b")
		}),
		external("shared weight", "the new weight is external as the old one is", func(n *net) {
			n.output(n.node("Conv", "conv2", in("x", "conv_w")), 1, 4, 4, 4)
			n.moveTo("weights.bin", 0, "conv_w")
		}),
		Case{
			Name: "external/nothing to fold", Why: "model and file are copied",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.node("Relu", "relu", in(y)), 1, 4, 4, 4)
				n.moveTo("weights.bin", 0, "conv_w")
			}),
		},
		Case{
			Name: "external/float16", Why: "half the bytes an element",
			Model: build(15, func(n *net) {
				n.elem = Float16
				conv(n)
				n.moveTo("weights.bin", 2, "conv_w", "conv_b", "bn_gamma", "bn_beta", "bn_mean", "bn_var")
			}),
			WantFolded: folded("bn"),
		},
		Case{
			Name: "external/IR 3", Why: "external data and initializers as inputs",
			Model: build(9, func(n *net) {
				n.model.IR = 3
				conv(n)
				n.moveTo("weights.bin", 0, "conv_w", "conv_b")
			}),
			WantFolded: folded("bn"),
		},
		Case{
			Name: "external/in a subgraph", Why: "a branch's weight may be in a file too",
			Model: build(13, func(n *net) {
				x := n.input("x", 1, 3, 6, 6)
				n.ifElse("if", n.branch("x", func(b *net) string {
					y := b.norm("bn", b.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 4)
					b.moveTo("weights.bin", 0, "conv_w")
					return y
				}), n.branch("x", func(b *net) string { return b.node("Neg", "neg", in(x)) }))
			}),
			WantFolded: folded("bn"),
		},
		Case{
			Name: "external/Constant node", Why: "a Constant's tensor may be in a file too",
			Model: build(13, func(n *net) {
				conv(n)
				n.moveTo("weights.bin", 0, "conv_w")
				n.toConstants("conv_w")
			}),
			WantFolded: folded("bn"),
		},
	}
}

// moveTo puts tensors into a file, one after the other from an offset.
func (n *net) moveTo(location string, at int64, names ...string) {
	for _, name := range names {
		t := n.init(name)
		*t = t.InFile(location, at)
		at += int64(len(t.RawBytes()))
	}
}
