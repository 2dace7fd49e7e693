package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// proofCases have ranks and shapes that the file does not state and that follow all the same.
func proofCases() []Case {
	return []Case{
		{
			Name: "proof/Shape reads the layer's output", Why: "who asks for a shape alone can ask the norm's output, which has the same",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				size := n.node("Shape", "shape", in(y))
				n.Outputs = append(n.Outputs, Val(size, Int64, 4))
			}),
			WantFolded: folded("bn"),
		},
		{
			Name: "proof/Shape and another read it", Why: "the other reader needs the values",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				n.output(n.node("Relu", "relu", in(y)), 1, 4, 4, 4)
				size := n.node("Shape", "shape", in(y))
				n.Outputs = append(n.Outputs, Val(size, Int64, 4))
			}),
			WantKept: kept("bn", fuse.ReasonOutputShared),
		},
		{
			Name: "proof/perm tells the rank", Why: "a Transpose of three axes has three; its second is MatMul's last",
			Model: build(13, func(n *net) {
				x := n.node("Expand", "unranked", in(n.input("x", 2, 5, 3), n.node("Shape", "shape", in("x"))))
				y := n.layer("MatMul", "fc", x, shape(3, 4))
				y = n.node("Transpose", "transpose", in(y), Ints("perm", 0, 2, 1))
				n.output(n.norm("bn", y, 4), 2, 4, 5)
			}),
			WantFolded: folded("bn"),
		},
		{
			Name: "proof/Unsqueeze of free axes", Why: "the axis that is added says where the channels go, whatever the sizes",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", "N", 3, "L"), shape(4, 3, 1))
				y = n.node("Unsqueeze", "unsqueeze", in(y, n.integers("axes", 3)))
				n.output(n.norm("bn", y, 4), "N", 4, "L", 1)
			}),
			Inputs:     map[string]Array{"x": NewArray(Float32, []int{1, 3, 2}, 1, -2, 3, 0.5, 0.25, -1)},
			WantFolded: folded("bn"),
		},
		{
			Name: "proof/Squeeze of the channels", Why: "one channel is squeezed out: the norm's axis is another",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 4, 4), shape(1, 3, 1, 1))
				y = n.node("Squeeze", "squeeze", in(y, n.integers("axes", 1)))
				n.output(n.norm("bn", y, 4), 1, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		},
		{
			Name: "proof/Flatten of one position", Why: "a norm over as many columns as the layer has channels proves that each channel is one",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", "N", 3, "H", "W"), shape(4, 3, 2, 2))
				y = n.node("Flatten", "flatten", in(y))
				n.output(n.norm("bn", y, 4), "N", 4)
			}),
			Inputs:     map[string]Array{"x": NewArray(Float32, []int{1, 3, 2, 2}, 1, -2, 3, 0.5, 0.25, -1, 2, 0, 1, 1, -3, 4)},
			WantFolded: folded("bn"),
		},
		{
			Name: "proof/Reshape to joined numbers", Why: "a target of constants that are joined is constant",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 5, 3), shape(3, 4))
				target := n.node("Concat", "target", in(n.integers("rows", 10), n.integers("columns", 4)), Int("axis", 0))
				y = n.node("Reshape", "reshape", in(y, target))
				n.output(n.norm("bn", y, 4), 10, 4)
			}),
			WantFolded: folded("bn"),
		},
		{
			Name: "proof/a constant is expanded", Why: "one number, expanded to every channel; what it is added to has the layer's rank",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 3), shape(3, 4))
				c := n.node("Expand", "expand", in(n.values("one", shape(1), 1.5), n.integers("four", 1, 4)))
				y = n.node("Mul", "mul", in(y, c))
				n.output(n.norm("bn", y, 4), 2, 4)
			}),
			WantFolded: folded("mul", "bn"),
		},
		{
			Name: "proof/SAME padding of one tap", Why: "a kernel of one tap reads no padding, so a shift before it is exact",
			Model: build(13, func(n *net) {
				x := n.norm("bn", n.input("x", 1, 3, 6, 6), 3)
				n.output(n.layer("Conv", "conv", x, shape(4, 3, 1, 1), String("auto_pad", "SAME_UPPER"), Ints("strides", 2, 2)), 1, 4, 3, 3)
			}),
			WantFolded: folded("bn"),
		},
	}
}
