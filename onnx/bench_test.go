package onnx

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// chain is a graph of n nodes, Conv → BatchNormalization → Relu over and over.
func chain(n int) *onnxtest.Model {
	g := &onnxtest.Graph{Name: "chain", Inputs: []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 4, 8, 8)}}
	x := "x"
	tensor := func(name string, dims ...int64) string {
		data := make([]float64, 4*dims[len(dims)-1])
		for i := range data {
			data[i] = 0.5
		}
		if len(dims) == 1 {
			data = data[:4]
		}
		g.Init = append(g.Init, onnxtest.NewTensor(name, onnxtest.Float32, dims, data...))
		return name
	}
	for i := 0; i < n; i += 3 {
		p := fmt.Sprintf("layer%d.", i)
		g.Nodes = append(g.Nodes,
			onnxtest.Node{Op: "Conv", Name: p + "conv", In: []string{x, tensor(p+"weight", 4, 1, 1, 1)}, Out: []string{p + "conv_output_0"},
				Attrs: []onnxtest.Attr{onnxtest.Int("group", 4), onnxtest.Ints("pads", 0, 0, 0, 0)}},
			onnxtest.Node{Op: "BatchNormalization", Name: p + "bn", In: []string{p + "conv_output_0", tensor(p+"gamma", 4), tensor(p+"beta", 4), tensor(p+"mean", 4), tensor(p+"var", 4)},
				Out: []string{p + "bn_output_0"}, Attrs: []onnxtest.Attr{onnxtest.Float("epsilon", 1e-5)}},
			onnxtest.Node{Op: "Relu", Name: p + "relu", In: []string{p + "bn_output_0"}, Out: []string{p + "relu_output_0"}})
		x = p + "relu_output_0"
	}
	g.Outputs = []onnxtest.Value{onnxtest.Val(x, onnxtest.Float32, 1, 4, 8, 8)}
	return &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 13}}, Graph: g}
}

// BenchmarkGraph plans and rewrites graphs of growing size; ns/node should stay the same.
func BenchmarkGraph(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			in, out := filepath.Join(dir, "in.onnx"), filepath.Join(dir, "out.onnx")
			if err := os.WriteFile(in, chain(n).Bytes(), 0o666); err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			for b.Loop() {
				if _, err := FuseFile(context.Background(), in, out, Options{Engine: testEngine, Force: true}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/node")
		})
	}
}

// BenchmarkShapes rewrites graphs made to find a step that grows faster than they do: many bodies, a
// graph in many pieces, one tensor read by every norm, a long chain of norms.
func BenchmarkShapes(b *testing.B) {
	norm := func(i int, x, y string) onnxtest.Node {
		return onnxtest.Node{Op: "Mul", Name: fmt.Sprint("norm", i), In: []string{x, "two"}, Out: []string{y}}
	}
	conv := func(i int, x, y string) onnxtest.Node {
		return onnxtest.Node{Op: "Conv", Name: fmt.Sprint("conv", i), In: []string{x, "w"}, Out: []string{y}}
	}
	shapes := map[string]func(n int) []onnxtest.Node{
		"bodies": func(n int) (nodes []onnxtest.Node) {
			for i := range n / 3 {
				c, y := fmt.Sprint("c", i), fmt.Sprint("b", i)
				nodes = append(nodes, onnxtest.Node{Op: "If", Name: fmt.Sprint("if", i), In: []string{"cond"}, Out: []string{fmt.Sprint("y", i)},
					Attrs: []onnxtest.Attr{onnxtest.GraphAttr("then_branch", onnxtest.Graph{Name: "body", Nodes: []onnxtest.Node{conv(i, "x", c), norm(i, c, y)},
						Outputs: []onnxtest.Value{onnxtest.Val(y, onnxtest.Float32, 1, 1, 1, 1)}})}})
			}
			return nodes
		},
		"fan": func(n int) (nodes []onnxtest.Node) {
			for i := range n / 2 {
				nodes = append(nodes, norm(i, "x", fmt.Sprint("n", i)), conv(i, fmt.Sprint("n", i), fmt.Sprint("y", i)))
			}
			return nodes
		},
		"norms": func(n int) (nodes []onnxtest.Node) {
			nodes = append(nodes, conv(0, "x", "v0"))
			for i := range n {
				nodes = append(nodes, onnxtest.Node{Op: "Add", Name: fmt.Sprint("norm", i), In: []string{fmt.Sprint("v", i), "two"}, Out: []string{fmt.Sprint("v", i+1)}})
			}
			return nodes
		},
	}
	for name, make := range shapes {
		for _, n := range []int{3_000, 30_000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				m := &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 13}}, Graph: &onnxtest.Graph{Name: name, Nodes: make(n),
					Inputs: []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 1, 1, 1), onnxtest.Val("cond", onnxtest.Bool)},
					Init:   []onnxtest.Tensor{onnxtest.NewTensor("w", onnxtest.Float32, []int64{1, 1, 1, 1}, 1), onnxtest.NewTensor("two", onnxtest.Float32, nil, 2)}}}
				model := m.Bytes()
				for b.Loop() {
					if _, _, err := fuseBytes(b, testEngine, model); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/node")
			})
		}
	}
}
