package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// wayCases have operators that move elements between a norm and the layer behind it.
func wayCases() []Case {
	return append(append(flattenedCases(), movedCases()...), unrankedCases()...)
}

// toGemm is a norm over 3 channels of x [2, 3, 2, 2], whatever way to rows of 12, and a Gemm.
func toGemm(name, why string, way func(n *net, y string) string) Case {
	return Case{
		Name: "way/" + name, Why: why,
		Model: build(13, func(n *net) {
			y := way(n, n.norm("bn", n.input("x", 2, 3, 2, 2), 3))
			n.output(n.biased("Gemm", "fc", y, shape(4, 12), shape(4), Int("transB", 1)), nil, 4)
		}),
		WantFolded: folded("bn"),
	}
}

func flatten(n *net, y string) string { return n.node("Flatten", "flatten", in(y)) }

func reshape(target ...float64) func(n *net, y string) string {
	return func(n *net, y string) string {
		return n.node("Reshape", "reshape", in(y, n.integers("target", target...)))
	}
}

func flattenedCases() []Case {
	const why = "columns 4c to 4c+3 are the positions of channel c"
	return []Case{
		{
			Name: "way/Div by a number, NHWC to NCHW, Conv", Why: "as pixels are scaled: what is the same for all needs no axis",
			Model: build(13, func(n *net) {
				x := n.node("Div", "div", in(n.input("x", 2, 6, 6, 3), n.values("c", shape(), 255)))
				x = n.node("Transpose", "t", in(x), Ints("perm", 0, 3, 1, 2))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 2, 4, 4, 4)
			}),
			WantFolded: folded("div"),
		}, {
			Name: "way/Mul by equal numbers of the last axis, Transpose, Conv", Why: "it may be over the last axis, or all of them",
			Model: build(13, func(n *net) {
				x := n.node("Mul", "mul", in(n.input("x", 2, 6, 3), n.values("c", shape(3), 3, 3, 3)))
				x = n.node("Add", "add", in(x, n.values("d", shape(3), 2, 2, 2)))
				x = n.node("Transpose", "t", in(x), Ints("perm", 0, 2, 1))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3)), 2, 4, 4)
			}),
			WantFolded: folded("mul", "add"),
		}, {
			Name: "way/Sub of a number, mixed, Gemm", Why: "wherever the elements go, each has lost the same",
			Model: build(13, func(n *net) {
				x := n.node("Sub", "sub", in(n.input("x", 2, 3, 4), n.values("c", shape(1, 1), 0.5)))
				x = n.node("Transpose", "t", in(x), Ints("perm", 1, 2, 0))
				x = n.node("Reshape", "mixed", in(x, n.integers("to", 4, 6)))
				n.output(n.biased("Gemm", "fc", x, shape(6, 5), shape(5)), 4, 5)
			}),
			WantFolded: folded("sub"),
		}, {
			Name: "way/Sub of a number that adds an axis", Why: "without it the Transpose would have too few",
			Model: build(13, func(n *net) {
				x := n.node("Sub", "sub", in(n.input("x", 3, 6), n.values("c", shape(1, 1, 1), 0.5)))
				x = n.node("Transpose", "t", in(x), Ints("perm", 0, 1, 2))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3)), 1, 4, 4)
			}),
			WantKept: kept("sub", ""),
		}, {
			Name: "way/Sub of a number, AveragePool that counts its pads, Conv", Why: "the zeros have lost nothing",
			Model: build(13, func(n *net) {
				x := n.node("Sub", "sub", in(n.input("x", 2, 3, 6, 6), n.values("c", shape(), 0.5)))
				x = n.node("AveragePool", "pool", in(x), Ints("kernel_shape", 2, 2), Ints("pads", 1, 1, 1, 1), Int("count_include_pad", 1))
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 3, 3)), 2, 4, 5, 5)
			}),
			WantKept: kept("sub", ""),
		},
		toGemm("Flatten", why, flatten),
		toGemm("Flatten, Dropout and Identity", why, func(n *net, y string) string {
			y = n.node("Identity", "identity", in(n.node("Dropout", "dropout", in(y))))
			return n.node("Identity", "identity2", in(flatten(n, y)))
		}),
		toGemm("Flatten, and again", "it is flat already", func(n *net, y string) string {
			y = n.node("Reshape", "again", in(flatten(n, y), n.integers("same", -1, 12)))
			return n.node("Flatten", "once more", in(y))
		}),
		toGemm("Reshape to 0, -1", why, reshape(0, -1)),
		toGemm("Reshape to known rows", why, reshape(2, -1)),
		toGemm("Reshape to known columns", why, reshape(-1, 12)),
		toGemm("Reshape to x.size(0), -1", why, func(n *net, y string) string {
			size := n.node("Gather", "size", in(n.node("Shape", "shape", in(y)), n.index("zero", 0)), Int("axis", 0))
			rows := n.node("Unsqueeze", "rows", in(size, n.integers("axes", 0)))
			target := n.node("Concat", "target", in(rows, n.integers("rest", -1)), Int("axis", 0))
			return n.node("Reshape", "reshape", in(y, target))
		}),
		toGemm("Flatten of what was squeezed in", "Unsqueeze moves the channels nowhere", func(n *net, y string) string {
			return flatten(n, n.node("Unsqueeze", "unsqueeze", in(y, n.integers("axes", 4))))
		}),
		{
			Name: "way/Flatten, and a norm behind the Gemm too", Why: why + "; the scales of both sides are multiplied in one go",
			Model: build(13, func(n *net) {
				y := flatten(n, n.norm("bn", n.input("x", 2, 3, 2, 2), 3))
				y = n.biased("Gemm", "fc", y, shape(4, 12), shape(4), Int("transB", 1))
				n.output(n.norm("bn2", y, 4), 2, 4)
			}),
			WantFolded: folded("bn", "bn2"),
		},
		toGemm("the norm's shape is read too", "the shape stays what it is", func(n *net, y string) string {
			n.Outputs = append(n.Outputs, Val(n.node("Shape", "shape", in(y)), Int64, 4))
			return flatten(n, y)
		}),
		{
			Name: "way/Flatten to Gemm of [in, out]", Why: why,
			Model: build(13, func(n *net) {
				y := flatten(n, n.norm("bn", n.input("x", "N", 3, "H", "W"), 3))
				n.output(n.biased("Gemm", "fc", y, shape(12, 4), shape(4)), nil, 4)
			}),
			Inputs:     map[string]Array{"x": NewArray(Float32, []int{1, 3, 2, 2}, 1, -2, 3, 0.5, 0.25, -1, 2, 0, 1, 1, -3, 4)},
			WantFolded: folded("bn"),
		}, {
			Name: "way/Flatten to MatMul", Why: why + "; an Add of Σ W·t follows the layer",
			Model: build(13, func(n *net) {
				y := flatten(n, n.norm("bn", n.input("x", 2, 3, 2, 2), 3))
				n.output(n.layer("MatMul", "fc", y, shape(12, 4)), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "way/Flatten to MatMul of a transposed weight", Why: why,
			Model: build(13, func(n *net) {
				y := flatten(n, n.norm("bn", n.input("x", 2, 3, 2, 2), 3))
				w := n.node("Transpose", "t", in(n.param("w", 4, 12)))
				n.output(n.node("MatMul", "fc", in(y, w)), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "way/Mul and Add to Flatten", Why: "a norm written out is over axis 1, too",
			Model: build(13, func(n *net) {
				y := n.by("Mul", "mul", n.input("x", 2, 3, 2, 2), shape(3, 1, 1))
				y = flatten(n, n.by("Add", "add", y, shape(3, 1, 1)))
				n.output(n.biased("Gemm", "fc", y, shape(4, 12), shape(4), Int("transB", 1)), 2, 4)
			}),
			WantFolded: folded("mul", "add"),
		}, {
			Name: "way/Mul of a number to Flatten", Why: "one number for all is one for each channel",
			Model: build(13, func(n *net) {
				y := flatten(n, n.by("Mul", "mul", n.input("x", 2, 3, 2, 2), shape(1)))
				n.output(n.biased("Gemm", "fc", y, shape(4, 12), shape(4), Int("transB", 1)), 2, 4)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "way/Flatten and a layer beside it", Why: "each layer takes the norm in its own way",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3, 2, 2), 3)
				n.output(n.layer("Conv", "conv", y, shape(5, 3, 1, 1)), 2, 5, 2, 2)
				n.output(n.biased("Gemm", "fc", flatten(n, y), shape(4, 12), shape(4), Int("transB", 1)), 2, 4)
			}),
			WantFolded: folded("bn"),
		},

		{
			Name: "way/Reshape to other rows", Why: "each row is half an image; that 3 divides 6 proves nothing",
			Model: build(13, func(n *net) {
				y := reshape(4, 6)(n, n.norm("bn", n.input("x", 2, 3, 2, 2), 3))
				n.output(n.biased("Gemm", "fc", y, shape(4, 6), shape(4), Int("transB", 1)), 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "way/Flatten of the last axes", Why: "the rows are batch and channel together",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3, 3, 2), 3)
				y = n.node("Flatten", "flatten", in(y), Int("axis", 2))
				n.output(n.biased("Gemm", "fc", y, shape(4, 6), shape(4), Int("transB", 1)), 6, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		},
		toGemm("Flatten of channels last", "the columns of a channel are not side by side, but one in three", func(n *net, y string) string {
			return flatten(n, n.node("Transpose", "transpose", in(y), Ints("perm", 0, 2, 3, 1)))
		}),
		toGemm("Flatten of channels in the middle", "runs of two columns, and three such again", func(n *net, y string) string {
			return flatten(n, n.node("Transpose", "transpose", in(y), Ints("perm", 0, 2, 1, 3)))
		}),
		{
			Name: "way/Flatten of channels in the middle, of an unknown size", Why: "how many columns are side by side is not known",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", "N", 3, "H", "W"), 3)
				y = flatten(n, n.node("Transpose", "transpose", in(y), Ints("perm", 0, 2, 1, 3)))
				n.output(n.biased("Gemm", "fc", y, shape(4, 12), shape(4), Int("transB", 1)), nil, 4)
			}),
			Inputs:   map[string]Array{"x": NewArray(Float32, []int{1, 3, 2, 2}, 1, -2, 3, 0.5, 0.25, -1, 2, 0, 1, 1, -3, 4)},
			WantKept: kept("bn", fuse.ReasonAxis),
		},
		{
			Name: "way/Reshape to x.size(2), -1", Why: "it is another size, that happens to be equal",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", "N", 3, "H", "W"), 3)
				size := n.node("Gather", "size", in(n.node("Shape", "shape", in(y)), n.index("two", 2)), Int("axis", 0))
				rows := n.node("Unsqueeze", "rows", in(size, n.integers("axes", 0)))
				target := n.node("Concat", "target", in(rows, n.integers("rest", -1)), Int("axis", 0))
				y = n.node("Reshape", "reshape", in(y, target))
				n.output(n.biased("Gemm", "fc", y, shape(4, 6), shape(4), Int("transB", 1)), nil, 4)
			}),
			Inputs:   map[string]Array{"x": NewArray(Float32, []int{1, 3, 2, 2}, 1, -2, 3, 0.5, 0.25, -1, 2, 0, 1, 1, -3, 4)},
			WantKept: kept("bn", fuse.ReasonAxis),
		},
		toGemm("the rows are read by another", "Relu would see what the norm gives no more", func(n *net, y string) string {
			y = flatten(n, y)
			n.output(n.node("Relu", "relu", in(y)), 2, 12)
			return y
		}).keeping("bn", ""),
	}
}

