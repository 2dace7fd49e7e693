package verify_test

import (
	"context"
	"slices"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
	"github.com/bnfuse/bnfuse/verify"
)

// Folds that are right though they look odd, and that no runtime can be asked about: one leaves no trace, the
// other is of nodes that are in no order.
func TestAccepts(t *testing.T) {
	f32 := func(name string, dims []int64, data ...float64) onnxtest.Tensor {
		return onnxtest.NewTensor(name, onnxtest.Float32, dims, data...)
	}
	node := func(op, name string, in ...string) onnxtest.Node {
		return onnxtest.Node{Op: op, Name: name, In: in, Out: []string{name + "_out"}}
	}
	weight := f32("w", []int64{2, 2}, 1, 0.5, -2, 0.25)
	for _, c := range []struct {
		name, why string
		nodes     []onnxtest.Node
		init      []onnxtest.Tensor
		folded    int
	}{
		{
			name: "a shift too small for the bias", why: "what it adds is rounded off, so the bias stays as it is",
			nodes:  []onnxtest.Node{node("Sub", "sub", "x", "k"), node("MatMul", "fc", "sub_out", "w"), node("Add", "last", "fc_out", "b")},
			init:   []onnxtest.Tensor{weight, f32("k", []int64{2}, 1e-12, 1e-12), f32("b", []int64{2}, 1, -2)},
			folded: 1,
		}, {
			name: "a dead layer behind a living one", why: "it has the same weight; its norm, further back still, went into it",
			nodes: []onnxtest.Node{
				node("BatchNormalization", "last", "fc2_out", "p", "p", "p", "p"), node("MatMul", "fc2", "x", "w"),
				node("BatchNormalization", "dead", "fc1_out", "p", "p", "p", "p"), node("MatMul", "fc1", "x", "w"),
			},
			init:   []onnxtest.Tensor{weight, f32("p", []int64{2}, 0.5, 2)},
			folded: 2,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := writeModel(t, t.TempDir(), &onnxtest.Model{
				IR: 8, Opsets: []onnxtest.Opset{{Version: 13}},
				Graph: &onnxtest.Graph{
					Name: "graph", Nodes: slices.Clone(c.nodes), Init: c.init,
					Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 3, 2)},
					Outputs: []onnxtest.Value{onnxtest.Val("last_out", onnxtest.Float32, 3, 2)},
				},
			})
			out, _ := fuseFile(t, in)
			r, err := verify.Files(context.Background(), in, out)
			if err != nil {
				t.Fatal(err)
			}
			if !r.OK() || r.Folded != c.folded {
				t.Errorf("%s: %d folded, want %d: %+v", c.why, r.Folded, c.folded, r)
			}
		})
	}
}
