package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// broadcastCases are Mul and Add after a Conv by constants that are not one number a channel.
func broadcastCases() []Case {
	after := func(name, why string, x []any, weight []int64, constant []int64, out ...any) Case {
		return Case{
			Name: "broadcast/" + name, Why: why,
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", x...), weight)
				n.output(n.by("Mul", "mul", y, constant), out...)
			}),
			WantKept: kept("mul", fuse.ReasonBroadcast),
		}
	}
	// expanded is a Mul by a constant that Expand made of a number a channel.
	expanded := func(name, why string, x []any, to []float64, out ...any) Case {
		return Case{
			Name: "broadcast/" + name, Why: why,
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", x...), shape(4, 3, 3, 3))
				c := n.node("Expand", "c", in(n.param("few", 4, 1, 1), n.integers("to", to...)))
				n.output(n.node("Mul", "mul", in(y, c)), out...)
			}),
			WantFolded: folded("mul"),
		}
	}
	image, weight := []any{1, 3, 6, 6}, shape(4, 3, 3, 3) // output [1, 4, 4, 4]
	return []Case{
		after("[C] against NCHW", "a vector lies along the width, which is by chance as long", image, weight,
			shape(4), 1, 4, 4, 4),
		after("[C,1] against NCHW", "the constant lies along the height", image, weight,
			shape(4, 1), 1, 4, 4, 4),
		after("[1,C] against NCHW", "the constant lies along the width", image, weight,
			shape(1, 4), 1, 4, 4, 4),
		after("[C,1,1,1]", "the constant lies along the batch, which it stretches to 4", image, weight,
			shape(4, 1, 1, 1), 4, 4, 4, 4),
		after("[N,C,1,1]", "each element of the batch has constants of its own", []any{2, 3, 6, 6}, weight,
			shape(2, 4, 1, 1), 2, 4, 4, 4),
		after("[N,1,1,1]", "each element of the batch has a constant of its own", []any{2, 3, 6, 6}, weight,
			shape(2, 1, 1, 1), 2, 4, 4, 4),
		after("[1,C,H,W]", "each position has a constant of its own", image, weight,
			shape(1, 4, 4, 4), 1, 4, 4, 4),
		after("[C,1,W]", "the constant varies along the width too", image, weight,
			shape(4, 1, 4), 1, 4, 4, 4),
		after("[1,1,C,1,1]", "the constant makes the result rank 5", image, weight,
			shape(1, 1, 4, 1, 1), 1, 1, 4, 4, 4),
		after("[1,1,1,1,1]", "one number, but the result is of rank 5", image, weight,
			shape(1, 1, 1, 1, 1), 1, 1, 4, 4, 4),
		after("[1,C,1,1] against NCL", "the constant makes the result rank 4, with the channels of the constant along the batch's place",
			[]any{4, 3, 6}, shape(4, 3, 3), shape(1, 4, 1, 1), 1, 4, 4, 4),
		after("[C,1,1] against one channel", "the constant stretches one channel to four", image, shape(1, 3, 3, 3),
			shape(4, 1, 1), 1, 4, 4, 4),
		after("[1,4,1,1] against one channel", "the constant stretches one channel to four", image, shape(1, 3, 3, 3),
			shape(1, 4, 1, 1), 1, 4, 4, 4),
		after("[1,1,2] against width 1", "the constant stretches the width", []any{1, 3, 3, 3}, weight,
			shape(1, 1, 2), 1, 4, 1, 2),
		expanded("[1,C,H,W] of one number a channel", "it says no more than [1,C,1,1] would", []any{1, 3, 6, 6}, []float64{1, 4, 4, 4}, 1, 4, 4, 4),
		expanded("[N,C,1,1] of equal rows", "every element of the batch has the same constants", []any{2, 3, 6, 6}, []float64{2, 4, 1, 1}, 2, 4, 4, 4),
		expanded("[1,C,H,W] of one number a channel, unknown height", "a height of 1 would become 4", []any{1, 3, "H", 6}, []float64{1, 4, 4, 4}, 1, 4, 4, 4).
			with("x", NewArray(Float32, []int{1, 3, 3, 6}, 0.5)).keeping("mul", fuse.ReasonBroadcast),
		{
			Name: "broadcast/[1,C,H,W] of one number a channel, before a Conv", Why: "it says no more than [1,C,1,1] would",
			Model: build(13, func(n *net) {
				c := n.node("Expand", "c", in(n.param("few", 3, 1, 1), n.integers("to", 1, 3, 6, 6)))
				y := n.node("Mul", "mul", in(c, n.input("x", 1, 3, 6, 6)))
				n.output(n.layer("Conv", "conv", y, shape(4, 3, 3, 3)), 1, 4, 4, 4)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "broadcast/Add [C] against NCHW", Why: "a vector lies along the width",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.by("Add", "add", y, shape(4)), 1, 4, 4, 4)
			}),
			WantKept: kept("add", fuse.ReasonBroadcast),
		}, {
			Name: "broadcast/[1,1,1] of one channel", Why: "a constant of one element, of lower rank, is one number for the one channel",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(1, 3, 3, 3))
				n.output(n.by("Mul", "mul", y, shape(1, 1, 1)), 1, 1, 4, 4)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "broadcast/[4] of equal numbers", Why: "the constant does not vary, and the width is known to be 4",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.node("Mul", "mul", in(y, n.values("c", shape(4), 2, 2, 2, 2))), 1, 4, 4, 4)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "broadcast/[4] of equal numbers, unknown width", Why: "a width of 1 would become 4",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, "W"), shape(4, 3, 3, 3))
				n.output(n.node("Mul", "mul", in(y, n.values("c", shape(4), 2, 2, 2, 2))), 1, 4, 4, "V")
			}),
			Inputs:   map[string]Array{"x": NewArray(Float32, []int{1, 3, 6, 3}, 0.5)},
			WantKept: kept("mul", fuse.ReasonBroadcast),
		}, {
			Name: "broadcast/kept, then a norm", Why: "the norm's neighbour is the Mul that stays",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				y = n.by("Mul", "mul", y, shape(4))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantKept: map[string]fuse.Reason{"mul": fuse.ReasonBroadcast, "bn": fuse.ReasonNoLayer},
		},
	}
}
