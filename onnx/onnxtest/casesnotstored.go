package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// constantWeightCases reach the weight through other nodes.
func constantWeightCases() []Case {
	weight := func(name, why string, body func(n *net) string) Case {
		return Case{
			Name: "constant/weight " + name, Why: why,
			Model: build(13, func(n *net) {
				x := n.input("x", 1, 3, 6, 6)
				y := n.node("Conv", "conv", in(x, body(n)))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}
	}
	return []Case{
		weight("through Identity", "a copy is folded where it is stored", func(n *net) string {
			return n.node("Identity", "same", in(n.param("w", 4, 3, 3, 3)))
		}),
		weight("through two Identities", "a copy is folded where it is stored", func(n *net) string {
			return n.node("Identity", "same2", in(n.node("Identity", "same1", in(n.param("w", 4, 3, 3, 3)))))
		}),
		weight("through Reshape", "the same numbers, which small constant arithmetic gives", func(n *net) string {
			return n.node("Reshape", "reshape", in(n.param("w", 4, 27), n.integers("to", 4, 3, 3, 3)))
		}).eitherWay(),
		weight("through Transpose", "stored with the output channel last, as TensorFlow does", func(n *net) string {
			return n.node("Transpose", "transpose", in(n.param("w", 3, 3, 3, 4)), Ints("perm", 3, 2, 0, 1))
		}).eitherWay(),
		weight("through Cast", "stored in half precision: the folded weight is of the type it is used in", func(n *net) string {
			n.elem = Float16
			w := n.param("w", 4, 3, 3, 3)
			n.elem = Float32
			return n.node("Cast", "cast", in(w), Int("to", int64(Float32)))
		}).eitherWay(),
		weight("scaled by a constant", "weight decay or equalized learning rates: a constant times a constant", func(n *net) string {
			return n.node("Mul", "lr", in(n.param("w", 4, 3, 3, 3), n.values("c", shape(), 0.5)))
		}).eitherWay(),
		{
			Name: "constant/bias through Identity and Reshape", Why: "a bias is small, and constant",
			Model: build(13, func(n *net) {
				x := n.input("x", 1, 3, 6, 6)
				b := n.node("Reshape", "reshape", in(n.param("b", 1, 4), n.integers("to", -1)))
				b = n.node("Identity", "same", in(b))
				y := n.node("Conv", "conv", in(x, n.param("w", 4, 3, 3, 3), b))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		},
	}
}

// notConstantCases look constant and are not, or are constants the design leaves alone.
func notConstantCases() []Case {
	ofShape := func(name string, reason fuse.Reason, which int) Case {
		return Case{
			Name: "constant/" + name + " by ConstantOfShape", Why: "a tensor that is made when the model runs is not stored",
			Model: build(13, func(n *net) {
				made := func(dims ...float64) string {
					value := TensorAttr("value", NewTensor("", Float32, shape(1), 0.5))
					return n.node("ConstantOfShape", "made", in(n.integers("dims", dims...)), value)
				}
				inputs := in(n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3), n.param("b", 4))
				switch which {
				case 1:
					inputs[1] = made(4, 3, 3, 3)
				case 2:
					inputs[2] = made(4)
				}
				params := n.normIn("bn", n.node("Conv", "conv", inputs), 4)
				if which == 3 {
					params[1] = made(4)
				}
				n.output(n.node("BatchNormalization", "bn", params), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", reason),
		}
	}
	computed := func(name string, which int) Case {
		return Case{
			Name: "constant/norm's " + name + " computed", Why: "an activation is not constant",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				params := n.normIn("bn", y, 4)
				params[which] = n.node("Abs", "abs", in(n.input("p", 4)))
				n.output(n.node("BatchNormalization", "bn", params), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonNormParams),
		}
	}
	return []Case{
		ofShape("weight", fuse.ReasonWeight, 1),
		ofShape("bias", fuse.ReasonBias, 2),
		ofShape("norm's scale", fuse.ReasonNormParams, 3),
		computed("scale", 1), computed("shift", 2), computed("mean", 3), computed("variance", 4),
		{
			Name: "constant/weight computed", Why: "a weight that is an activation cannot be scaled",
			Model: build(13, func(n *net) {
				w := n.node("Tanh", "tanh", in(n.input("w", 4, 3, 3, 3)))
				y := n.node("Conv", "conv", in(n.input("x", 1, 3, 6, 6), w))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonWeight),
		}, {
			Name: "constant/bias computed", Why: "s·b cannot be computed",
			Model: build(13, func(n *net) {
				b := n.node("Tanh", "tanh", in(n.input("b", 4)))
				y := n.node("Conv", "conv", in(n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3), b))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonBias),
		}, {
			Name: "constant/arithmetic by another operator", Why: "Abs of a constant is constant, but not of the arithmetic that is looked into",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.node("Mul", "mul", in(y, n.node("Abs", "abs", in(n.param("c", 4, 1, 1))))), 1, 4, 4, 4)
			}),
			Either: folded("mul"),
		},
	}
}
