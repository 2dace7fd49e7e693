package verify_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// TestChains: every chain of up to three norms behind every kind of layer, and one before it, whatever of
// them is folded.
func TestChains(t *testing.T) {
	kinds := []string{"BatchNormalization", "Mul", "Add", "Sub", "Div", "minus", "scalar"}
	var chains [][]string
	for i := range len(kinds) * len(kinds) * len(kinds) {
		chains = append(chains, []string{kinds[i%7], kinds[i/7%7], kinds[i/49]}[:1+i%3])
	}
	for i, layer := range []string{"Conv", "ConvTranspose", "Gemm", "MatMul", "MatMul and Add"} {
		t.Run(layer, func(t *testing.T) {
			dirA := t.TempDir()
			for j, chain := range chains {
				m := chained(layer, (i+j)%4 == 0, chain)
				in := writeModel(t, dirA, m)
				out, folded := fuseFile(t, in)
				if r := verified(t, in, out); !r.OK() || r.Folded != folded {
					t.Errorf("%v: %d norms, %d folded: %s", chain, r.Folded, folded, explain(r))
				}
			}
		})
	}
}

// chained is a layer of four channels with norms behind it, and if so asked one before it.
func chained(layer string, before bool, chain []string) *onnxtest.Model {
	rest, weight := []any{5, 5}, []int64{4, 4, 2, 2}
	attrs := []onnxtest.Attr{}
	switch {
	case layer == "ConvTranspose":
		weight = []int64{4, 2, 2, 2}
		attrs = append(attrs, onnxtest.Int("group", 2))
	case layer == "Gemm":
		attrs = append(attrs, onnxtest.Float("alpha", 0.3), onnxtest.Float("beta", 0.7))
		fallthrough
	case strings.HasPrefix(layer, "MatMul"):
		rest, weight = nil, []int64{4, 4}
	}
	g := &onnxtest.Graph{Name: "g"}
	dims := append([]any{3, 4}, rest...)
	g.Inputs = []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, dims...)}
	at, count := "x", 0
	constant := func(low float64, dims ...int64) string {
		count++
		c := onnxtest.NewTensor(fmt.Sprintf("c%d", count), onnxtest.Float32, dims)
		for i := range c.NumElem() {
			c.Data = append(c.Data, float64(float32(low+math.Abs(math.Sin(float64(7*count+i))))))
		}
		g.Init = append(g.Init, c)
		return c.Name
	}
	node := func(op string, in []string, attrs ...onnxtest.Attr) {
		count++
		name := fmt.Sprintf("n%d", count)
		g.Nodes = append(g.Nodes, onnxtest.Node{Op: op, Name: name, In: in, Out: []string{name + "_out"}, Attrs: attrs})
		at = name + "_out"
	}
	norm := func(kind string) {
		per := []int64{4}
		for range rest {
			per = append(per, 1)
		}
		switch kind {
		case "BatchNormalization":
			node(kind, []string{at, constant(0.5, 4), constant(-0.5, 4), constant(-0.5, 4), constant(0.5, 4)})
		case "minus":
			node("Sub", []string{constant(-1, per...), at})
		case "scalar":
			node("Mul", []string{at, constant(0.5)})
		default:
			node(kind, []string{at, constant(0.5, per...)})
		}
	}
	if before {
		norm("BatchNormalization")
	}
	in := []string{at, constant(-0.5, weight...)}
	op, _, added := strings.Cut(layer, " ")
	if op != "MatMul" && len(chain) > 1 {
		in = append(in, constant(-0.5, 4))
	}
	node(op, in, attrs...)
	if added {
		node("Add", []string{at, constant(-0.5, 4)})
	}
	for _, kind := range chain {
		norm(kind)
	}
	g.Outputs = []onnxtest.Value{{Name: at, Elem: onnxtest.Float32, Unranked: true}}
	return &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 13}}, Graph: g}
}

// TestOddNumbers: weights and biases that are no numbers, zeros of either sign and the smallest numbers.
func TestOddNumbers(t *testing.T) {
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e-45, 3e38}
	for i, c := range onnxtest.Cases() {
		x := odd[i%len(odd)]
		for k := range c.Model.Graph.Init {
			w := &c.Model.Graph.Init[k]
			if w.Elem.IsFloat() && len(w.Data) > 1 && (strings.HasSuffix(w.Name, "_w") || strings.HasSuffix(w.Name, "_b") || w.Name == "w") {
				w.Data[len(w.Data)/2] = x
			}
		}
		in := writeCase(t, c)
		out, folded := fuseFile(t, in)
		if r := verified(t, in, out); !r.OK() || r.Folded != folded {
			t.Errorf("%s with %v: %d norms, %d folded: %s", c.Name, x, r.Folded, folded, explain(r))
		}
	}
}
