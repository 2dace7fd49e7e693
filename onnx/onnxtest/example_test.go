package onnxtest_test

import (
	"fmt"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// A model is a value; Bytes makes the file, Parse reads it back, Eval runs it.
func Example() {
	model := &onnxtest.Model{
		IR:     8,
		Opsets: []onnxtest.Opset{{Version: 13}},
		Graph: &onnxtest.Graph{
			Name:    "scale",
			Nodes:   []onnxtest.Node{{Op: "Mul", Name: "mul", In: []string{"x", "c"}, Out: []string{"y"}}},
			Init:    []onnxtest.Tensor{onnxtest.NewTensor("c", onnxtest.Float16, []int64{2}, 0.5, 1.0/3).In(onnxtest.Packed)},
			Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float16, "N", 2)},
			Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float16, "N", 2)},
		},
		Wire: onnxtest.Wire{Order: onnxtest.Descending},
	}
	read, err := onnxtest.Parse(model.Bytes())
	if err != nil {
		panic(err)
	}
	x := onnxtest.NewArray(onnxtest.Float16, []int{1, 2}, 6, 6)
	outputs, err := onnxtest.Eval(read, map[string]onnxtest.Array{"x": x})
	if err != nil {
		panic(err)
	}
	fmt.Println(outputs["y"].Dims, outputs["y"].Data) // a third is rounded to a half, its product is not
	// Output: [1 2] [3 1.99951171875]
}
