package onnxtest

import (
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// betweenCases have a node between the layer and the norm.
func betweenCases() []Case {
	return slices.Concat(identityCases(), dropoutCases(), movedAxisCases())
}

// through puts what the body makes between a Conv with output [1, 4, 4, 4] and a norm.
func through(name, why string, opset int64, body func(n *net, y string) string, norm ...Attr) Case {
	return Case{
		Name: "between/" + name, Why: why,
		Model: build(opset, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
			n.output(n.norm("bn", body(n, y), 4, norm...), 1, 4, 4, 4)
		}),
		WantFolded: folded("bn"),
	}
}

func identityCases() []Case {
	identity := func(n *net, y string) string { return n.node("Identity", "same", in(y)) }
	return []Case{
		through("Identity", "Identity changes nothing", 13, identity),
		through("two Identities", "Identity changes nothing", 13, func(n *net, y string) string {
			return n.node("Identity", "same2", in(identity(n, y)))
		}),
		through("Identity used elsewhere", "the copy's other user needs the layer's output as it is", 13, func(n *net, y string) string {
			y = identity(n, y)
			n.output(n.node("Relu", "relu", in(y)), 1, 4, 4, 4)
			return y
		}).keeping("bn", fuse.ReasonOutputShared),
		through("Identity is a graph output", "the caller reads the layer's output", 13, func(n *net, y string) string {
			y = identity(n, y)
			n.output(y, 1, 4, 4, 4)
			return y
		}).keeping("bn", fuse.ReasonOutputShared),
		through("Identity captured by a subgraph", "the branch reads the layer's output as it is", 13, func(n *net, y string) string {
			y = identity(n, y)
			n.ifElse("if", n.branch(y, func(b *net) string { return b.node("Relu", "relu", in(y)) }),
				n.branch(y, func(b *net) string { return b.node("Neg", "neg", in(y)) }))
			return y
		}).keeping("bn", fuse.ReasonOutputShared),
		through("layer beside Identity", "the layer's output has another user beside the copy", 13, func(n *net, y string) string {
			n.output(n.node("Relu", "relu", in(y)), 1, 4, 4, 4)
			return identity(n, y)
		}).keeping("bn", fuse.ReasonOutputShared),
		through("Relu", "an activation is not affine", 13, func(n *net, y string) string {
			return n.node("Relu", "relu", in(y))
		}).keeping("bn", fuse.ReasonNoLayer),
		through("MaxPool", "the largest of scaled numbers is not the scaled largest for a negative scale", 13, func(n *net, y string) string {
			return n.node("MaxPool", "pool", in(y), Ints("kernel_shape", 3, 3), Ints("pads", 1, 1, 1, 1))
		}).keeping("bn", fuse.ReasonNoLayer),
		through("Add of an activation", "a sum with an activation is no layer", 13, func(n *net, y string) string {
			return n.node("Add", "add", in(y, n.input("z", 1, 4, 4, 4)))
		}).keeping("bn", fuse.ReasonNoLayer),
		through("Concat", "the channels are of two layers, of which one gives others too", 13, func(n *net, y string) string {
			half := n.layer("Conv", "conv2", "x", shape(2, 3, 3, 3))
			low := n.node("Slice", "low", in(y, n.integers("starts", 0), n.integers("ends", 2), n.integers("axes", 1)))
			return n.node("Concat", "concat", in(half, low), Int("axis", 1))
		}).keeping("bn", fuse.ReasonAxis),
	}
}

