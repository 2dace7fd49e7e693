package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// dtypeCases are layers and norms of the four types, and of mixed ones.
func dtypeCases() []Case {
	var cases []Case
	for _, t := range []struct {
		name string
		elem ElemType
	}{{"float64", Float64}, {"float32", Float32}, {"float16", Float16}, {"bfloat16", BFloat16}} {
		typed := func(name string, body func(n *net)) Case {
			c := Case{
				Name: "dtype/" + t.name + ", " + name, Why: "computed in float64, rounded once to the weight's type",
				Model: build(15, func(n *net) {
					n.elem = t.elem
					body(n)
				}),
				WantFolded: folded("bn"),
			}
			if t.elem == BFloat16 || t.elem == Float64 && name != "Gemm" {
				c.NoORT = "no " + name + " of " + t.name
			}
			return c
		}
		cases = append(cases,
			typed("Conv", func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			typed("Conv without bias", func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			typed("ConvTranspose", func(n *net) {
				y := n.layer("ConvTranspose", "deconv", n.input("x", 1, 4, 3, 3), shape(4, 3, 2, 2), Int("group", 2))
				n.output(n.norm("bn", y, 6), 1, 6, 4, 4)
			}),
			typed("Gemm", func(n *net) {
				y := n.biased("Gemm", "fc", n.input("x", 2, 3), shape(4, 3), shape(4), Int("transB", 1), Float("beta", 0.5))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			typed("norm before Conv", func(n *net) {
				y := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				n.output(n.biased("Conv", "conv", y, shape(4, 3, 3, 3), shape(4)), 1, 4, 4, 4)
			}),
		)
	}
	return append(cases, mixedNorm("X half, parameters float32", Float16, Float32, Float32),
		mixedNorm("X half, statistics float32", Float16, Float16, Float32),
		mixedNorm("X float32, parameters half", Float32, Float16, Float16),
		mixedNorm("X bfloat16, parameters float32", BFloat16, Float32, Float32),
		mixedNorm("X float32, statistics float64", Float32, Float32, Float64),
		integerLayer(),
		Case{
			Name: "dtype/value_float in a float64 model", Why: "the constant is float32 and cast; its value is exact",
			Model: build(13, func(n *net) {
				n.elem = Float64
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				c := n.node("Cast", "cast", in(n.constant("c", Float("value_float", 0.1))), Int("to", int64(Float64)))
				n.output(n.node("Mul", "mul", in(y, c)), 1, 4, 4, 4)
			}),
			WantFolded: folded("mul"), NoORT: "float64 Conv",
		},
	)
}

// mixedNorm is BatchNormalization-15, whose parameters and statistics may have types of their own.
func mixedNorm(name string, elem, params, statistics ElemType) Case {
	c := Case{
		Name: "dtype/mixed, " + name, Why: "the result is in the weight's type, as the norm's output was in X's",
		Model: build(15, func(n *net) {
			n.elem = elem
			y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
			n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			n.init("bn_gamma").Elem, n.init("bn_beta").Elem = params, params
			n.init("bn_mean").Elem, n.init("bn_var").Elem = statistics, statistics
		}),
		WantFolded: folded("bn"),
	}
	if elem == BFloat16 || statistics == Float64 {
		c.NoORT = "no such mixture"
	}
	return c
}

// integerLayer is a product of integers scaled by integers.
func integerLayer() Case {
	return Case{
		Name: "dtype/int32 MatMul", Why: "integers are exact and wrap around; they are not weights that are scaled",
		Model: build(13, func(n *net) {
			n.elem = Int32
			y := n.node("MatMul", "fc", in(n.input("x", 2, 2), n.values("w", shape(2, 3), 1, -2, 3, 4, 5, -6)))
			n.output(n.node("Mul", "mul", in(y, n.values("c", shape(3), 2, 3, 4))), 2, 3)
		}),
		Inputs:   map[string]Array{"x": NewArray(Int32, []int{2, 2}, 1, 2, -3, 4)},
		WantKept: kept("mul", fuse.ReasonDType),
	}
}
