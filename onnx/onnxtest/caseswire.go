package onnxtest

// wireCases are one model in the forms that protobuf allows.
func wireCases() []Case {
	// rich has something in every message: subgraphs, functions, metadata, documentation.
	rich := func(wire Wire, change func(n *net)) *Model {
		return build(17, func(n *net) {
			n.model.Wire = wire
			n.model.Producer, n.model.ProducerVersion, n.model.Domain = "onnxtest", "1", "test"
			n.model.Version, n.model.Doc = 3, "a model"
			n.model.Metadata = []Entry{{"author", "nobody"}, {"empty", ""}}
			n.Doc = "a graph"
			x := n.input("x", 1, 3, 6, 6)
			y := n.node("Conv", "conv", in(x, n.param("w", 4, 3, 3, 3)), Ints("kernel_shape", 3, 3), Ints("pads", 0, 0, 0, 0))
			n.last().Doc = "a layer"
			n.Nodes[0].Metadata = []Entry{{"namespace", "block1"}}
			y = n.norm("bn1", y, 4, Float("epsilon", 1e-3))
			n.describe(y, 1, 4, 4, 4)
			n.function("Block", in("x"), in("bn2_out"), func(f *net) {
				f.norm("bn2", f.biased("Conv", "conv2", "x", shape(4, 4, 1, 1), shape(4)), 4)
			})
			y = n.node("Relu", "relu", in(n.call("Block", "block", in(y))))
			then := n.branch("y", func(b *net) string {
				return b.norm("bn3", b.layer("Conv", "conv3", y, shape(4, 4, 3, 3)), 4)
			})
			n.ifElse("if", then, n.branch("y", func(b *net) string { return b.node("Neg", "neg", in(y)) }))
			change(n)
		})
	}
	form := func(name, why string, wire Wire, change func(n *net)) Case {
		return Case{Name: "wire/" + name, Why: why, Model: rich(wire, change), WantFolded: folded("bn1", "bn2", "bn3")}
	}
	plain := func(*net) {}
	return []Case{
		form("usual order", "what the usual libraries write", Wire{}, plain),
		form("descending order", "initializers before nodes, graph after opset_import, names last", Wire{Order: Descending}, plain),
		form("interleaved order", "nodes and initializers in turn", Wire{Order: Interleaved}, plain),
		form("graph in two pieces", "protobuf merges a message that comes twice", Wire{SplitGraph: true}, plain),
		form("graph in two pieces, descending", "protobuf merges a message that comes twice", Wire{SplitGraph: true, Order: Descending}, plain),
		form("tensors in two pieces", "a Constant's tensor, dims in one piece and data in the other", Wire{SplitTensor: true}, plain),
		form("everything in pieces", "all at once", Wire{SplitGraph: true, SplitTensor: true, Order: Interleaved}, plain),
		form("unknown fields", "fields of later versions stay where they are", Wire{}, func(n *net) {
			n.model.Unknown = UnknownField(1999, "of the model")
			n.Unknown = UnknownField(1999, "of the graph")
			for i := range n.Nodes {
				n.Nodes[i].Unknown = UnknownField(1999, "of a node")
			}
			n.Nodes[0].Attrs[0].Unknown = UnknownField(1999, "of an attribute")
		}),
		form("long unknown field", "an unknown field larger than any buffer", Wire{}, func(n *net) {
			n.Unknown = UnknownField(1999, string(make([]byte, 100_000)))
		}),
		form("attributes without a type", "as before IR 2: the field that is there says the type", Wire{}, func(n *net) {
			for i := range n.Nodes {
				for k := range n.Nodes[i].Attrs {
					n.Nodes[i].Attrs[k].Untyped = true
				}
			}
		}).withoutORT("it wants the type"),
		form("graph metadata", "metadata_props of a graph, since IR 10", Wire{}, func(n *net) {
			n.Metadata = []Entry{{"source", "a test"}}
		}),
	}
}

// withoutORT is the case that ONNX Runtime does not run.
func (c Case) withoutORT(why string) Case {
	c.NoORT = why
	return c
}
