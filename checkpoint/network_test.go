package checkpoint

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// TestGraphContradicted: a layer or a norm that has another shape in the graph tells that the graph is of another
// network, and then it tells of none of its norms where they stand.
func TestGraphContradicted(t *testing.T) {
	vector := func(name string, n int64) onnxtest.Tensor {
		return onnxtest.NewTensor(name, onnxtest.Float32, []int64{n}, slices.Repeat([]float64{1}, int(n))...)
	}
	for _, odd := range []string{"", "second.weight", "b.running_mean", "stays.running_mean", "head.weight"} {
		g := &onnxtest.Graph{Name: "g",
			Init: []onnxtest.Tensor{onnxtest.NewTensor("first.weight", onnxtest.Float32, []int64{2, 2, 1, 1}, 1, 2, 3, 4),
				onnxtest.NewTensor("second.weight", onnxtest.Float32, []int64{2, 2, 1, 1}, 5, 6, 7, 8),
				onnxtest.NewTensor("head.weight", onnxtest.Float32, []int64{2, 2, 1, 1}, 9, 10, 11, 12)},
			Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 2, 4, 4)},
			Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, 2, 4, 4)}}
		at := "x"
		node := func(op string, in ...string) {
			out := fmt.Sprint(len(g.Nodes))
			g.Nodes = append(g.Nodes, onnxtest.Node{Op: op, In: append([]string{at}, in...), Out: []string{out}})
			at = out
		}
		for layer, norm := range map[string]string{"first": "a", "second": "b"} {
			node("Conv", layer+".weight")
			node("BatchNormalization", norm+".weight", norm+".bias", norm+".running_mean", norm+".running_var")
			node("Relu")
			g.Init = append(g.Init, vector(norm+".weight", 2), vector(norm+".bias", 2), vector(norm+".running_mean", 2), vector(norm+".running_var", 2))
		}
		node("Conv", "head.weight")
		node("Relu")
		node("BatchNormalization", "stays.weight", "stays.bias", "stays.running_mean", "stays.running_var")
		g.Nodes[len(g.Nodes)-1].Out[0] = "y"
		g.Init = append(g.Init, vector("stays.weight", 2), vector("stays.bias", 2), vector("stays.running_mean", 2), vector("stays.running_var", 2))
		m := &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 14}}, Graph: g}
		state := tensorsOfGraph(m)
		for i := range state {
			if state[i].name == odd {
				state[i] = floats(odd, "F32", []int{1}, 1)
			}
		}
		in := write(t, "in.safetensors", encode(nil, state...))
		_, res := fuseAnd(t, in, Options{Graph: write(t, "m.onnx", m.Bytes())})
		switch contradicted := odd != "" && odd != "head.weight"; {
		case contradicted && (len(res.Plan.Steps) != 0 || res.Plan.Skips[0].Reason != ReasonOther || !strings.Contains(res.Plan.Skips[0].Detail, odd)), !contradicted && len(res.Plan.Steps) != 2:
			t.Errorf("%q: %+v", odd, res.Plan)
		}
	}
}

// TestGraphOfAnotherNetwork keeps the norms of layers whose weights have other shapes in the graph: names
// that happen to agree prove nothing.
func TestGraphOfAnotherNetwork(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	ones := func(n int) []byte { return bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, n) }
	pairs, _, err := GraphPairs(context.Background(), "../testdata/resnet.onnx", host.New())
	if err != nil || len(pairs) == 0 {
		t.Fatal(pairs, err)
	}
	p := pairs[0] // its weight has another kernel here
	tensors := []made{{p.Layer + ".weight", "F32", []int{2, 2, 1, 1}, ones(4)}}
	for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
		tensors = append(tensors, made{p.Norm + "." + name, "F32", []int{2}, ones(2)})
	}
	if err := os.WriteFile(path, encode(nil, tensors...), 0o666); err != nil {
		t.Fatal(err)
	}
	res, err := Inspect(context.Background(), path, Options{Engine: host.New(), Graph: "../testdata/resnet.onnx"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range res.Plan.Skips {
		if s.Norm.Name == p.Norm && s.Reason == ReasonOther && len(res.Plan.Steps) == 0 {
			return
		}
	}
	t.Errorf("%+v", res.Plan)
}
