package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// frozenCases are norms written out as Mul, Add, Sub and Div by constants, as frozen batch norms are
// exported, after a Conv with output [1, 4, 4, 4] (channel axis and width are equally long).
func frozenCases() []Case {
	after := func(name, why string, norm func(n *net, y string) string) Case {
		return Case{
			Name: "frozen/" + name, Why: why,
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
				n.output(norm(n, y), 1, 4, 4, 4)
			}),
		}
	}
	fold := func(c Case, names ...string) Case {
		c.WantFolded = names
		return c
	}
	keep := func(c Case, name string, reason fuse.Reason) Case {
		c.WantKept = kept(name, reason)
		return c
	}
	const perChannel = "the constants vary along axis 1 only"
	return []Case{
		fold(after("Mul, Add [C,1,1]", perChannel, func(n *net, y string) string {
			return n.by("Add", "add", n.by("Mul", "mul", y, shape(4, 1, 1)), shape(4, 1, 1))
		}), "mul", "add"),
		fold(after("Mul, Add [1,C,1,1]", perChannel, func(n *net, y string) string {
			return n.by("Add", "add", n.by("Mul", "mul", y, shape(1, 4, 1, 1)), shape(1, 4, 1, 1))
		}), "mul", "add"),
		fold(after("Sub, Div, Mul, Add", "the norm's own formula, with the root taken", func(n *net, y string) string {
			y = n.by("Div", "div", n.by("Sub", "sub", y, shape(4, 1, 1)), shape(4, 1, 1))
			return n.by("Add", "add", n.by("Mul", "mul", y, shape(1, 4, 1, 1)), shape(4, 1, 1))
		}), "sub", "div", "mul", "add"),
		fold(after("constants first", "c·y = y·c and c + y = y + c", func(n *net, y string) string {
			n.between("c", 0.5, 1.5, shape(4, 1, 1))
			y = n.node("Mul", "mul", in("c", y))
			return n.node("Add", "add", in(n.param("d", 4, 1, 1), y))
		}), "mul", "add"),
		fold(after("Mul alone", "a scale without shift", func(n *net, y string) string {
			return n.by("Mul", "mul", y, shape(4, 1, 1))
		}), "mul"),
		fold(after("Add alone", "a shift without scale", func(n *net, y string) string {
			return n.by("Add", "add", y, shape(4, 1, 1))
		}), "add"),
		fold(after("Sub alone", "a negative shift", func(n *net, y string) string {
			return n.by("Sub", "sub", y, shape(4, 1, 1))
		}), "sub"),
		fold(after("Div alone", "a scale of 1/c", func(n *net, y string) string {
			return n.by("Div", "div", y, shape(4, 1, 1))
		}), "div"),
		fold(after("c − y", "a scale of −1 and a shift of c", func(n *net, y string) string {
			return n.node("Sub", "sub", in(n.param("c", 4, 1, 1), y))
		}), "sub"),
		fold(after("1 − y", "a scale of −1 and a shift of 1", func(n *net, y string) string {
			return n.node("Sub", "sub", in(n.values("c", shape(), 1), y))
		}), "sub"),
		fold(after("Mul by zero", "a scale of 0 leaves the bias: a channel pruned", func(n *net, y string) string {
			return n.node("Mul", "mul", in(y, n.values("c", shape(4, 1, 1), 1, 0, -2, 0)))
		}), "mul"),
		fold(after("Mul by a negative", "a scale may have any sign", func(n *net, y string) string {
			return n.node("Mul", "mul", in(y, n.values("c", shape(4, 1, 1), -1, -2, -3, -4)))
		}), "mul"),
		fold(after("scalar []", "one number for every channel", func(n *net, y string) string {
			return n.by("Add", "add", n.by("Mul", "mul", y, shape()), shape())
		}), "mul", "add"),
		fold(after("scalar [1]", "one number for every channel", func(n *net, y string) string {
			return n.by("Sub", "sub", n.by("Div", "div", y, shape(1)), shape(1))
		}), "div", "sub"),
		fold(after("scalar [1,1,1,1]", "one number for every channel, of the output's rank", func(n *net, y string) string {
			return n.by("Add", "add", n.by("Mul", "mul", y, shape(1, 1, 1, 1)), shape(1, 1, 1, 1))
		}), "mul", "add"),
		fold(after("Mul before an activation", "the Mul is the layer's neighbour", func(n *net, y string) string {
			return n.node("Relu", "relu", in(n.by("Mul", "mul", y, shape(4, 1, 1))))
		}), "mul"),

		keep(after("Div by zero in one channel", "1/0 is no scale", func(n *net, y string) string {
			return n.node("Div", "div", in(y, n.values("c", shape(4, 1, 1), 1, 0, 2, 3)))
		}), "div", fuse.ReasonDivision).infinite(),
		keep(after("Div by a scalar zero", "1/0 is no scale", func(n *net, y string) string {
			return n.node("Div", "div", in(y, n.values("c", shape(), 0)))
		}), "div", fuse.ReasonDivision).infinite(),
		keep(after("c ÷ y", "the reciprocal is not affine", func(n *net, y string) string {
			n.init("conv_b").Data = []float64{30, 40, -30, -40} // far from a division by zero
			return n.node("Div", "div", in(n.param("c", 4, 1, 1), y))
		}), "div", fuse.ReasonDivision),
		keep(after("y · y", "a square is not affine", func(n *net, y string) string {
			return n.node("Mul", "mul", in(y, y))
		}), "mul", ""),
		keep(after("y − y", "both operands are the layer's output", func(n *net, y string) string {
			return n.node("Sub", "sub", in(y, y))
		}), "sub", ""),
		squeezeExcite(),
		fold(Case{
			Name: "frozen/1d, [C,1]", Why: "an output of rank 3 has its channels second from the end",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6), shape(4, 3, 3))
				y = n.by("Mul", "mul", y, shape(4, 1))
				n.output(n.by("Add", "add", y, shape(1, 4, 1)), 1, 4, 4)
			}),
		}, "mul", "add"),
		fold(Case{
			Name: "frozen/3d, [C,1,1,1]", Why: "an output of rank 5 has its channels fourth from the end",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 3, 3, 3), shape(4, 3, 2, 2, 2))
				y = n.by("Mul", "mul", y, shape(4, 1, 1, 1))
				n.output(n.by("Sub", "sub", y, shape(4, 1, 1, 1)), 1, 4, 2, 2, 2)
			}),
		}, "mul", "sub"),
		fold(Case{
			Name: "frozen/ConvTranspose with groups", Why: "constants per output channel go to the weight's groups",
			Model: build(13, func(n *net) {
				y := n.layer("ConvTranspose", "deconv", n.input("x", 1, 4, 3, 3), shape(4, 3, 2, 2), Int("group", 2))
				y = n.by("Mul", "mul", y, shape(6, 1, 1))
				n.output(n.by("Add", "add", y, shape(6, 1, 1)), 1, 6, 4, 4)
			}),
		}, "mul", "add"),
	}
}

func (c Case) infinite() Case {
	c.NonFinite = true
	return c
}

// squeezeExcite scales the channels by what the network computes.
func squeezeExcite() Case {
	return Case{
		Name: "frozen/squeeze and excite", Why: "the scale per channel is an activation",
		Model: build(13, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
			gate := n.node("GlobalAveragePool", "pool", in(y))
			gate = n.node("Sigmoid", "gate", in(gate))
			n.output(n.node("Mul", "mul", in(y, gate)), 1, 4, 4, 4)
		}),
		WantKept: kept("mul", ""),
	}
}