// movedCases have the norm's channels at another axis behind it, all of them and nothing else.
func movedCases() []Case {
	return []Case{
		{
			Name: "way/Transpose to MatMul", Why: "axis 1 is the last behind it, which is what is summed over, whatever the rank",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3, 5), 3)
				y = n.node("Transpose", "transpose", in(y), Ints("perm", 0, 2, 1))
				n.output(n.layer("MatMul", "fc", y, shape(3, 4)), 2, 5, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "way/Transpose of the others", Why: "MatMul sums over what was axis 2",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3, 3, 3), 3)
				y = n.node("Transpose", "transpose", in(y), Ints("perm", 0, 1, 3, 2))
				n.output(n.layer("MatMul", "fc", y, shape(3, 4)), 2, 3, 3, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "way/Unsqueeze to Conv", Why: "the channels stay axis 1",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3, 5), 3)
				y = n.node("Unsqueeze", "unsqueeze", in(y, n.integers("axes", 2)))
				n.output(n.layer("Conv", "conv", y, shape(4, 3, 1, 2)), 2, 4, 1, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "way/Unsqueeze before the channels", Why: "the convolution's channels are another axis",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3, 5), 3)
				y = n.node("Unsqueeze", "unsqueeze", in(y, n.integers("axes", 1)))
				n.output(n.layer("Conv", "conv", y, shape(4, 1, 3, 2)), 2, 4, 1, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "way/Squeeze to Gemm", Why: "one position a channel, squeezed out",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 3, 1, 1), 3)
				y = n.node("Squeeze", "squeeze", in(y, n.integers("axes", 2, 3)))
				n.output(n.biased("Gemm", "fc", y, shape(3, 4), shape(4)), 2, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "way/Transpose to a padded Conv", Why: "the padding is added behind the norm, whatever the way",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", 2, 5, 5, 3), 5)
				y = n.node("Transpose", "transpose", in(y), Ints("perm", 0, 1, 3, 2))
				n.output(n.layer("Conv", "conv", y, shape(4, 5, 3, 3), Ints("pads", 1, 1, 1, 1)), 2, 4, 3, 5)
			}),
			WantKept: kept("bn", fuse.ReasonPadding),
		},
	}
}

