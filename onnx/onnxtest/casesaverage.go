package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// averageCases have an operator between layer and norm that takes some of a channel's elements, or averages of them:
// the average of s·x + t is s·average + t.
func averageCases() []Case {
	after := func(name, why string, between func(n *net, y string) string, out ...any) Case {
		return Case{
			Name: "average/" + name, Why: why,
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 2, 3, 7, 7), shape(4, 3, 3, 3), shape(4))
				n.output(n.norm("bn", between(n, y), 4), out...)
			}),
			WantFolded: folded("bn"),
		}
	}
	before := func(name, why string, model func(n *net, x string) string, out ...any) Case {
		return Case{
			Name: "average/" + name, Why: why,
			Model: build(13, func(n *net) {
				n.output(model(n, n.norm("bn", n.input("x", 2, 3, 6, 6), 3)), out...)
			}),
			WantFolded: folded("bn"),
		}
	}
	pool := func(attrs ...Attr) func(n *net, y string) string {
		return func(n *net, y string) string {
			return n.node("AveragePool", "pool", in(y), append(attrs, Ints("kernel_shape", 2, 2), Ints("strides", 2, 2))...)
		}
	}
	slice := func(from, to, axes []float64) func(n *net, y string) string {
		return func(n *net, y string) string {
			args := in(y, n.integers("from", from...), n.integers("to", to...))
			if axes != nil {
				args = append(args, n.integers("axes", axes...))
			}
			return n.node("Slice", "slice", args)
		}
	}
	mean := func(keep int64, axes ...int64) func(n *net, y string) string {
		return func(n *net, y string) string {
			return n.node("ReduceMean", "mean", in(y), Ints("axes", axes...), Int("keepdims", keep))
		}
	}
	odd := func(c Case) Case { // what runtimes differ in, or one of them alone does, is not run
		c.NoEval, c.NoORT = "what a window at the border counts is left open", "what a window at the border counts is left open"
		return c
	}
	return []Case{
		after("AveragePool", "an average of the layer's outputs", pool(), 2, 4, 2, 2),
		after("AveragePool with pads", "the padding is not counted", pool(Ints("pads", 1, 1, 1, 1)), 2, 4, 3, 3),
		after("AveragePool that counts its pads", "the zeros have no norm", pool(Ints("pads", 1, 1, 1, 1), Int("count_include_pad", 1)), 2, 4, 3, 3).
			keeping("bn", fuse.ReasonAxis),
		after("AveragePool that would count pads", "there are none", pool(Int("count_include_pad", 1)), 2, 4, 2, 2),
		{
			Name: "average/one number behind counted pads", Why: "the zeros have not been raised; what was multiplied stays zero",
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 2, 3, 7, 7), shape(4, 3, 3, 3), shape(4))
				y = pool(Ints("pads", 1, 1, 1, 1), Int("count_include_pad", 1))(n, y)
				y = n.node("Mul", "mul", in(y, n.values("two", nil, 2)))
				n.output(n.node("Add", "add", in(y, n.values("three", nil, 3))), 2, 4, 3, 3)
			}),
			WantFolded: folded("mul"), WantKept: kept("add", fuse.ReasonAxis),
		}, {
			Name: "average/one number behind counted pads of other axes", Why: "it does not matter where the channels are",
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 2, 3, 8, 8), shape(4, 3, 3, 3), shape(4))
				y = n.node("Reshape", "reshape", in(y, n.integers("target", 2, 6, 4, 6)))
				y = pool(Ints("pads", 1, 1, 1, 1), Int("count_include_pad", 1))(n, y)
				n.output(n.node("Add", "add", in(y, n.values("three", nil, 3))), 2, 6, 3, 4)
			}),
			WantKept: kept("add", fuse.ReasonAxis),
		},
		odd(after("AveragePool, ceil_mode", "runtimes differ in what the last window counts", pool(Int("ceil_mode", 1)), 2, 4, 3, 3).
			keeping("bn", fuse.ReasonAxis)),
		after("GlobalAveragePool", "an average of all positions", func(n *net, y string) string {
			return n.node("GlobalAveragePool", "pool", in(y))
		}, 2, 4, 1, 1),
		after("GlobalAveragePool, Flatten", "the columns are the channels", func(n *net, y string) string {
			return n.node("Flatten", "flat", in(n.node("GlobalAveragePool", "pool", in(y))))
		}, 2, 4),
		after("ReduceMean", "an average of all positions", mean(1, 2, 3), 2, 4, 1, 1),
		after("ReduceMean without the axes", "what is left is the batch and the channels", mean(0, -1, -2), 2, 4),
		after("ReduceMean over the height", "the width stays behind the channels", mean(0, 2), 2, 4, 5),
		{
			Name: "average/ReduceMean over the channels", Why: "an average of all channels is no channel's; axis 1 is the height then",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 2, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", mean(0, 1)(n, y), 4), 2, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		},
		after("Slice of positions", "some of every channel's elements", slice([]float64{0, 1}, []float64{-2, 4}, []float64{3, -2}), 2, 4, 3, 3),
		after("Slice of positions, Reshape", "the sizes behind the channels are known", func(n *net, y string) string {
			y = slice([]float64{0, -3}, []float64{1 << 31, 9}, []float64{0, 3})(n, y)
			return n.node("Reshape", "reshape", in(y, n.integers("target", 2, 4, -1)))
		}, 2, 4, 15),
		after("Slice with steps, Reshape", "every second column", func(n *net, y string) string {
			y = n.node("Slice", "slice", in(y, n.integers("from", 1), n.integers("to", -1), n.integers("axes", 3), n.integers("steps", 2)))
			return n.node("Reshape", "reshape", in(y, n.integers("target", 2, 4, -1)))
		}, 2, 4, 10),
		after("Slice of images, Reshape", "one image is left, whose positions become rows", func(n *net, y string) string {
			y = slice([]float64{1}, []float64{2}, []float64{0})(n, y)
			return n.node("Reshape", "reshape", in(y, n.integers("target", 25, 4, -1)))
		}, 25, 4, 1).keeping("bn", fuse.ReasonAxis),
		{
			Name: "average/Slice of channels", Why: "the norm is over the channels that are left",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 2, 3, 6, 6), shape(8, 3, 3, 3))
				n.output(n.norm("bn", slice([]float64{2}, []float64{6}, []float64{1})(n, y), 4), 2, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "average/Slice without axes", Why: "it is of the first axes, the channels among them",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 2, 3, 6, 6), shape(8, 3, 3, 3))
				n.output(n.norm("bn", slice([]float64{0, 2}, []float64{2, 6}, nil)(n, y), 4), 2, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "average/Slice of opset 9", Why: "the axes are an attribute",
			Model: build(9, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 2, 3, 6, 6), shape(4, 3, 3, 3))
				y = n.node("Slice", "slice", in(y), Ints("starts", 1), Ints("ends", 3), Ints("axes", 2))
				n.output(n.norm("bn", y, 4), 2, 4, 2, 4)
			}),
			WantFolded: folded("bn"),
		},
		before("norm, GlobalAveragePool, Flatten, Gemm", "the columns are the channels", func(n *net, x string) string {
			y := n.node("Flatten", "flat", in(n.node("GlobalAveragePool", "pool", in(x))))
			return n.biased("Gemm", "fc", y, shape(5, 3), shape(5), Int("transB", 1))
		}, 2, 5),
		before("norm, ReduceMean, Gemm", "the columns are the channels", func(n *net, x string) string {
			return n.biased("Gemm", "fc", mean(0, 2, 3)(n, x), shape(3, 5), shape(5))
		}, 2, 5),
		before("norm, AveragePool, Conv", "an average of the norm's outputs", func(n *net, x string) string {
			return n.layer("Conv", "conv", pool()(n, x), shape(5, 3, 2, 2))
		}, 2, 5, 2, 2),
		before("norm, Slice, Conv", "some of every channel's elements", func(n *net, x string) string {
			return n.layer("Conv", "conv", slice([]float64{1}, []float64{5}, []float64{2})(n, x), shape(5, 3, 2, 2))
		}, 2, 5, 3, 5),
		{
			Name: "average/norm, ReduceMean over the batch, Conv", Why: "the channels are the first axis then",
			Model: build(13, func(n *net) {
				y := mean(0, 0)(n, n.norm("bn", n.input("x", 2, 3, 3, 6, 6), 3))
				n.output(n.layer("Conv", "conv", y, shape(5, 3, 2, 2)), 3, 5, 5, 5)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		},
	}
}
