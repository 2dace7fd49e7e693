package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// matMulRanks are products whose output is not a matrix. BatchNormalization looks at axis 1, a
// constant [N] at the last.
func matMulRanks() []Case {
	return []Case{
		{
			Name: "matmul/rank 3, norm", Why: "axis 1 is the sequence, not the weight's output",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 5, 3), shape(3, 4))
				n.output(n.norm("bn", y, 5), 2, 5, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "matmul/rank 3, norm of fitting length", Why: "axis 1 has by chance as many elements as the weight has outputs",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 4, 3), shape(3, 4))
				y = n.by("Add", "bias", y, shape(4))
				n.output(n.norm("bn", y, 4), 2, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonAxis),
		}, {
			Name: "matmul/rank 3, Mul [N] and Add [N]", Why: "a vector lies along the last axis, which is the weight's output whatever the rank",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 5, 3), shape(3, 4))
				y = n.by("Mul", "mul", y, shape(4))
				n.output(n.by("Add", "add", y, shape(4)), 2, 5, 4)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "matmul/rank 3, Mul [1,1,N]", Why: "the input is known to have rank 3, so the constant does not raise it",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 5, 3), shape(3, 4))
				n.output(n.by("Mul", "mul", y, shape(1, 1, 4)), 2, 5, 4)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "matmul/unknown rank, Mul [1,1,N]", Why: "an input of rank 2 would become rank 3 by the constant, and must still after",
			Model: build(13, func(n *net) {
				n.Inputs = append(n.Inputs, Value{Name: "x", Elem: Float32, Unranked: true})
				y := n.layer("MatMul", "fc", "x", shape(3, 4))
				y = n.by("Mul", "mul", y, shape(1, 1, 4))
				n.Outputs = append(n.Outputs, Value{Name: y, Elem: Float32, Unranked: true})
			}),
			Inputs:   map[string]Array{"x": NewArray(Float32, []int{2, 3}, 1, 2, 3, -1, 0.5, 4)},
			WantKept: kept("mul", ""),
		}, {
			Name: "matmul/unknown rank, Mul [N]", Why: "a vector lies along the last axis whatever the rank",
			Model: build(13, func(n *net) {
				n.Inputs = append(n.Inputs, Value{Name: "x", Elem: Float32, Unranked: true})
				y := n.layer("MatMul", "fc", "x", shape(3, 4))
				y = n.by("Mul", "mul", y, shape(4))
				n.Outputs = append(n.Outputs, Value{Name: y, Elem: Float32, Unranked: true})
			}),
			Inputs:     map[string]Array{"x": NewArray(Float32, []int{2, 3}, 1, 2, 3, -1, 0.5, 4)},
			WantFolded: folded("mul"),
		}, {
			Name: "matmul/vector input, Mul [N]", Why: "a vector times a matrix is a vector of outputs",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 3), shape(3, 4))
				n.output(n.by("Mul", "mul", y, shape(4)), 4)
			}),
			WantFolded: folded("mul"),
		}, {
			Name: "matmul/rank 3, Mul [S,1]", Why: "the constant varies along the sequence",
			Model: build(13, func(n *net) {
				y := n.layer("MatMul", "fc", n.input("x", 2, 4, 3), shape(3, 4))
				n.output(n.by("Mul", "mul", y, shape(4, 1)), 2, 4, 4)
			}),
			WantKept: kept("mul", fuse.ReasonBroadcast),
		},
	}
}