func dropoutCases() []Case {
	plain := func(attrs ...Attr) func(n *net, y string) string {
		return func(n *net, y string) string { return n.node("Dropout", "drop", in(y), attrs...) }
	}
	masked := func(use func(n *net)) func(n *net, y string) string {
		return func(n *net, y string) string {
			y = n.node("Dropout", "drop", in(y))
			n.last().Out = append(n.last().Out, "mask")
			use(n)
			return y
		}
	}
	mode := func(value float64) func(n *net, y string) string {
		return func(n *net, y string) string {
			n.Init = append(n.Init, NewTensor("mode", Bool, shape(), value))
			return n.node("Dropout", "drop", in(y, n.values("ratio", shape(), 0.5), "mode"))
		}
	}
	legacy := func(c Case) Case {
		c.NoORT = "opset < 7"
		return c
	}
	random := func(c Case) Case {
		c.NoORT, c.NoEval = "dropout in training draws random numbers", "dropout in training draws random numbers"
		return c
	}
	noMask := func(*net) {}
	return []Case{
		legacy(through("Dropout, opset 1, is_test", "is_test says inference", 1, plain(Int("is_test", 1)), inference(1)...)),
		legacy(random(through("Dropout, opset 1", "is_test is absent: training", 1, plain(), inference(1)...).keeping("bn", fuse.ReasonDropout))),
		legacy(through("Dropout, opset 6, is_test", "is_test says inference", 6, plain(Int("is_test", 1)), inference(6)...)),
		legacy(random(through("Dropout, opset 6, is_test 0", "training", 6, plain(Int("is_test", 0)), inference(6)...).keeping("bn", fuse.ReasonDropout))),
		through("Dropout, opset 7", "inference, always", 7, plain(Float("ratio", 0.3))),
		through("Dropout, opset 10", "inference, always", 10, plain()),
		through("Dropout, opset 12", "training_mode absent means false", 12, plain()),
		through("Dropout, opset 13, ratio", "a ratio does not make it training", 13, func(n *net, y string) string {
			return n.node("Dropout", "drop", in(y, n.values("ratio", shape(), 0.5)))
		}),
		through("Dropout, ratio computed", "at inference the ratio is not used", 13, func(n *net, y string) string {
			return n.node("Dropout", "drop", in(y, n.node("Abs", "abs", in(n.input("r")))))
		}),
		through("Dropout, training_mode false", "constant false", 13, mode(0)),
		through("Dropout, training_mode left empty", "an empty name is absent", 13, func(n *net, y string) string {
			return n.node("Dropout", "drop", in(y, "", ""))
		}),
		through("Dropout, training_mode a Constant", "constant false", 13, func(n *net, y string) string {
			mode := n.constant("mode", TensorAttr("value", NewTensor("", Bool, shape(), 0).In(Packed)))
			return n.node("Dropout", "drop", in(y, "", mode))
		}),
		random(through("Dropout, training_mode true", "the norm does not commute with dropping, and its neighbour is random", 13, mode(1)).keeping("bn", fuse.ReasonDropout)),
		dropoutModeInput(false), dropoutModeInput(true),
		through("Dropout, mask named", "a mask that nobody reads", 13, masked(noMask)),
		through("Dropout, mask used", "the mask needs the Dropout; it stays, and its norm with it", 13, masked(func(n *net) {
			n.output(n.node("Cast", "cast", in("mask"), Int("to", int64(Float32))), 1, 4, 4, 4)
		})).keeping("bn", fuse.ReasonDropout),
		through("Dropout, mask is a graph output", "the mask needs the Dropout; it stays, and its norm with it", 13, masked(func(n *net) {
			n.Outputs = append(n.Outputs, Val("mask", Bool, 1, 4, 4, 4))
		})).keeping("bn", fuse.ReasonDropout),
		through("Dropout, Identity, Dropout", "all three do nothing", 13, func(n *net, y string) string {
			y = n.node("Dropout", "drop1", in(y))
			return n.node("Dropout", "drop2", in(n.node("Identity", "same", in(y))))
		}),
	}
}

// dropoutModeInput leaves training_mode to the caller, with or without a default.
func dropoutModeInput(withDefault bool) Case {
	name := "Dropout, training_mode an input"
	c := through(name, "the caller may ask for training", 13, func(n *net, y string) string {
		n.Inputs = append(n.Inputs, Val("mode", Bool))
		return n.node("Dropout", "drop", in(y, "", "mode"))
	}).keeping("bn", fuse.ReasonDropout)
	c.Inputs = RandomInputs(c.Model, 1)
	c.Inputs["mode"] = NewArray(Bool, []int{}, 0)
	if withDefault {
		c.Name += " with a default"
		c.Model.Graph.Init = append(c.Model.Graph.Init, NewTensor("mode", Bool, shape(), 0))
	}
	return c
}

