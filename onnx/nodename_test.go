package onnx_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// TestUnnamedNorm: a norm without a name that becomes the Add of a MatMul stays without one. Its output's name, by
// which the report calls it, may be another node's, and runtimes refuse a graph with two nodes of one name.
func TestUnnamedNorm(t *testing.T) {
	vector := func(name string) onnxtest.Tensor {
		return onnxtest.NewTensor(name, onnxtest.Float32, []int64{2}, 1, 2)
	}
	m := &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 14}}, Graph: &onnxtest.Graph{
		Name:    "g",
		Init:    []onnxtest.Tensor{onnxtest.NewTensor("w", onnxtest.Float32, []int64{2, 2}, 1, 2, 3, 4), vector("g"), vector("b"), vector("m"), vector("v")},
		Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 2)},
		Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, 2)},
		Nodes: []onnxtest.Node{
			{Op: "MatMul", Name: "fc", In: []string{"x", "w"}, Out: []string{"a"}},
			{Op: "BatchNormalization", In: []string{"a", "g", "b", "m", "v"}, Out: []string{"normed"}},
			{Op: "Relu", Name: "normed", In: []string{"normed"}, Out: []string{"y"}},
		},
	}}
	in, out := filepath.Join(t.TempDir(), "in.onnx"), filepath.Join(t.TempDir(), "out.onnx")
	if err := os.WriteFile(in, m.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	res, err := onnx.FuseFile(context.Background(), in, out, onnx.Options{Engine: host.New()})
	if err != nil || len(res.Plan.Steps) != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	fused, err := onnxtest.Parse(readFile(t, out))
	if err != nil {
		t.Fatal(err)
	}
	if err := onnxtest.Sound(m, fused); err != nil {
		t.Error(err)
	}
	if n := fused.Graph.Nodes; len(n) != 3 || n[1].Op != "Add" || n[1].Name != "" {
		t.Errorf("%+v", n)
	}
}
