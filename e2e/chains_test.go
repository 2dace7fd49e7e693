package e2e

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// TestChains puts every sequence of three of these behind a layer of each kind. Nothing stands between the layers
// and the norms but what can be looked through, so every norm, written out or not, must go: what is left is at
// most the Add that gives a MatMul its bias.
func TestChains(t *testing.T) {
	links := []string{"BatchNormalization", "Mul", "Add", "Sub", "Div", "Identity", "Dropout", "layer"}
	if testing.Short() {
		links = []string{"BatchNormalization", "Add", "Sub", "Identity", "layer"}
	}
	for _, layer := range []string{"Conv", "ConvTranspose", "Gemm", "MatMul"} {
		t.Run(layer, func(t *testing.T) {
			t.Parallel()
			for _, a := range links {
				for _, b := range links {
					for _, c := range links {
						t.Run(a+"_"+b+"_"+c, func(t *testing.T) { checkChain(t, layer, a, b, c) })
					}
				}
			}
		})
	}
}

func checkChain(t *testing.T, layer string, links ...string) {
	dir := t.TempDir()
	model, out, again := filepath.Join(dir, "model.onnx"), filepath.Join(dir, "out.onnx"), filepath.Join(dir, "again.onnx")
	writeFile(t, model, chain(layer, links).Bytes())
	fuse(t, model, out)
	fuse(t, out, again)
	before, after := parseModel(t, model), parseModel(t, out)
	err := errors.Join(onnxtest.Sound(before, after), onnxtest.Compare(before, after, nil))
	if string(readFile(t, out)) != string(readFile(t, again)) {
		err = errors.Join(err, errors.New("folding twice is not folding once"))
	}
	ops := countOps(after)
	if ops["BatchNormalization"]+ops["Mul"]+ops["Sub"]+ops["Div"] > 0 || ops["Add"] > ops["MatMul"] {
		err = errors.Join(err, errors.New("not all norms are folded"))
	}
	if err != nil {
		t.Errorf("%s became %s: %v", opTypes(before), opTypes(after), err)
	}
}

func chain(layer string, links []string) *onnxtest.Model {
	g := &onnxtest.Graph{Name: "chain"}
	isConv := layer == "Conv" || layer == "ConvTranspose"
	dims, perChannel, weight := []int64{2, 4}, []int64{4}, []int64{4, 4}
	if isConv {
		dims, perChannel, weight = []int64{1, 4, 3, 2}, []int64{4, 1, 1}, []int64{4, 4, 1, 1}
	}
	param := func(shape []int64, seed int) string {
		tensor := onnxtest.NewTensor(fmt.Sprintf("c%d", len(g.Init)), onnxtest.Float32, shape)
		for i := range tensor.NumElem() {
			tensor.Data = append(tensor.Data, 0.5+float64((5*i+3*seed)%11)/10)
		}
		g.Init = append(g.Init, tensor)
		return tensor.Name
	}
	x := "x"
	for i, op := range append([]string{layer}, links...) {
		in := []string{x}
		switch op {
		case "layer", layer:
			op = layer
			in = append(in, param(weight, i))
		case "BatchNormalization":
			for p := range 4 {
				in = append(in, param([]int64{4}, 4*i+p))
			}
		case "Add", "Sub": // the same constant: one undoes the other
			in = append(in, param(perChannel, 1))
		case "Mul", "Div":
			in = append(in, param(perChannel, 2))
		}
		x = fmt.Sprintf("v%d", i)
		g.Nodes = append(g.Nodes, onnxtest.Node{Op: op, Name: op + "_" + x, In: in, Out: []string{x}})
	}
	g.Inputs, g.Outputs = []onnxtest.Value{value("x", dims)}, []onnxtest.Value{value(x, dims)}
	return &onnxtest.Model{IR: 4, Opsets: []onnxtest.Opset{{Version: 11}}, Graph: g}
}