// movedAxisCases move or merge the axes between the layer and the norm.
func movedAxisCases() []Case {
	return []Case{
		through("Transpose", "the norm's axis 1 is the layer's height", 13, func(n *net, y string) string {
			return n.node("Transpose", "t", in(y), Ints("perm", 0, 2, 3, 1))
		}).keeping("bn", fuse.ReasonAxis),
		through("Reshape", "the axes are cut anew", 13, func(n *net, y string) string {
			return n.node("Reshape", "reshape", in(y, n.integers("to", 4, 4, 2, 2)))
		}).shaped(4, 4, 2, 2).keeping("bn", fuse.ReasonAxis),
		{
			Name: "between/Flatten", Why: "the norm's axis 1 is channel and position together",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 3, 4), shape(4, 3, 3, 3))
				n.output(n.norm("bn", n.node("Flatten", "flatten", in(y)), 8), 1, 8)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "between/one channel, Reshape, norm", Why: "axis 1 is the channel, though axis 0 has one element as well",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6), shape(1, 3, 3))
				y = n.node("Reshape", "reshape", in(y, n.integers("to", 1, 1, 4, 1)))
				n.output(n.norm("bn", y, 1), 1, 1, 4, 1)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "between/Flatten of a column", Why: "one position: axis 1 is the channel again, but only the sizes say so",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 2, 3, 3, 3), shape(4, 3, 3, 3))
				n.output(n.norm("bn", n.node("Flatten", "flatten", in(y)), 4), 2, 4)
			}),
			Either: folded("bn"),
		}, {
			Name: "between/Unsqueeze, norm, Squeeze", Why: "as PyTorch wrote BatchNorm1d after Linear; axis 1 stays axis 1, so a fold would be right",
			Model: build(11, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 3), shape(4, 3), shape(4), Int("transB", 1))
				y = n.node("Unsqueeze", "up", in(y), Ints("axes", 2))
				y = n.norm("bn", y, 4)
				n.output(n.node("Squeeze", "down", in(y), Ints("axes", 2)), 2, 4)
			}),
			Either: folded("bn"),
		}, {
			Name: "between/Gemm, Reshape to positions, norm", Why: "as a generator begins: channel c of the norm is columns 4c to 4c+3",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", "N", 5), shape(5, 24), shape(24))
				y = n.node("Reshape", "view", in(y, n.integers("to", -1, 6, 2, 2)))
				n.output(n.norm("bn", y, 6), nil, 6, 2, 2)
			}),
			Inputs:     map[string]Array{"x": NewArray(Float32, []int{1, 5}, 1, -2, 3, 0.5, 0.25)},
			WantFolded: folded("bn"),
		}, {
			Name: "between/MatMul, Reshape to positions, Mul", Why: "a norm written out is over these channels, too; and a norm behind it",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 5), shape(5, 24))
				y = n.node("Reshape", "view", in(y, n.integers("to", 2, 6, 2, 2)))
				n.output(n.norm("bn", n.by("Mul", "mul", y, shape(6, 1, 1)), 6), 2, 6, 2, 2)
			}),
			WantFolded: folded("mul", "bn"),
		}, {
			Name: "between/Conv, channels split, norm", Why: "channel c of the norm is channels 3c to 3c+2 of the layer",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 5, 5), shape(6, 3, 3, 3))
				n.describe(y, 1, 6, 3, 3)
				y = n.node("Reshape", "split", in(y, n.integers("to", 1, 2, 3, 3, 3)))
				n.output(n.norm("bn", y, 2), 1, 2, 3, 3, 3)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "between/Gemm, Reshape to rows, norm", Why: "the rows are no batch any more: column 4 is channel 0 again",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 5), shape(5, 8), shape(8))
				y = n.node("Reshape", "view", in(y, n.integers("to", 4, 4)))
				n.output(n.norm("bn", y, 4), 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "between/MatMul, heads, Mul by a number", Why: "as attention is scaled: what is the same for all channels needs no axis",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 5, 8), shape(8, 6))
				y = n.node("Add", "bias", in(n.param("b", 6), y))
				y = n.node("Reshape", "heads", in(y, n.integers("to", 0, 0, 3, 2)))
				y = n.node("Transpose", "t", in(y), Ints("perm", 0, 2, 1, 3))
				n.output(n.node("Mul", "mul", in(y, n.values("k", shape(), 0.5))), 2, 3, 5, 2)
			}),
			WantFolded: folded("mul"), WantKept: kept("bias", ""),
		}, {
			Name: "between/Gemm, mixed, Mul by a number and norm", Why: "the norm asks for an axis, and keeps what is in front of it where it is",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 5), shape(5, 8), shape(8))
				y = n.node("Reshape", "view", in(y, n.integers("to", 4, 4)))
				n.output(n.norm("bn", n.by("Mul", "mul", y, shape(1)), 4), 4, 4)
			}),
			WantFolded: folded("mul"), WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "between/Gemm, mixed, Mul by a number of higher rank", Why: "the number may add axes",
			Model: build(13, func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 5), shape(5, 8), shape(8))
				y = n.node("Reshape", "view", in(y, n.integers("to", 4, 4)))
				n.output(n.by("Mul", "mul", y, shape(1, 1, 1)), 1, 4, 4)
			}),
			WantKept: kept("mul", ""),
		}, {
			Name: "between/MatMul, Flatten, norm", Why: "two axes are flat already",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 5), shape(5, 6))
				y = n.node("Reshape", "same", in(n.node("Flatten", "flatten", in(y)), n.integers("to", -1, 6)))
				n.output(n.norm("bn", y, 6), 2, 6)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "between/Conv, Squeeze of all, norm", Why: "the axes of one element are those behind the channels",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 2, 3, 3, 3), shape(6, 3, 3, 3))
				n.describe(y, 2, 6, 1, 1)
				n.output(n.norm("bn", n.node("Squeeze", "squeeze", in(y)), 6), 2, 6)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "between/Conv, Squeeze of all of unknown size, norm", Why: "if the batch is one it goes, too",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", "N", 3, 3, 3), shape(6, 3, 3, 3))
				n.output(n.norm("bn", n.node("Squeeze", "squeeze", in(y)), 6), nil, 6)
			}),
			Inputs:   map[string]Array{"x": NewArray(Float32, []int{2, 3, 3, 3}, make([]float64, 54)...)},
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "between/MatMul, Transpose, norm", Why: "as PyTorch writes BatchNorm1d over [N, L, C]; axis 1 is the layer's last axis again, so a fold would be right",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 5, 3), shape(3, 4))
				y = n.node("Transpose", "t", in(y), Ints("perm", 0, 2, 1))
				n.output(n.norm("bn", y, 4), 2, 4, 5)
			}),
			Either: folded("bn"),
		},
	}
}

// shaped gives the first output other dims.
func (c Case) shaped(dims ...any) Case {
	c.Model.Graph.Outputs[0] = Val(c.Model.Graph.Outputs[0].Name, Float32, dims...)
	return c
}
