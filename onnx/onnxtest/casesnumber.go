package onnxtest

import (
	"math"

	"github.com/bnfuse/bnfuse/fuse"
)

// numberCases are parameters with which a fold would not give the same function, or barely does.
func numberCases() []Case {
	after := func(name, why string, param string, value float64) Case {
		c := Case{
			Name: "number/" + name, Why: why,
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				n.init(param).Data[1] = value
			}),
			WantFolded: folded("bn"),
		}
		return c
	}
	notFinite := func(c Case) Case {
		c = c.keeping("bn", fuse.ReasonNotFinite)
		c.NonFinite = true
		return c
	}
	return []Case{
		after("gamma 0", "the channel is β whatever the input: a channel pruned", "bn_gamma", 0),
		after("gamma negative", "a scale may have any sign", "bn_gamma", -3),
		after("variance 0", "ε keeps the root positive", "bn_var", 0),
		after("variance large", "the scale is small", "bn_var", 1e30),
		after("variance negative, above −ε", "σ² + ε is positive, which is all that is asked", "bn_var", -1e-6),
		notFinite(after("gamma NaN", "every output of the channel is NaN", "bn_gamma", math.NaN())),
		notFinite(after("gamma infinite", "s is infinite", "bn_gamma", math.Inf(1))),
		notFinite(after("beta NaN", "every output of the channel is NaN", "bn_beta", math.NaN())),
		notFinite(after("beta infinite", "t is infinite", "bn_beta", math.Inf(-1))),
		notFinite(after("mean infinite", "t is infinite", "bn_mean", math.Inf(1))),
		notFinite(after("variance NaN", "s is NaN", "bn_var", math.NaN())),
		after("variance infinite", "s would be 0; the norm was not trained, and is kept", "bn_var", math.Inf(1)).
			keeping("bn", fuse.ReasonNotFinite),
		negativeVariance("variance −1", -1, 1e-5),
		negativeVariance("variance and epsilon 0", 0, 0),
		frozenNotFinite("Mul by NaN", math.NaN()),
		frozenNotFinite("Mul by infinity", math.Inf(1)),
		overflow("float32", Float32, 3e38, 16),
		overflow("float16", Float16, 60000, 2),
		overflow("bfloat16", BFloat16, 3e38, 16),
		biasOverflow(),
		addOverflow(),
		chainBiasFits(),
		underflow(),
		{
			Name: "number/weight at the largest half", Why: "60000·1 still fits: a large weight is no reason by itself",
			Model: build(15, func(n *net) {
				n.elem = Float16
				y := n.layer("Conv", "conv", n.input("x", 1, 1, 2, 2), shape(1, 1, 1, 1))
				n.init("conv_w").Data[0] = 60000
				y = n.node("Mul", "mul", in(y, n.values("c", shape(), -1)))
				n.output(y, 1, 1, 2, 2)
			}),
			WantFolded: folded("mul"),
		},
	}
}

func negativeVariance(name string, variance float64, eps float32) Case {
	return Case{
		Name: "number/" + name, Why: "the root of what is not positive is no divisor",
		Model: build(13, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
			n.output(n.norm("bn", y, 4, Float("epsilon", eps)), 1, 4, 4, 4)
			n.init("bn_var").Data[2] = variance
		}),
		WantKept: kept("bn", fuse.ReasonVariance), NonFinite: true,
	}
}

func frozenNotFinite(name string, c float64) Case {
	return Case{
		Name: "number/" + name, Why: "the scale is not finite",
		Model: build(13, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
			n.output(n.node("Mul", "mul", in(y, n.values("c", shape(4, 1, 1), 1, 2, c, 4))), 1, 4, 4, 4)
		}),
		WantKept: kept("mul", fuse.ReasonNotFinite), NonFinite: true,
	}
}

// overflow has one weight that times its scale is too large for its type, and small inputs.
func overflow(name string, elem ElemType, weight, scale float64) Case {
	c := Case{
		Name: "number/weight overflows " + name, Why: "a finite weight would become infinite; with a small input the model's output is finite",
		Model: build(15, func(n *net) {
			n.elem = elem
			y := n.layer("Conv", "conv", n.input("x", 1, 1, 2, 2), shape(2, 1, 1, 1))
			n.init("conv_w").Data[1] = weight
			y = n.node("Mul", "mul", in(y, n.values("c", shape(2, 1, 1), 1, scale)))
			n.output(y, 1, 2, 2, 2)
		}),
		Inputs:   map[string]Array{"x": NewArray(elem, []int{1, 1, 2, 2}, 0.0009765625)},
		WantKept: kept("mul", fuse.ReasonOverflow),
	}
	if elem == BFloat16 {
		c.NoORT = "bfloat16 Conv"
	}
	return c
}

func biasOverflow() Case {
	return Case{
		Name: "number/bias overflows float16", Why: "the weights fit, 2·40000 does not",
		Model: build(15, func(n *net) {
			n.elem = Float16
			y := n.biased("Conv", "conv", n.input("x", 1, 1, 2, 2), shape(2, 1, 1, 1), shape(2))
			n.init("conv_b").Data[0] = 40000
			n.output(n.node("Mul", "mul", in(y, n.values("c", shape(2, 1, 1), 2, 1))), 1, 2, 2, 2)
		}),
		WantKept: kept("mul", fuse.ReasonOverflow), NoORT: "its own result is infinite",
	}
}

// addOverflow has two shifts behind a MatMul, the second the bias of a linear layer, whose sum does not fit.
func addOverflow() Case {
	return Case{
		Name: "number/shift and bias overflow float16", Why: "40000 + 40000 does not fit; with weights below −1 the outputs do",
		Model: build(15, func(n *net) {
			n.elem = Float16
			y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 2))
			y = n.node("Identity", "id", in(y))
			y = n.norm("bn", y, 2)
			n.init("bn_beta").Data[0] = 40000
			n.output(n.node("Add", "add", in(y, n.values("c", shape(2), 40000, 0))), 2, 2)
		}),
		WantFolded: folded("bn"), WantKept: kept("add", fuse.ReasonOverflow), NoORT: "its own result is infinite",
	}
}

// chainBiasFits has a bias that overflows half way and fits at the end. A runtime that rounds after every
// node makes the output infinite, one that keeps float32 between nodes does not.
func chainBiasFits() Case {
	return Case{
		Name: "number/bias fits after the chain", Why: "2·40000 does not fit, 2·40000 − 20000 does: both norms may fold, or none",
		Model: build(15, func(n *net) {
			n.elem = Float16
			y := n.biased("Conv", "conv", n.input("x", 1, 1, 2, 2), shape(2, 1, 1, 1), shape(2))
			n.init("conv_b").Data[0] = 40000
			y = n.node("Mul", "mul", in(y, n.values("c", shape(2, 1, 1), 2, 1)))
			n.output(n.node("Sub", "sub", in(y, n.values("d", shape(2, 1, 1), 20000, 0))), 1, 2, 2, 2)
		}),
		Either: folded("mul", "sub"),
	}
}

func underflow() Case {
	return Case{
		Name: "number/weight vanishes in float16", Why: "a weight too small for its type becomes 0: no more than the type can tell",
		Model: build(15, func(n *net) {
			n.elem = Float16
			y := n.layer("Conv", "conv", n.input("x", 1, 1, 2, 2), shape(2, 1, 1, 1))
			n.init("conv_w").Data[1] = 1e-5
			y = n.node("Mul", "mul", in(y, n.values("c", shape(2, 1, 1), 1, 1e-4)))
			n.output(y, 1, 2, 2, 2)
		}),
		WantFolded: folded("mul"),
	}
}
