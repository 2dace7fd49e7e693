package onnxtest

import "slices"

// constantCases are weights, biases and norm parameters that are constants in other forms than an
// initializer: Constant nodes and small arithmetic over constants. What a fold leaves unused goes.
func constantCases() []Case {
	return slices.Concat(constantNodeCases(), constantArithmeticCases(), constantWeightCases(), notConstantCases())
}

// scaled is a Conv with output [1, 4, 4, 4], then Mul by what the body makes.
func scaled(name, why string, opset int64, body func(n *net) string) Case {
	return Case{
		Name: "constant/" + name, Why: why,
		Model: build(opset, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
			n.output(n.node("Mul", "mul", in(y, body(n))), 1, 4, 4, 4)
		}),
		WantFolded: folded("mul"),
	}
}

func constantNodeCases() []Case {
	return []Case{
		{
			Name: "constant/norm of Constant nodes", Why: "a Constant is as constant as an initializer",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				n.toConstants("bn_gamma", "bn_beta", "bn_mean", "bn_var")
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "constant/weight and bias of Constant nodes", Why: "a Constant is as constant as an initializer",
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				n.toConstants("conv_w", "conv_b")
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "constant/everything of Constant nodes", Why: "as tf2onnx and older PyTorch write",
			Model: build(9, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				n.toConstants("conv_w", "conv_b", "bn_gamma", "bn_beta", "bn_mean", "bn_var")
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "constant/value_floats", Why: "since opset 12 a Constant may hold a list of floats",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				gamma := n.constant("gamma", Floats("value_floats", 1, -2, 0.5, 3))
				beta := n.constant("beta", Floats("value_floats", 0.25, 0, -1, 2))
				params := in(y, gamma, beta, n.param("mean", 4), n.between("var", 0.1, 1, shape(4)))
				n.output(n.node("BatchNormalization", "bn", params), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		},
		scaled("value_float", "one float is a scalar", 13, func(n *net) string {
			return n.constant("c", Float("value_float", -1.5))
		}),
		scaled("value_ints, Cast", "integers made floats", 13, func(n *net) string {
			c := n.node("Cast", "cast", in(n.constant("c", Ints("value_ints", 3))), Int("to", int64(Float32)))
			return c
		}),
		scaled("value_int, Cast", "an integer made a float", 13, func(n *net) string {
			return n.node("Cast", "cast", in(n.constant("c", Int("value_int", -3))), Int("to", int64(Float32)))
		}),
		scaled("scalar tensor", "a tensor without dims", 13, func(n *net) string {
			return n.constant("c", TensorAttr("value", NewTensor("", Float32, shape(), 0.125)))
		}),
		scaled("value_floats, Unsqueeze", "a list laid along the channel axis", 13, func(n *net) string {
			c := n.constant("c", Floats("value_floats", 1, -2, 0.5, 3))
			return n.node("Unsqueeze", "unsqueeze", in(c, n.constant("axes", Ints("value_ints", 1, 2))))
		}),
		scaled("sparse_value", "a sparse constant is a constant, though no exporter writes one here", 13, func(n *net) string {
			values := NewTensor("", Float32, shape(2), 2, -3)
			indices := NewTensor("", Int64, shape(2, 3), 1, 0, 0, 3, 0, 0)
			return n.constant("c", SparseAttr("sparse_value", SparseTensor{Values: values, Indices: indices, Dims: shape(4, 1, 1)}))
		}).eitherWay(),
	}
}

// toConstants moves initializers into Constant nodes before the graph's others.
func (n *net) toConstants(names ...string) {
	var nodes []Node
	for _, name := range names {
		t := *n.init(name)
		t.Name = ""
		n.drop(name)
		nodes = append(nodes, Node{Op: "Constant", Name: "make_" + name, Out: in(name), Attrs: []Attr{TensorAttr("value", t)}})
	}
	n.Nodes = append(nodes, n.Nodes...)
}

func constantArithmeticCases() []Case {
	return []Case{
		scaled("Unsqueeze by attribute", "axes were an attribute until opset 12", 11, func(n *net) string {
			return n.node("Unsqueeze", "unsqueeze", in(n.param("c", 4)), Ints("axes", 1, 2))
		}),
		scaled("Unsqueeze by input", "axes are an input since opset 13", 13, func(n *net) string {
			return n.node("Unsqueeze", "unsqueeze", in(n.param("c", 4), n.integers("axes", 0, 2, 3)))
		}),
		scaled("Unsqueeze from the end", "negative axes count from the end of the result", 13, func(n *net) string {
			return n.node("Unsqueeze", "unsqueeze", in(n.param("c", 4), n.integers("axes", -1, -2)))
		}),
		scaled("Squeeze by attribute", "an axis of 1 less", 11, func(n *net) string {
			return n.node("Squeeze", "squeeze", in(n.param("c", 1, 4, 1, 1)), Ints("axes", 0))
		}),
		scaled("Squeeze by input", "an axis of 1 less", 13, func(n *net) string {
			return n.node("Squeeze", "squeeze", in(n.param("c", 1, 4, 1, 1, 1), n.integers("axes", -1)))
		}),
		scaled("Reshape", "detectron2's frozen norm lays its parameters along the channel so", 13, func(n *net) string {
			return n.node("Reshape", "reshape", in(n.param("c", 4), n.integers("to", 1, -1, 1, 1)))
		}),
		scaled("Reshape with a copied axis", "0 copies an axis", 13, func(n *net) string {
			return n.node("Reshape", "reshape", in(n.param("c", 4, 1), n.integers("to", 0, 1, -1)))
		}),
		scaled("Expand of a number", "one number spread over the channels", 13, func(n *net) string {
			return n.node("Expand", "expand", in(n.param("c"), n.integers("to", 4, 1, 1)))
		}),
		scaled("Transpose", "axes moved", 13, func(n *net) string {
			return n.node("Transpose", "transpose", in(n.param("c", 1, 1, 4)), Ints("perm", 2, 0, 1))
		}),
		scaled("Identity", "a copy under another name", 13, func(n *net) string {
			return n.node("Identity", "same", in(n.param("c", 4, 1, 1)))
		}),
		scaled("Cast from float64", "a number written in more digits", 13, func(n *net) string {
			n.Init = append(n.Init, NewTensor("c", Float64, shape(4, 1, 1), 1, -2, 0.3, 4))
			return n.node("Cast", "cast", in("c"), Int("to", int64(Float32)))
		}),
		scaled("Cast from uint8", "a scale stored in a byte", 13, func(n *net) string {
			n.Init = append(n.Init, NewTensor("c", Uint8, shape(4, 1, 1), 1, 200, 255, 4))
			return n.node("Cast", "cast", in("c"), Int("to", int64(Float32)))
		}),
		scaled("Cast from int8 in int32_data", "small integers share a field", 13, func(n *net) string {
			n.Init = append(n.Init, NewTensor("c", Int8, shape(4, 1, 1), 1, -128, 127, -4).In(Packed))
			return n.node("Cast", "cast", in("c"), Int("to", int64(Float32)))
		}),
		scaled("Cast from int16 and uint16", "integers of two bytes", 13, func(n *net) string {
			n.Init = append(n.Init, NewTensor("a", Int16, shape(4, 1, 1), 1, -30000, 2, -4), NewTensor("b", Uint16, shape(1), 60000))
			a := n.node("Cast", "cast_a", in("a"), Int("to", int64(Float32)))
			b := n.node("Cast", "cast_b", in("b"), Int("to", int64(Float32)))
			return n.node("Div", "div", in(a, b))
		}),
		scaled("Cast from uint32 in uint64_data", "unsigned numbers have a field of their own", 13, func(n *net) string {
			n.Init = append(n.Init, NewTensor("c", Uint32, shape(4, 1, 1), 1, 1<<31, 3, 4).In(Unpacked))
			return n.node("Cast", "cast", in("c"), Int("to", int64(Float32)))
		}),
		scaled("Cast to integers and back", "the fraction is cut off", 13, func(n *net) string {
			c := n.node("Cast", "cut", in(n.values("c", shape(4, 1, 1), 1.75, -2.75, 3, -1.5)), Int("to", int64(Int32)))
			return n.node("Cast", "back", in(c), Int("to", int64(Float32)))
		}),
		scaled("Cast of bool", "a mask of channels is 0 or 1", 13, func(n *net) string {
			n.Init = append(n.Init, NewTensor("c", Bool, shape(4, 1, 1), 1, 0, 1, 1))
			return n.node("Cast", "cast", in("c"), Int("to", int64(Float32)))
		}),
		scaled("arithmetic of integers", "quotients are cut off, towards zero", 13, func(n *net) string {
			c := n.node("Div", "div", in(n.integers("a", 7, -7, 20, -9), n.integers("b", 2)))
			c = n.node("Sub", "sub", in(n.node("Mul", "mul_c", in(c, n.integers("d", 3))), n.node("Neg", "neg", in(n.integers("e", 1)))))
			c = n.node("Cast", "cast", in(c), Int("to", int64(Float32)))
			return n.node("Reshape", "reshape", in(c, n.integers("to", 4, 1, 1)))
		}),
		scaled("a shape by arithmetic", "axes are integers, too", 13, func(n *net) string {
			axis := n.node("Add", "axis", in(n.integers("one", 1), n.integers("another", 1)))
			c := n.node("Unsqueeze", "first", in(n.param("c", 4), n.integers("last", 1)))
			return n.node("Unsqueeze", "second", in(c, axis))
		}),
		scaled("Expand and Transpose of integers", "they are moved as numbers are", 13, func(n *net) string {
			c := n.node("Expand", "expand", in(n.integers("c", 3), n.integers("to", 1, 1, 4)))
			c = n.node("Transpose", "transpose", in(c), Ints("perm", 2, 0, 1))
			return n.node("Cast", "cast", in(c), Int("to", int64(Float32)))
		}),
		scaled("Pow by an integer", "since opset 12 the exponent may be of another type", 13, func(n *net) string {
			n.Init = append(n.Init, NewTensor("two", Int32, nil, 2))
			return n.node("Pow", "pow", in(n.between("c", 0.5, 2, shape(4, 1, 1)), "two"))
		}),
		scaled("a sum beyond float16", "some runtimes compute in float32 and get 1/90000, where float16 has 1/∞", 13, func(n *net) string {
			n.Init = append(n.Init, NewTensor("c", Float16, shape(4, 1, 1), 300, 300, 300, 300))
			c := n.node("Reciprocal", "reciprocal", in(n.node("Mul", "product", in("c", "c"))))
			return n.node("Cast", "cast", in(c), Int("to", int64(Float32)))
		}).keeping("mul", ""),
		scaled("Neg, Sqrt, Reciprocal", "−1/√c", 13, func(n *net) string {
			c := n.node("Sqrt", "sqrt", in(n.between("c", 0.5, 2, shape(4, 1, 1))))
			return n.node("Neg", "neg", in(n.node("Reciprocal", "reciprocal", in(c))))
		}),
		scaled("Pow by a half", "a root written as a power", 13, func(n *net) string {
			return n.node("Pow", "pow", in(n.between("c", 0.5, 2, shape(4, 1, 1)), n.values("half", shape(), 0.5)))
		}),
		scaled("Add, Sub, Mul, Div", "arithmetic with broadcasting", 13, func(n *net) string {
			a, b := n.between("a", 1, 2, shape(4, 1, 1)), n.between("b", 1, 2, shape(1))
			c := n.node("Div", "div", in(n.node("Mul", "product", in(a, b)), n.node("Add", "sum", in(a, b))))
			return n.node("Sub", "difference", in(c, b))
		}),
		frozenArithmetic("detectron2's frozen norm", 13, func(n *net, variance string) string {
			sum := n.node("Add", "var_eps", in(variance, n.values("eps", shape(), 1e-3)))
			root := n.node("Sqrt", "root", in(sum))
			return n.node("Reciprocal", "rsqrt", in(root))
		}),
		frozenArithmetic("frozen norm with Pow", 13, func(n *net, variance string) string {
			sum := n.node("Add", "var_eps", in(variance, n.values("eps", shape(1), 1e-3)))
			return n.node("Pow", "rsqrt", in(sum, n.values("power", shape(1), -0.5)))
		}),
		{
			Name: "constant/arithmetic used elsewhere", Why: "the norm folds; the constant stays for its other user",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				c := n.node("Unsqueeze", "unsqueeze", in(n.param("c", 4), n.integers("axes", 1, 2)))
				y = n.node("Relu", "relu", in(n.node("Mul", "mul", in(y, c))))
				n.output(n.node("Add", "late", in(y, c)), 1, 4, 4, 4)
			}),
			WantFolded: folded("mul"), WantKept: kept("late", ""),
		}, {
			Name: "constant/arithmetic is a graph output", Why: "the norm folds; the constant stays to be given out",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				c := n.node("Sqrt", "sqrt", in(n.between("c", 0.5, 2, shape(4, 1, 1))))
				n.output(n.node("Mul", "mul", in(y, c)), 1, 4, 4, 4)
				n.output(c, 4, 1, 1)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "constant/norm parameters through Unsqueeze and Squeeze", Why: "back and forth is nothing",
			Model: build(11, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				gamma := n.node("Unsqueeze", "up", in(n.param("gamma", 4)), Ints("axes", 0))
				gamma = n.node("Squeeze", "down", in(gamma))
				params := in(y, gamma, n.param("beta", 4), n.param("mean", 4), n.between("var", 0.1, 1, shape(4)))
				n.output(n.node("BatchNormalization", "bn", params), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		},
	}
}

// frozenArithmetic is a norm that the graph computes from the raw parameters:
// s = γ·rsqrt(σ² + ε), t = β − μ·s, both laid along the channel axis.
func frozenArithmetic(name string, opset int64, rsqrt func(n *net, variance string) string) Case {
	return Case{
		Name: "constant/" + name, Why: "the norm's own formula over its stored parameters",
		Model: build(opset, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
			s := n.node("Mul", "scale", in(n.param("gamma", 4), rsqrt(n, n.between("var", 0.1, 1, shape(4)))))
			t := n.node("Sub", "shift", in(n.param("beta", 4), n.node("Mul", "product", in(n.param("mean", 4), s))))
			to := n.integers("to", 1, -1, 1, 1)
			y = n.node("Mul", "mul", in(y, n.node("Reshape", "scale4d", in(s, to))))
			n.output(n.node("Add", "add", in(y, n.node("Reshape", "shift4d", in(t, to)))), 1, 4, 4, 4)
		}),
		WantFolded: folded("mul", "add"),
	}
}
