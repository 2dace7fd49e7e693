package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// local is the domain of the cases' functions.
const local = "local"

// function adds a model-local function. Its body has no initializers: they become Constant nodes.
func (n *net) function(name string, inputs, outputs []string, body func(f *net)) *Function {
	g := &Graph{}
	f := &net{Graph: g, model: n.model, elem: n.elem}
	body(f)
	var names []string
	for _, t := range g.Init {
		names = append(names, t.Name)
	}
	f.toConstants(names...)
	if len(n.model.Functions) == 0 {
		n.model.Opsets = append(n.model.Opsets, Opset{local, 1})
	}
	n.model.Functions = append(n.model.Functions, Function{
		Domain: local, Name: name, In: inputs, Out: outputs, Nodes: g.Nodes, Opsets: n.model.Opsets,
	})
	return &n.model.Functions[len(n.model.Functions)-1]
}

// call adds a call of a function.
func (n *net) call(function, name string, in []string, attrs ...Attr) string {
	y := n.node(function, name, in, attrs...)
	n.last().Domain = local
	return y
}

// functionCases have layers and norms in the bodies of model-local functions, which see only their
// inputs and attributes.
func functionCases() []Case {
	image := func(n *net) string { return n.input("x", 1, 3, 6, 6) }
	return []Case{
		{
			Name: "function/own constants", Why: "the body is the same in every call",
			Model: build(17, func(n *net) {
				n.function("Block", in("x"), in("bn_out"), func(f *net) {
					f.norm("bn", f.layer("Conv", "conv", "x", shape(4, 3, 3, 3)), 4)
				})
				n.output(n.call("Block", "block", in(image(n))), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "function/called twice", Why: "one fold in the body serves both calls",
			Model: build(17, func(n *net) {
				n.function("Block", in("x"), in("bn_out"), func(f *net) {
					f.norm("bn", f.biased("Conv", "conv", "x", shape(3, 3, 1, 1), shape(3)), 3)
				})
				y := n.call("Block", "block1", in(image(n)))
				n.output(n.call("Block", "block2", in(n.node("Relu", "relu", in(y)))), 1, 3, 6, 6)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "function/weight is an input", Why: "each call may give another weight",
			Model: build(17, func(n *net) {
				n.function("Block", in("x", "w"), in("bn_out"), func(f *net) {
					f.norm("bn", f.node("Conv", "conv", in("x", "w")), 4)
				})
				n.output(n.call("Block", "block", in(image(n), n.param("w", 4, 3, 3, 3))), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonWeight),
		}, {
			Name: "function/bias is an input", Why: "each call may give another bias",
			Model: build(17, func(n *net) {
				n.function("Block", in("x", "b"), in("bn_out"), func(f *net) {
					f.norm("bn", f.node("Conv", "conv", in("x", f.param("w", 4, 3, 3, 3), "b")), 4)
				})
				n.output(n.call("Block", "block", in(image(n), n.param("b", 4))), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonBias),
		}, {
			Name: "function/norm's parameters are inputs", Why: "each call may give other parameters",
			Model: build(17, func(n *net) {
				n.function("Block", in("x", "gamma", "beta", "mean", "var"), in("bn_out"), func(f *net) {
					y := f.layer("Conv", "conv", "x", shape(4, 3, 3, 3))
					f.node("BatchNormalization", "bn", in(y, "gamma", "beta", "mean", "var"))
				})
				n.output(n.call("Block", "block", n.normIn("p", image(n), 4)), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonNormParams),
		}, {
			Name: "function/epsilon is an attribute", Why: "each call may give another epsilon",
			Model: build(17, func(n *net) {
				f := n.function("Block", in("x"), in("bn_out"), func(f *net) {
					y := f.layer("Conv", "conv", "x", shape(4, 3, 3, 3))
					f.norm("bn", y, 4, RefAttr("epsilon", AttrFloat, "eps"))
				})
				f.Attrs = []string{"eps"}
				x := image(n)
				n.output(n.call("Block", "block1", in(x), Float("eps", 0.25)), 1, 4, 4, 4)
				n.output(n.call("Block", "block2", in(x), Float("eps", 4)), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonUnknownAttr),
		}, {
			Name: "function/epsilon has a default", Why: "a call may give another epsilon than the default",
			Model: build(17, func(n *net) {
				n.model.IR = 10
				f := n.function("Block", in("x"), in("bn_out"), func(f *net) {
					y := f.layer("Conv", "conv", "x", shape(4, 3, 3, 3))
					f.norm("bn", y, 4, RefAttr("epsilon", AttrFloat, "eps"))
				})
				f.Defaults = []Attr{Float("eps", 0.25)}
				x := image(n)
				n.output(n.call("Block", "block1", in(x)), 1, 4, 4, 4)
				n.output(n.call("Block", "block2", in(x), Float("eps", 4)), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonUnknownAttr),
		}, {
			Name: "function/overloads", Why: "two functions of one name, told apart by their overload",
			Model: build(17, func(n *net) {
				n.model.IR = 10
				for _, overload := range []string{"1", "2"} {
					n.function("Block", in("x"), in("bn"+overload+"_out"), func(f *net) {
						f.norm("bn"+overload, f.layer("Conv", "conv"+overload, "x", shape(4, 3, 3, 3)), 4)
					}).Overload = overload
				}
				x := image(n)
				for _, overload := range []string{"1", "2"} {
					n.output(n.call("Block", "block"+overload, in(x)), 1, 4, 4, 4)
					n.last().Overload = overload
				}
			}),
			WantFolded: folded("bn1", "bn2"),
		}, {
			Name: "function/training_mode is an attribute", Why: "a call may ask for training",
			Model: build(17, func(n *net) {
				f := n.function("Block", in("x"), in("bn_out"), func(f *net) {
					y := f.layer("Conv", "conv", "x", shape(4, 3, 3, 3))
					f.norm("bn", y, 4, RefAttr("training_mode", AttrInt, "train"))
				})
				f.Attrs = []string{"train"}
				n.output(n.call("Block", "block", in(image(n)), Int("train", 0)), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "function/group is an attribute", Why: "the output axis of a Conv's weight is axis 0 whatever the groups; a ConvTranspose's is not, so an unknown attribute may stop both",
			Model: build(17, func(n *net) {
				f := n.function("Block", in("x"), in("bn_out"), func(f *net) {
					y := f.layer("Conv", "conv", "x", shape(4, 2, 3, 3), RefAttr("group", AttrInt, "group"))
					f.norm("bn", y, 4)
				})
				f.Attrs = []string{"group"}
				n.output(n.call("Block", "block", in(n.input("x", 1, 4, 6, 6)), Int("group", 2)), 1, 4, 4, 4)
			}),
			Either: folded("bn"),
		}, {
			Name: "function/group of a ConvTranspose is an attribute", Why: "each call may group the channels in another way",
			Model: build(17, func(n *net) {
				f := n.function("Block", in("x"), in("bn_out"), func(f *net) {
					y := f.layer("ConvTranspose", "conv", "x", shape(4, 4, 3, 3), RefAttr("group", AttrInt, "group"))
					f.norm("bn", y, 8)
				})
				f.Attrs = []string{"group"}
				n.output(n.call("Block", "block", in(n.input("x", 1, 4, 6, 6)), Int("group", 2)), 1, 8, 8, 8)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "function/alpha of a Gemm is an attribute", Why: "after a Gemm, α stays where it is and the fold is right for every α; a value that is not known may also stop it",
			Model: build(17, func(n *net) {
				f := n.function("Block", in("x"), in("bn_out"), func(f *net) {
					y := f.biased("Gemm", "fc", "x", shape(3, 4), shape(4), RefAttr("alpha", AttrFloat, "alpha"))
					f.norm("bn", y, 4)
				})
				f.Attrs = []string{"alpha"}
				n.output(n.call("Block", "block", in(n.input("x", 2, 3)), Float("alpha", 0.5)), 2, 4)
			}),
			Either: folded("bn"),
		}, {
			Name: "function/layer's output is the function's", Why: "the caller of the function reads it as it is",
			Model: build(17, func(n *net) {
				n.function("Block", in("x"), in("bn_out", "conv_out"), func(f *net) {
					f.norm("bn", f.layer("Conv", "conv", "x", shape(4, 3, 3, 3)), 4)
				})
				y := n.call("Block", "block", in(image(n)))
				n.last().Out = append(n.last().Out, "raw")
				n.output(y, 1, 4, 4, 4)
				n.output("raw", 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonOutputShared),
		}, {
			Name: "function/named as Add", Why: "the Add that the layer would get is the model's own",
			Model: build(17, func(n *net) {
				n.function("Add", in("x", "y"), in("z"), func(f *net) { f.Nodes = append(f.Nodes, Node{Op: "Sub", Name: "sub", In: in("x", "y"), Out: in("z")}) })
				n.model.Functions[0].Domain = ""
				n.output(n.norm("bn", n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4)), 4), 2, 4)
			}),
			WantKept: kept("bn", fuse.ReasonForeign),
		}, {
			Name: "function/norm inside, layer outside", Why: "inside, the norm's input is the function's",
			Model: build(17, func(n *net) {
				n.function("Norm", in("x"), in("bn_out"), func(f *net) { f.norm("bn", "x", 4) })
				y := n.layer("Conv", "conv", image(n), shape(4, 3, 3, 3))
				n.output(n.call("Norm", "norm", in(y)), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonNoLayer),
		}, {
			Name: "function/names of the graph around", Why: "a function's names are its own: its w and x are not the graph's",
			Model: build(17, func(n *net) {
				n.function("Block", in("w"), in("bn_out"), func(f *net) {
					f.between("x", 2, 3, shape(4, 3, 3, 3))
					f.norm("bn", f.node("Conv", "conv", in("w", "x")), 4)
				})
				x, w := image(n), n.param("w", 4, 3, 3, 3)
				n.output(n.call("Block", "block", in(x)), 1, 4, 4, 4)
				n.output(n.node("Conv", "outer", in(x, w)), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "function/calls a function", Why: "a body may call another; each is folded by itself",
			Model: build(17, func(n *net) {
				n.function("Inner", in("x"), in("bn1_out"), func(f *net) {
					f.norm("bn1", f.layer("Conv", "conv1", "x", shape(4, 3, 3, 3)), 4)
				})
				n.function("Outer", in("x"), in("bn2_out"), func(f *net) {
					y := f.node("Relu", "relu", in(f.call("Inner", "inner", in("x"))))
					f.norm("bn2", f.layer("Conv", "conv2", y, shape(4, 4, 3, 3)), 4)
				})
				n.output(n.call("Outer", "outer", in(image(n))), 1, 4, 2, 2)
			}),
			WantFolded: folded("bn1", "bn2"),
		}, {
			Name: "function/older opset than the model", Why: "a function's nodes are of the opsets it imports: here axes are an attribute",
			Model: build(17, func(n *net) {
				f := n.function("Block", in("x"), in("mul_out"), func(f *net) {
					y := f.layer("Conv", "conv", "x", shape(4, 3, 3, 3))
					c := f.node("Unsqueeze", "unsqueeze", in(f.param("c", 4)), Ints("axes", 1, 2))
					f.node("Mul", "mul", in(y, c))
				})
				f.Opsets = []Opset{{"", 11}}
				n.output(n.call("Block", "block", in(image(n))), 1, 4, 4, 4)
			}),
			WantFolded: folded("mul"), NoORT: "it wants the model's opset in every function",
		},
	}
}
