package bench

import (
	"fmt"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// The models below were made to find a step whose work grows faster than they do.

// normsModel is a Conv and a chain of n Adds of constants behind it, all of which fold into it.
func normsModel(n int) *onnxtest.Graph {
	g := onePixel("norms")
	g.Nodes = append(g.Nodes, oneConv(0, "x", "v0"))
	for i := range n {
		g.Nodes = append(g.Nodes, byTwo("Add", i, fmt.Sprint("v", i), fmt.Sprint("v", i+1)))
	}
	g.Outputs = []onnxtest.Value{onnxtest.Val(fmt.Sprint("v", n), onnxtest.Float32, 1, 1, 1, 1)}
	return g
}

// initializersModel is one Conv with its norm, and n tensors that something else reads.
func initializersModel(n int) *onnxtest.Graph {
	g := chainModel(3)
	var all []string
	for i := range n {
		name := fmt.Sprint("tensor", i)
		g.Init = append(g.Init, onnxtest.NewTensor(name, onnxtest.Float32, []int64{1}, 1))
		all = append(all, name)
	}
	g.Nodes = append(g.Nodes, onnxtest.Node{Op: "Concat", Name: "all", In: all, Out: []string{"all"}, Attrs: []onnxtest.Attr{onnxtest.Int("axis", 0)}})
	g.Outputs = append(g.Outputs, onnxtest.Val("all", onnxtest.Float32, n))
	return g
}

// bodiesModel has n nodes in n/3 bodies: If → (Conv → Mul).
func bodiesModel(n int) *onnxtest.Graph {
	g := onePixel("bodies")
	g.Inputs = append(g.Inputs, onnxtest.Val("cond", onnxtest.Bool))
	for i := range n / 3 {
		c, y := fmt.Sprint("c", i), fmt.Sprint("b", i)
		body := onnxtest.Graph{Name: "body", Nodes: []onnxtest.Node{oneConv(i, "x", c), byTwo("Mul", i, c, y)},
			Outputs: []onnxtest.Value{onnxtest.Val(y, onnxtest.Float32, 1, 1, 1, 1)}}
		g.Nodes = append(g.Nodes, onnxtest.Node{Op: "If", Name: fmt.Sprint("if", i), In: []string{"cond"}, Out: []string{fmt.Sprint("y", i)},
			Attrs: []onnxtest.Attr{onnxtest.GraphAttr("then_branch", body)}})
	}
	return g
}

// fanModel has n/2 norms that read one tensor, each before a Conv of its own; all read the same weight.
func fanModel(n int) *onnxtest.Graph {
	g := onePixel("fan")
	for i := range n / 2 {
		normed := fmt.Sprint("n", i)
		g.Nodes = append(g.Nodes, byTwo("Mul", i, "x", normed), oneConv(i, normed, fmt.Sprint("y", i)))
	}
	return g
}

// onePixel is a graph without nodes over an image of one pixel and one channel.
func onePixel(name string) *onnxtest.Graph {
	return &onnxtest.Graph{Name: name, Inputs: []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 1, 1, 1)}, Init: []onnxtest.Tensor{
		onnxtest.NewTensor("w", onnxtest.Float32, []int64{1, 1, 1, 1}, 1), onnxtest.NewTensor("two", onnxtest.Float32, nil, 2)}}
}

func oneConv(i int, x, y string) onnxtest.Node {
	return onnxtest.Node{Op: "Conv", Name: fmt.Sprint("conv", i), In: []string{x, "w"}, Out: []string{y}}
}

// byTwo is a norm written out: Add or Mul with the constant 2.
func byTwo(op string, i int, x, y string) onnxtest.Node {
	return onnxtest.Node{Op: op, Name: fmt.Sprint("norm", i), In: []string{x, "two"}, Out: []string{y}}
}
