package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// rankCases prove, or do not, that a MatMul's output is a matrix, so that a norm's axis 1 is the
// weight's output. The rank comes from graph inputs, value_info, or the operators before.
func rankCases() []Case {
	// after puts MatMul and norm behind what the body makes, which has 3 columns.
	after := func(name, why string, body func(n *net) string) Case {
		return Case{
			Name: "rank/" + name, Why: why,
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", body(n), shape(3, 4))
				y = n.node("Add", "bias", in(y, n.param("b", 4)))
				y = n.norm("bn", y, 4)
				// The graph's output says nothing of the norm's rank.
				n.output(n.node("Reshape", "flat", in(y, n.integers("all", -1))), nil)
			}),
			WantFolded: folded("bn"),
		}
	}
	unranked := func(n *net) string {
		n.Inputs = append(n.Inputs, Value{Name: "x", Elem: Float32, Unranked: true})
		return "x"
	}
	given := func(c Case, dims ...int) Case {
		c.Inputs = map[string]Array{"x": NewArray(Float32, dims, 0.5)}
		return c
	}
	unproven := func(c Case) Case { return c.keeping("bn", fuse.ReasonAxis) }
	op := func(name string, attrs ...Attr) func(n *net) string {
		return func(n *net) string { return n.node(name, "op", in(n.input("x", 2, 3)), attrs...) }
	}
	return []Case{
		after("graph input", "the input has two axes", func(n *net) string { return n.input("x", "N", 3) }),
		unproven(given(after("unknown input", "the input may have any rank", unranked), 2, 3)),
		unproven(given(after("unknown input through Relu", "what is unknown stays unknown", func(n *net) string {
			return n.node("Relu", "relu", in(unranked(n)))
		}), 2, 3)),
		given(after("value_info", "the model says so", func(n *net) string {
			y := n.node("Relu", "relu", in(unranked(n)))
			n.describe(y, "N", 3)
			return y
		}), 2, 3),
		given(after("value_info of the product", "the model says so of the layer's output", func(n *net) string {
			n.describe("fc_out", "N", 4)
			n.describe("bias_out", "N", 4)
			return unranked(n)
		}), 2, 3),
		given(after("value_info of an operator nobody knows", "the model says so", func(n *net) string {
			n.function("Strange", in("x"), in("neg_out"), func(f *net) { f.node("Neg", "neg", in("x")) })
			y := n.call("Strange", "strange", in(unranked(n)))
			n.describe(y, 2, 3)
			n.model.Functions[0].Opsets = []Opset{{"", 13}}
			return y
		}), 2, 3),
		given(after("Flatten", "Flatten makes a matrix of anything", func(n *net) string {
			return n.node("Flatten", "flatten", in(unranked(n)))
		}), 2, 3),
		given(after("Reshape", "the shape has two entries", func(n *net) string {
			return n.node("Reshape", "reshape", in(unranked(n), n.integers("to", -1, 3)))
		}), 2, 3, 1),
		after("Relu", "an activation keeps the rank", op("Relu")),
		after("Sigmoid", "an activation keeps the rank", op("Sigmoid")),
		after("Clip", "an activation keeps the rank", op("Clip")),
		after("Identity", "a copy keeps the rank", op("Identity")),
		after("Cast", "another type keeps the rank", op("Cast", Int("to", int64(Float32)))),
		after("Dropout", "Dropout keeps the rank", op("Dropout")),
		after("Softmax", "Softmax keeps the rank", op("Softmax")),
		after("Transpose", "axes moved are as many", func(n *net) string {
			return n.node("Transpose", "t", in(n.input("x", 3, 2)), Ints("perm", 1, 0))
		}),
		after("Squeeze", "two of four axes go", func(n *net) string {
			return n.node("Squeeze", "squeeze", in(n.input("x", 2, 3, 1, 1), n.integers("axes", 2, 3)))
		}),
		after("Unsqueeze", "one axis comes", func(n *net) string {
			return n.node("Unsqueeze", "unsqueeze", in(n.input("x", 3), n.integers("axes", 0)))
		}),
		after("ReduceMean", "two of four axes go", func(n *net) string {
			return n.node("ReduceMean", "mean", in(n.input("x", 2, 3, 4, 4)), Ints("axes", 2, 3), Int("keepdims", 0))
		}),
		after("Concat", "parts joined have the parts' rank", func(n *net) string {
			return n.node("Concat", "concat", in(n.input("x", 2, 1), n.input("z", 2, 2)), Int("axis", 1))
		}),
		after("Add of activations", "both have two axes", func(n *net) string {
			return n.node("Add", "add", in(n.input("x", 2, 3), n.input("z", 2, 3)))
		}),
		after("Sum of three", "all have two axes", func(n *net) string {
			return n.node("Sum", "sum", in(n.input("x", 2, 3), n.input("z", 1, 3), n.input("z2", 2, 1)))
		}),
		after("Max of two", "the larger rank", func(n *net) string {
			return n.node("Max", "max", in(n.input("x", 2, 3), n.input("z", 3)))
		}),
		after("Gather of one", "one index takes an axis away", func(n *net) string {
			return n.node("Gather", "gather", in(n.input("x", 2, 5, 3), n.index("first", 0)), Int("axis", 1))
		}),
		unproven(after("Gather of several", "as many indices as axes: the rank is three", func(n *net) string {
			n.Init = append(n.Init, NewTensor("rows", Int64, shape(2, 4), 0, 1, 2, 3, 4, 5, 6, 7))
			return n.node("Gather", "gather", in(n.input("x", 8, 3), "rows"), Int("axis", 0))
		})),
		after("Expand", "the target has two entries", func(n *net) string {
			return n.node("Expand", "expand", in(n.input("x", 3), n.integers("to", 2, 3)))
		}),
		after("Gemm", "a Gemm makes a matrix", func(n *net) string {
			return n.node("Relu", "relu", in(n.biased("Gemm", "fc0", n.input("x", 2, 5), shape(5, 3), shape(3))))
		}),
		after("pool and Flatten", "the head of an image classifier", func(n *net) string {
			y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(3, 3, 3, 3))
			return n.node("Flatten", "flatten", in(n.node("GlobalAveragePool", "pool", in(y))))
		}),
		after("pool and Reshape", "the head of an image classifier, as TensorFlow writes it", func(n *net) string {
			y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(3, 3, 3, 3))
			y = n.node("GlobalAveragePool", "pool", in(y))
			return n.node("Reshape", "reshape", in(y, n.integers("to", 0, -1)))
		}),
		given(after("Reshape to a computed shape", "the shape is a vector that the model computes; its two parts are known to be one each, so a fold would be right", func(n *net) string {
			x := unranked(n)
			batch := n.node("Slice", "batch", in(n.node("Shape", "shape", in(x)), n.integers("starts", 0), n.integers("ends", 1)))
			to := n.node("Concat", "to", in(batch, n.integers("rest", -1)), Int("axis", 0))
			return n.node("Reshape", "reshape", in(x, to))
		}), 2, 3, 1).eitherWay(),
		unproven(given(after("Reshape to a given shape", "the caller gives a shape of any length", func(n *net) string {
			n.Inputs = append(n.Inputs, Val("to", Int64, "rank"))
			return n.node("Reshape", "reshape", in(unranked(n), "to"))
		}), 2, 3)).with("to", NewArray(Int64, []int{2}, 2, 3)),
		{
			Name: "rank/Conv of unknown input", Why: "a Conv's output has the weight's rank, so [1,C,1,1] does not raise it",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", unranked(n), shape(4, 3, 3, 3))
				n.output(n.by("Mul", "mul", y, shape(1, 4, 1, 1)), nil, 4, nil, nil)
			}),
			Inputs:     map[string]Array{"x": NewArray(Float32, []int{1, 3, 6, 6}, 0.5)},
			WantFolded: folded("mul"),
		}, {
			Name: "rank/stale value_info", Why: "what described the layer's old output must go; what describes the norm's stays",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.describe(y, 1, 4, 4, 4)
				y = n.norm("bn", y, 4)
				n.describe(y, 1, 4, 4, 4)
				n.output(n.node("Relu", "relu", in(y)), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "rank/stale value_info of constants", Why: "what described the norm's parameters must go with them",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				c := n.node("Unsqueeze", "unsqueeze", in(n.param("c", 4), n.integers("axes", 1, 2)))
				n.describe("c", 4)
				n.describe(c, 4, 1, 1)
				n.output(n.node("Mul", "mul", in(y, c)), 1, 4, 4, 4)
			}),
			WantFolded: folded("mul"),
		},
	}
}
