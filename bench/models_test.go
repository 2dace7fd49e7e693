package bench

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// writeModel writes a made model to a file.
func writeModel(t testing.TB, path string, g *onnxtest.Graph) {
	t.Helper()
	m := &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 15}}, Graph: g}
	if err := os.WriteFile(path, m.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// weightsModel has much in its weights and little in its graph: 3×3 convolutions of 512 channels, each with
// its norm. A float32 layer has 9.4 MB.
func weightsModel(name string, elem onnxtest.ElemType, layers int) *onnxtest.Graph {
	const channels = 512
	bits := make([]uint64, channels*channels*9)
	for i := range bits {
		bits[i] = uint64(0x3800 + i%251) // 0.5 and a little more, as float16
		if elem == onnxtest.Float32 {
			bits[i] = uint64(0x3f000000 + i%251)
		}
	}
	g := &onnxtest.Graph{Name: name, Inputs: []onnxtest.Value{onnxtest.Val("x", elem, 1, channels, 8, 8)}}
	x := "x"
	for i := range layers {
		weight := onnxtest.Tensor{Elem: elem, Dims: []int64{channels, channels, 3, 3}, Bits: bits}
		x = addLayer(g, x, fmt.Sprintf("layer%d.", i), channels, weight, onnxtest.Ints("pads", 1, 1, 1, 1))
	}
	g.Outputs = []onnxtest.Value{onnxtest.Val(x, elem, 1, channels, 8, 8)}
	return g
}

// chainModel has much in its graph and little in its weights: n nodes, Conv → BatchNormalization → Relu over
// and over, of 4 channels.
func chainModel(n int) *onnxtest.Graph {
	const channels = 4
	g := &onnxtest.Graph{Name: "chain", Inputs: []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, channels, 8, 8)}}
	x := "x"
	for i := 0; i < n; i += 3 {
		p := fmt.Sprintf("layer%d.", i/3)
		weight := onnxtest.NewTensor("", onnxtest.Float32, []int64{channels, 1, 1, 1}, 0.5, 0.5, 0.5, 0.5)
		y := addLayer(g, x, p, channels, weight, onnxtest.Int("group", channels))
		x = p + "relu_output_0"
		g.Nodes = append(g.Nodes, onnxtest.Node{Op: "Relu", Name: p + "relu", In: []string{y}, Out: []string{x}})
	}
	g.Outputs = []onnxtest.Value{onnxtest.Val(x, onnxtest.Float32, 1, channels, 8, 8)}
	return g
}

// addLayer appends Conv → BatchNormalization, with the names that PyTorch gives the tensors, and returns the
// output's name.
func addLayer(g *onnxtest.Graph, x, prefix string, channels int, weight onnxtest.Tensor, attr onnxtest.Attr) string {
	perChannel := func(name string, value float64) onnxtest.Tensor {
		return onnxtest.NewTensor(prefix+"bn."+name, weight.Elem, []int64{int64(channels)}, slices.Repeat([]float64{value}, channels)...)
	}
	weight.Name = prefix + "conv.weight"
	norm := []onnxtest.Tensor{perChannel("weight", 0.9), perChannel("bias", 0.1), perChannel("running_mean", 0.2), perChannel("running_var", 1.1)}
	g.Init = append(append(g.Init, weight), norm...)
	c, y := prefix+"conv_output_0", prefix+"bn_output_0"
	g.Nodes = append(g.Nodes,
		onnxtest.Node{Op: "Conv", Name: prefix + "conv", In: []string{x, weight.Name}, Out: []string{c}, Attrs: []onnxtest.Attr{attr}},
		onnxtest.Node{Op: "BatchNormalization", Name: prefix + "bn", Out: []string{y},
			In: []string{c, norm[0].Name, norm[1].Name, norm[2].Name, norm[3].Name}})
	return y
}
