package onnx

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// TestShapes compares the sizes that are inferred for each value, from the inputs and initializers alone, with those
// that the evaluator gets: in the shared table, and for every kind of kernel.
func TestShapes(t *testing.T) {
	known := 0
	for _, c := range onnxtest.Cases() {
		if c.NoEval == "" {
			t.Run(c.Name, func(t *testing.T) { known += checkShapes(t, c.Model, c.Inputs) })
		}
	}
	for _, m := range windowModels() {
		n := checkShapes(t, m, nil)
		if want := 4; n != want {
			t.Errorf("%s: %d sizes are known, of %d", m.Graph.Nodes[0].Name, n, want)
		}
	}
	if known < 1000 {
		t.Errorf("only %d sizes are known", known)
	}
}

// checkShapes returns how many sizes of the main graph's nodes are known.
func checkShapes(t *testing.T, m *onnxtest.Model, inputs map[string]onnxtest.Array) (known int) {
	t.Helper()
	got, files := inferredShapes(t, m.Bytes()), m.Files()
	m, err := onnxtest.Parse(m.Bytes())
	if err == nil {
		err = m.Load(files)
	}
	if err != nil {
		t.Fatal(err)
	}
	if inputs == nil {
		inputs = onnxtest.RandomInputs(m, 1)
	}
	m.Graph.Outputs = nil
	for _, n := range m.Graph.Nodes {
		for _, name := range n.Out {
			if name != "" {
				m.Graph.Outputs = append(m.Graph.Outputs, onnxtest.Val(name, onnxtest.Float32))
			}
		}
	}
	values, err := onnxtest.Eval(m, inputs)
	if err != nil {
		t.Skip(err)
	}
	symbols := map[int]int{}
	for name, a := range values {
		s, ok := got[name]
		if !ok || !s.known {
			continue
		}
		if len(s.dims) != len(a.Dims) {
			t.Errorf("%q: shape %v, evaluated %v", name, s.dims, a.Dims)
			continue
		}
		for i, d := range s.dims {
			size, met := symbols[d]
			symbols[d] = a.Dims[i]
			if d == -1 || d >= 0 && d != a.Dims[i] || d < -1 && met && size != a.Dims[i] {
				t.Errorf("%q: shape %v, evaluated %v", name, s.dims, a.Dims)
			}
			if d >= 0 {
				known++
			}
		}
	}
	return known
}

// inferredShapes are the shapes of what nodes of the main graph compute, without what the file states of them.
func inferredShapes(t *testing.T, b []byte) map[string]shape {
	t.Helper()
	m, err := readModel(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if m.externals, err = newExternals(""); err != nil {
		t.Fatal(err)
	}
	for v := range m.values {
		if m.values[v].producer >= 0 {
			m.values[v].info = -1
		}
	}
	shapes := map[string]shape{}
	for v := range m.values {
		if val := &m.values[v]; val.graph == 0 && val.producer >= 0 {
			shapes[m.name(int32(v))] = m.shape(int32(v))
		}
	}
	return shapes
}

// windowModels are kernels of every operator that has one, of 3 by 2, with strides, dilations and paddings.
func windowModels() (models []*onnxtest.Model) {
	ints := onnxtest.Ints
	for _, op := range []string{"Conv", "ConvTranspose", "MaxPool", "AveragePool"} {
		for stride := range int64(3) {
			for i, padding := range [][]onnxtest.Attr{
				nil,
				{ints("pads", 0, 1, 2, 1)},
				{onnxtest.String("auto_pad", "VALID")},
				{onnxtest.String("auto_pad", "SAME_UPPER")},
				{onnxtest.String("auto_pad", "SAME_LOWER")},
				{ints("dilations", 2, 3)},
				{ints("dilations", 1, 2), ints("pads", 1, 1, 0, 1)},
			} {
				if op == "ConvTranspose" && (i == 3 || i == 4) || op == "AveragePool" && i > 4 {
					continue // the sizes of the first are left open, the second had no dilations
				}
				n := onnxtest.Node{Op: op, Name: fmt.Sprint(op, stride, i), In: []string{"x"}, Out: []string{"y"}, Attrs: padding}
				n.Attrs = append(n.Attrs, ints("kernel_shape", 3, 2), ints("strides", stride+1, 1+stride/2))
				g := &onnxtest.Graph{Name: "g", Inputs: []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 2, 1, 9, 8)}}
				if op == "Conv" || op == "ConvTranspose" {
					n.In = append(n.In, "w")
					g.Init = []onnxtest.Tensor{onnxtest.NewTensor("w", onnxtest.Float32, []int64{1, 1, 3, 2}, 1, 2, 3, 4, 5, 6)}
				}
				g.Nodes, g.Outputs = []onnxtest.Node{n}, []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32)}
				models = append(models, &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 15}}, Graph: g})
			}
		}
	}
	return models
}
