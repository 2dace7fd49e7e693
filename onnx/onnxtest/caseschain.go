package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// chainCases are several norms in a row, which compose: (s₂·s₁, s₂·t₁ + t₂).
func chainCases() []Case {
	after := func(name, why string, body func(n *net, y string) string, names ...string) Case {
		return Case{
			Name: "chain/" + name, Why: why,
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
				n.output(body(n, y), 1, 4, 4, 4)
			}),
			WantFolded: names,
		}
	}
	const why = "maps of one channel compose to a map of one channel"
	return []Case{
		after("two norms", why, func(n *net, y string) string {
			return n.norm("bn2", n.norm("bn1", y, 4), 4)
		}, "bn1", "bn2"),
		after("three norms", why, func(n *net, y string) string {
			return n.norm("bn3", n.norm("bn2", n.norm("bn1", y, 4), 4), 4)
		}, "bn1", "bn2", "bn3"),
		after("norm, Mul, Add", "as Caffe's BatchNorm and Scale are converted", func(n *net, y string) string {
			y = n.by("Mul", "mul", n.norm("bn", y, 4), shape(1, 4, 1, 1))
			return n.by("Add", "add", y, shape(1, 4, 1, 1))
		}, "bn", "mul", "add"),
		after("Mul, Add, norm", why, func(n *net, y string) string {
			y = n.by("Add", "add", n.by("Mul", "mul", y, shape(4, 1, 1)), shape(4, 1, 1))
			return n.norm("bn", y, 4)
		}, "mul", "add", "bn"),
		after("c − y, norm, Div", why, func(n *net, y string) string {
			y = n.node("Sub", "sub", in(n.param("c", 4, 1, 1), y))
			return n.by("Div", "div", n.norm("bn", y, 4), shape(4, 1, 1))
		}, "sub", "bn", "div"),
		after("Identity and Dropout between", "what does nothing may stand anywhere in the chain", func(n *net, y string) string {
			y = n.norm("bn1", n.node("Identity", "same1", in(y)), 4)
			y = n.norm("bn2", n.node("Dropout", "drop", in(y)), 4)
			return n.node("Identity", "same2", in(y))
		}, "bn1", "bn2"),
		after("norm and scalar", "a scalar composes with a norm", func(n *net, y string) string {
			return n.by("Mul", "mul", n.norm("bn", y, 4), shape())
		}, "bn", "mul"),
		{
			Name: "chain/two norms before", Why: why,
			Model: build(13, func(n *net) {
				y := n.norm("bn2", n.norm("bn1", n.input("x", 1, 3, 6, 6), 3), 3)
				n.output(n.layer("Conv", "conv", y, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn1", "bn2"),
		}, {
			Name: "chain/three layers", Why: "each norm goes into the layer before it, none into a neighbour's share",
			Model: build(13, func(n *net) {
				y := n.norm("bn1", n.layer("Conv", "conv1", n.input("x", 1, 3, 7, 7), shape(4, 3, 3, 3)), 4)
				y = n.norm("bn2", n.layer("Conv", "conv2", y, shape(5, 4, 3, 3), Ints("pads", 1, 1, 1, 1)), 5)
				n.output(n.norm("bn3", n.layer("Conv", "conv3", y, shape(2, 5, 3, 3)), 2), 1, 2, 3, 3)
			}),
			WantFolded: folded("bn1", "bn2", "bn3"),
		}, {
			Name: "chain/first output read elsewhere", Why: "the first norm folds; the second's neighbour is then a layer whose output is shared",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				y = n.norm("bn1", y, 4)
				n.output(n.node("Relu", "relu", in(y)), 1, 4, 4, 4)
				n.output(n.norm("bn2", y, 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn1"), WantKept: kept("bn2", fuse.ReasonOutputShared),
		}, {
			Name: "chain/first kept", Why: "the first trains; the second has no layer beside it",
			Model: build(14, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				y = n.norm("bn1", y, 4, Int("training_mode", 1))
				n.last().Out = append(n.last().Out, "mean", "var")
				n.output(n.norm("bn2", y, 4), 1, 4, 4, 4)
			}),
			WantKept: map[string]fuse.Reason{"bn1": fuse.ReasonTraining, "bn2": fuse.ReasonNoLayer},
		}, {
			Name: "chain/second kept", Why: "the first folds; the second's variance is negative",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				y = n.norm("bn2", n.norm("bn1", y, 4), 4)
				n.init("bn2_var").Data = []float64{1, -1, 1, 1}
				n.output(y, 1, 4, 4, 4)
			}),
			WantFolded: folded("bn1"), WantKept: kept("bn2", fuse.ReasonVariance), NonFinite: true,
		}, {
			Name: "chain/product of scales overflows", Why: "each scale is finite and their product is not; with one of them folded, a second run would find the other",
			Model: build(13, func(n *net) {
				n.elem = Float64
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(1, 3, 3, 3))
				for i := range n.Init[0].Data {
					n.Init[0].Data[i] = 1e-300 // so that what is computed stays finite
				}
				y = n.node("Mul", "mul1", in(y, n.values("c1", shape(), 1e200)))
				n.output(n.node("Mul", "mul2", in(y, n.values("c2", shape(), 1e200))), 1, 1, 4, 4)
			}),
			WantKept: map[string]fuse.Reason{"mul1": fuse.ReasonNotFinite, "mul2": fuse.ReasonNotFinite}, NoORT: "float64 Conv",
		},
	}
}
