package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// loopCases have layers and norms in the body of a Loop or a Scan. A body runs many times; its
// constants are the same each time.
func loopCases() []Case {
	return []Case{
		loop("own weight", "the body's weight is the same on every trip", func(b *net, x string) string {
			return b.norm("bn", b.layer("Conv", "conv", x, shape(3, 3, 1, 1)), 3)
		}),
		loop("outer weight", "a constant of the graph around", func(b *net, x string) string {
			y := b.norm("bn", b.layer("Conv", "conv", x, shape(3, 3, 1, 1)), 3)
			b.moveOut("conv_w")
			return y
		}),
		loop("Constant nodes", "a body has its own Constants", func(b *net, x string) string {
			y := b.norm("bn", b.layer("Conv", "conv", x, shape(3, 3, 1, 1)), 3)
			b.toConstants("conv_w", "bn_gamma", "bn_beta", "bn_mean", "bn_var")
			return y
		}),
		loop("norm of what is carried", "the body's input comes from the trip before", func(b *net, x string) string {
			y := b.norm("bn", x, 3)
			return b.node("Tanh", "tanh", in(y))
		}).keeping("bn", fuse.ReasonNoLayer),
		carriedWeight(),
		stackedOutput(),
		scanned(),
	}
}

// loop runs a body twice over one carried value of [1, 3, 4, 4].
func loop(name, why string, body func(b *net, x string) string) Case {
	return Case{
		Name: "loop/" + name, Why: why,
		Model: build(13, func(n *net) {
			x := n.input("x", 1, 3, 4, 4)
			g := n.body("body", func(b *net) {
				b.Inputs = append(b.Inputs, Val("trip", Int64), Val("going", Bool))
				y := body(b, b.input("carried", 1, 3, 4, 4))
				b.Outputs = append(b.Outputs, Val(b.node("Identity", "still", in("going")), Bool))
				b.output(y, 1, 3, 4, 4)
			})
			trips := n.integers("trips", 2)
			n.init(trips).Dims = nil
			n.output(n.node("Loop", "loop", in(trips, "", x), GraphAttr("body", g)), 1, 3, 4, 4)
		}),
		WantFolded: folded("bn"),
	}
}

// moveOut hands an initializer of the body to the model's graph.
func (n *net) moveOut(name string) {
	n.model.Graph.Init = append(n.model.Graph.Init, *n.init(name))
	n.drop(name)
}

// carriedWeight changes the weight from trip to trip.
func carriedWeight() Case {
	return Case{
		Name: "loop/carried weight", Why: "the weight starts as a constant and is another on the next trip",
		Model: build(13, func(n *net) {
			x, w := n.input("x", 1, 3, 4, 4), n.param("w", 3, 3, 1, 1)
			g := n.body("body", func(b *net) {
				b.Inputs = append(b.Inputs, Val("trip", Int64), Val("going", Bool))
				x, w := b.input("carried", 1, 3, 4, 4), b.input("weight", 3, 3, 1, 1)
				y := b.norm("bn", b.node("Conv", "conv", in(x, w)), 3)
				b.Outputs = append(b.Outputs, Val(b.node("Identity", "still", in("going")), Bool))
				b.output(y, 1, 3, 4, 4)
				b.output(b.node("Neg", "neg", in(w)), 3, 3, 1, 1)
			})
			trips := n.integers("trips", 2)
			n.init(trips).Dims = nil
			n.node("Loop", "loop", in(trips, "", x, w), GraphAttr("body", g))
			n.last().Out = []string{"y", "last_w"}
			n.output("y", 1, 3, 4, 4)
		}),
		WantKept: kept("bn", fuse.ReasonWeight),
	}
}

// stackedOutput gives the layer's output of every trip to the graph around.
func stackedOutput() Case {
	return Case{
		Name: "loop/layer's output is stacked", Why: "the graph around reads it as it is",
		Model: build(13, func(n *net) {
			x := n.input("x", 1, 3, 4, 4)
			g := n.body("body", func(b *net) {
				b.Inputs = append(b.Inputs, Val("trip", Int64), Val("going", Bool))
				y := b.layer("Conv", "conv", b.input("carried", 1, 3, 4, 4), shape(3, 3, 1, 1))
				z := b.norm("bn", y, 3)
				b.Outputs = append(b.Outputs, Val(b.node("Identity", "still", in("going")), Bool))
				b.output(z, 1, 3, 4, 4)
				b.output(y, 1, 3, 4, 4)
			})
			trips := n.integers("trips", 2)
			n.init(trips).Dims = nil
			n.node("Loop", "loop", in(trips, "", x), GraphAttr("body", g))
			n.last().Out = []string{"y", "raw"}
			n.output("y", 1, 3, 4, 4)
			n.output("raw", 2, 1, 3, 4, 4)
		}),
		WantKept: kept("bn", fuse.ReasonOutputShared),
	}
}

func scanned() Case {
	return Case{
		Name: "loop/Scan", Why: "a Scan's body is a graph with a layer and a norm in it",
		Model: build(13, func(n *net) {
			x := n.input("x", 3, 2, 4)
			g := n.body("body", func(b *net) {
				y := b.biased("Gemm", "fc", b.input("row", 2, 4), shape(5, 4), shape(5), Int("transB", 1))
				b.output(b.norm("bn", y, 5), 2, 5)
			})
			y := n.node("Scan", "scan", in(x), GraphAttr("body", g), Int("num_scan_inputs", 1))
			n.output(y, 3, 2, 5)
		}),
		WantFolded: folded("bn"),
	}
}