// unrankedCases are of a norm whose rank nobody states: axis 1 may be any from the end. The input has rank 3.
func unrankedCases() []Case {
	unranked := func(name string, way func(n *net, y string) string) Case {
		return Case{
			Name: "way/unknown rank: " + name, Why: "the rank may be 3, and then the channels are not the last axis",
			Model: build(13, func(n *net) {
				n.Inputs = append(n.Inputs, Value{Name: "x", Elem: Float32, Unranked: true})
				n.output(n.layer("MatMul", "fc", way(n, n.norm("bn", "x", 3)), shape(3, 4)), nil, nil, nil)
			}),
			Inputs:   map[string]Array{"x": NewArray(Float32, []int{1, 3, 3}, 1, -2, 3, 0.5, 0.25, -1, 2, 0, 1)},
			WantKept: kept("bn", fuse.ReasonAxis),
		}
	}
	return []Case{
		unranked("Transpose twice", func(n *net, y string) string {
			return n.node("Transpose", "t2", in(n.node("Transpose", "t1", in(y))))
		}),
		unranked("Reshape", func(n *net, y string) string { return reshape(1, -1, 3)(n, y) }),
		{
			Name: "way/Reshape to x.size(0), 3, -1", Why: "three axes, although two parts are joined",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.input("x", "N", 3, "H"), 3)
				size := n.node("Gather", "size", in(n.node("Shape", "shape", in(y)), n.index("zero", 0)), Int("axis", 0))
				rows := n.node("Unsqueeze", "rows", in(size, n.integers("axes", 0)))
				target := n.node("Concat", "target", in(rows, n.integers("rest", 3, -1)), Int("axis", 0))
				n.output(n.layer("MatMul", "fc", n.node("Reshape", "reshape", in(y, target)), shape(3, 4)), nil, nil, nil)
			}),
			Inputs:   map[string]Array{"x": NewArray(Float32, []int{1, 3, 3}, 1, -2, 3, 0.5, 0.25, -1, 2, 0, 1)},
			WantKept: kept("bn", ""),
		},
	}
}
