package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// branch is a body without inputs that gives one output, shaped like the named value.
func (n *net) branch(like string, body func(b *net) string) Graph {
	return n.body("branch_of_"+like, func(b *net) {
		y := body(b)
		b.Outputs = append(b.Outputs, Value{Name: y, Elem: n.elem, Unranked: true})
	})
}

// ifElse adds an If on a graph input, and makes its output the graph's.
func (n *net) ifElse(name string, then, otherwise Graph) {
	n.Inputs = append(n.Inputs, Val("cond", Bool))
	y := n.node("If", name, in("cond"), GraphAttr("then_branch", then), GraphAttr("else_branch", otherwise))
	n.output(y, nil, nil, nil, nil)
}

// ifCases have layers and norms in the branches of an If.
func ifCases() []Case {
	in2 := func(name, why string, body func(n *net)) Case {
		return Case{Name: "if/" + name, Why: why, Model: build(13, body)}
	}
	fold := func(c Case, names ...string) Case {
		c.WantFolded = names
		return c
	}
	conv := func(b *net, name, x, w string) string { return b.node("Conv", name, in(x, w)) }
	negX := func(b *net) string { return b.node("Neg", "neg", in("x")) }

	ownWeights := func(n *net) {
		x := n.input("x", 1, 3, 6, 6)
		n.ifElse("if",
			n.branch("x", func(b *net) string { return b.norm("bn1", conv(b, "conv1", x, b.param("w1", 4, 3, 3, 3)), 4) }),
			n.branch("x", func(b *net) string { return b.norm("bn2", conv(b, "conv2", x, b.param("w2", 4, 3, 3, 3)), 4) }))
	}
	sharedWeight := func(n *net) {
		x, w := n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3)
		n.ifElse("if",
			n.branch("x", func(b *net) string { return b.norm("bn1", conv(b, "conv1", x, w), 4) }),
			n.branch("x", func(b *net) string { return b.norm("bn2", conv(b, "conv2", x, w), 4) }))
	}
	cases := []Case{
		fold(in2("own weights", "a branch is a graph with a layer and a norm in it", ownWeights), "bn1", "bn2"),
		fold(in2("outer weight of both branches", "each layer gets a weight of its own", sharedWeight), "bn1", "bn2"),
		fold(in2("outer weight and norm", "constants of the graph around are constants", func(n *net) {
			x, w := n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3)
			params := n.normIn("bn", "", 4)[1:]
			n.ifElse("if", n.branch("x", func(b *net) string {
				return b.node("BatchNormalization", "bn", append(in(conv(b, "conv", x, w)), params...))
			}), n.branch("x", negX))
		}), "bn"),
		fold(in2("outer weight that the outer graph uses", "the outer layer keeps the old weight", func(n *net) {
			x, w := n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3)
			n.output(conv(n, "outer", x, w), 1, 4, 4, 4)
			n.ifElse("if", n.branch("x", func(b *net) string { return b.norm("bn", conv(b, "conv", x, w), 4) }), n.branch("x", negX))
		}), "bn"),
		fold(in2("weight that a branch uses, folded outside", "the branch keeps the old weight", func(n *net) {
			x, w := n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3)
			n.output(n.norm("bn", conv(n, "outer", x, w), 4), 1, 4, 4, 4)
			n.ifElse("if", n.branch("x", func(b *net) string { return conv(b, "conv", x, w) }), n.branch("x", negX))
		}), "bn"),
		fold(in2("Constant nodes in the branch", "a branch has its own Constants", func(n *net) {
			x := n.input("x", 1, 3, 6, 6)
			n.ifElse("if", n.branch("x", func(b *net) string {
				y := b.norm("bn", conv(b, "conv", x, b.param("w", 4, 3, 3, 3)), 4)
				b.toConstants("w", "bn_gamma", "bn_beta", "bn_mean", "bn_var")
				return y
			}), n.branch("x", negX))
		}), "bn"),
		fold(in2("branch in a branch", "graphs nest", func(n *net) {
			x, w := n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3)
			deep := n.branch("x", func(b *net) string {
				then := b.branch("x", func(b *net) string { return b.norm("bn", conv(b, "conv", x, w), 4) })
				return b.node("If", "inner", in("cond"), GraphAttr("then_branch", then), GraphAttr("else_branch", b.branch("x", negX)))
			})
			n.ifElse("if", deep, n.branch("x", func(b *net) string { return b.node("Abs", "abs", in("x")) }))
		}), "bn"),

		in2("layer outside, norm inside", "the branch reads the layer's output by its name; the other branch does too", func(n *net) {
			y := conv(n, "conv", n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3))
			n.ifElse("if", n.branch("x", func(b *net) string { return b.norm("bn", y, 4) }),
				n.branch("x", func(b *net) string { return b.node("Neg", "neg", in(y)) }))
		}).keeping("bn", ""),
		in2("layer inside, norm outside", "the If gives one of two outputs", func(n *net) {
			x := n.input("x", 1, 3, 6, 6)
			n.ifElse("if", n.branch("x", func(b *net) string { return conv(b, "conv", x, b.param("w", 3, 3, 3, 3)) }), n.branch("x", negX))
			n.Outputs = nil
			n.output(n.norm("bn", "if_out", 3), nil, 3, nil, nil)
		}).keeping("bn", fuse.ReasonNoLayer),
		in2("layer's output is the branch's too", "the graph around reads it as it is", func(n *net) {
			x := n.input("x", 1, 3, 6, 6)
			two := func(b *net, first, second string) {
				for _, name := range []string{first, second} {
					b.Outputs = append(b.Outputs, Value{Name: name, Elem: Float32, Unranked: true})
				}
			}
			then := n.body("then", func(b *net) {
				y := conv(b, "conv", x, b.param("w", 4, 3, 3, 3))
				two(b, b.norm("bn", y, 4), y)
			})
			otherwise := n.body("else", func(b *net) { two(b, b.node("Neg", "neg1", in(x)), b.node("Neg", "neg2", in(x))) })
			n.ifElse("if", then, otherwise)
			n.last().Out = []string{"if_out", "raw"}
			n.output("raw", nil, nil, nil, nil)
		}).keeping("bn", fuse.ReasonOutputShared),
		in2("weight of the branch is overridable outside", "the caller may give another weight", func(n *net) {
			x, w := n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3)
			n.overridable(w)
			n.ifElse("if", n.branch("x", func(b *net) string { return b.norm("bn", conv(b, "conv", x, w), 4) }), n.branch("x", negX))
		}).keeping("bn", fuse.ReasonOverridable),
		fold(in2("weight's name shadows an outer one", "inside, the name means the branch's own weight; outside, the graph's", func(n *net) {
			x, w := n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3)
			n.output(conv(n, "outer", x, w), 1, 4, 4, 4)
			n.ifElse("if", n.branch("x", func(b *net) string {
				b.between(w, 2, 3, shape(4, 3, 3, 3))
				return b.norm("bn", conv(b, "conv", x, w), 4)
			}), n.branch("x", negX))
		})),
	}
	shadow := &cases[len(cases)-1]
	shadow.Either = folded("bn")
	return append(cases, ifIR3())
}

// ifIR3 has its initializers listed as inputs; branches have none of their own, since they have no inputs.
func ifIR3() Case {
	return Case{
		Name: "if/IR 3", Why: "before IR 4 the inputs' initializers are constants, for a branch too",
		Model: build(9, func(n *net) {
			n.model.IR = 3
			x, w := n.input("x", 1, 3, 6, 6), n.param("w", 3, 3, 1, 1)
			params := n.normIn("bn", "", 3)[1:]
			n.ifElse("if", n.branch("x", func(b *net) string {
				y := b.node("Conv", "conv", in(x, w))
				return b.node("BatchNormalization", "bn", append(in(y), params...))
			}), n.branch("x", func(b *net) string { return b.node("Neg", "neg", in(x)) }))
		}),
		WantFolded: folded("bn"),
	}
}
