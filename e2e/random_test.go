package e2e

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

var randomGraphs = flag.Uint64("graphs", 300, "how many random graphs to fold")

// TestRandomGraphs folds graphs that no one thought of: layers, norms, constants that broadcast this way
// and that, shared weights, values used twice. What becomes of the norms is not checked, only that the
// outputs stay: in float64, and in ONNX Runtime.
func TestRandomGraphs(t *testing.T) {
	needRuntime(t)
	folded := 0
	for seed := range *randomGraphs {
		dir := t.TempDir()
		model, out, again := filepath.Join(dir, "model.onnx"), filepath.Join(dir, "out.onnx"), filepath.Join(dir, "again.onnx")
		writeFile(t, model, randomModel(seed).Bytes())
		folded += fuse(t, model, out).Folded
		fuse(t, out, again)
		if string(readFile(t, out)) != string(readFile(t, again)) {
			t.Errorf("seed %d: folding twice is not folding once", seed)
		}
		equivalent(t, model, out, normal(nil), 1e-4)
		before, after := loadModel(t, model), loadModel(t, out)
		if err := errors.Join(onnxtest.Sound(before, after), onnxtest.Compare(before, after, nil)); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("randomModel(%d) is the model: %v", seed, opTypes(before))
		}
	}
	if uint64(folded) < *randomGraphs/2 {
		t.Errorf("%d norms folded in %d graphs: this hardly tests anything", folded, *randomGraphs)
	}
	t.Logf("%d norms folded in %d graphs", folded, *randomGraphs)
}

func opTypes(m *onnxtest.Model) []string {
	var list []string
	m.EachNode(func(n *onnxtest.Node) { list = append(list, n.Op) })
	return list
}

// TestRandomGraphsAreModels checks the graphs themselves: ONNX Runtime and the evaluator agree on each.
func TestRandomGraphsAreModels(t *testing.T) {
	needRuntime(t)
	for seed := range *randomGraphs {
		model := filepath.Join(t.TempDir(), "model.onnx")
		writeFile(t, model, randomModel(seed).Bytes())
		agree(t, model, normal(nil), 1e-4)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// graphMaker grows a graph node by node and knows the shape of every value.
type graphMaker struct {
	*rand.Rand
	graph  onnxtest.Graph
	opset  int64
	values []shaped
	consts []shaped
}

type shaped struct {
	name string
	dims []int64
}

func randomModel(seed uint64) *onnxtest.Model {
	g := &graphMaker{Rand: rand.New(rand.NewPCG(seed, 7)), graph: onnxtest.Graph{Name: "random"}}
	g.opset = int64(7 + g.IntN(11))
	dims := [][]int64{{2, 6}, {2, 6, 5}, {2, 4, 6, 5}, {1, 4, 5, 5}, {1, 4, 4, 3, 4}}[g.IntN(5)]
	g.graph.Inputs = []onnxtest.Value{value("x", dims)}
	g.values = []shaped{{"x", dims}}
	for range 3 + g.IntN(8) {
		g.grow()
	}
	last := g.values[len(g.values)-1]
	g.graph.Outputs = []onnxtest.Value{value(last.name, last.dims)}
	if other := g.values[g.IntN(len(g.values))]; g.IntN(4) == 0 && other.name != last.name && other.name != "x" {
		g.graph.Outputs = append(g.graph.Outputs, value(other.name, other.dims))
	}
	return &onnxtest.Model{IR: 4, Opsets: []onnxtest.Opset{{Version: g.opset}}, Graph: &g.graph}
}

func value(name string, dims []int64) onnxtest.Value {
	v := onnxtest.Val(name, onnxtest.Float32)
	for _, d := range dims {
		v.Dims = append(v.Dims, onnxtest.Dim{Size: d})
	}
	return v
}

// grow adds one node after the newest value, or now and then after an older one.
func (g *graphMaker) grow() {
	x := g.values[len(g.values)-1]
	if g.IntN(10) == 0 {
		x = g.values[g.IntN(len(g.values))]
	}
	rank := len(x.dims)
	switch g.IntN(16) {
	case 0, 1, 2:
		if rank >= 3 {
			g.conv(x)
		} else {
			g.gemm(x)
		}
	case 3:
		if rank >= 3 {
			g.convTranspose(x)
		} else {
			g.matMul(x)
		}
	case 4:
		g.matMul(x)
	case 5, 6, 7, 8:
		g.norm(x)
	case 9, 10, 11, 12:
		g.affine(x)
	case 13:
		g.passThrough(x)
	case 14:
		g.add("Relu", x.dims, []string{x.name})
	case 15:
		g.reshape(x)
	}
}

// add appends a node and gives its output.
func (g *graphMaker) add(op string, dims []int64, in []string, attrs ...onnxtest.Attr) string {
	name := fmt.Sprintf("v%d", len(g.graph.Nodes))
	g.graph.Nodes = append(g.graph.Nodes, onnxtest.Node{Op: op, Name: op + "_" + name, In: in, Out: []string{name}, Attrs: attrs})
	g.values = append(g.values, shaped{name, dims})
	return name
}

// constant gives a tensor of numbers from ±[low, high]: a new one or, one time in five, one that is already in use.
func (g *graphMaker) constant(low, high float64, dims ...int64) string {
	if i := slices.IndexFunc(g.consts, func(c shaped) bool { return slices.Equal(c.dims, dims) }); i >= 0 && g.IntN(5) == 0 {
		return g.consts[i].name
	}
	name := fmt.Sprintf("c%d", len(g.consts))
	data := make([]float64, numElem(dims))
	for i := range data {
		data[i] = low + (high-low)*g.Float64()
		if g.IntN(3) == 0 {
			data[i] = -data[i]
		}
	}
	t := onnxtest.NewTensor(name, onnxtest.Float32, dims, data...)
	g.consts = append(g.consts, shaped{name, dims})
	if g.IntN(6) == 0 {
		g.graph.Nodes = append(g.graph.Nodes, onnxtest.Node{Op: "Constant", Out: []string{name}, Attrs: []onnxtest.Attr{onnxtest.TensorAttr("value", t)}})
	} else {
		g.graph.Init = append(g.graph.Init, t)
	}
	return name
}

// kernel gives a weight and, one time in two, a bias.
func (g *graphMaker) kernel(out int64, dims ...int64) []string {
	in := []string{g.constant(0.1, 1, dims...)}
	if g.IntN(2) == 0 {
		in = append(in, g.constant(0.1, 1, out))
	}
	return in
}

func (g *graphMaker) groups(c int64) int64 {
	if g.IntN(2) == 0 {
		return 1
	}
	for _, n := range []int64{c, 3, 2} {
		if c%n == 0 && g.IntN(2) == 0 {
			return n
		}
	}
	return 1
}

func (g *graphMaker) conv(x shaped) {
	c, groups := x.dims[1], g.groups(x.dims[1])
	out := groups * int64(1+g.IntN(3))
	k, pad := int64(1+2*g.IntN(2)), int64(g.IntN(2))
	dims := []int64{x.dims[0], out}
	weight := []int64{out, c / groups}
	var pads []int64
	for _, d := range x.dims[2:] {
		if d+2*pad < k {
			return
		}
		dims, weight, pads = append(dims, d+2*pad-k+1), append(weight, k), append(pads, pad)
	}
	attrs := []onnxtest.Attr{onnxtest.Int("group", groups)}
	switch {
	case g.IntN(6) == 0: // the size stays
		attrs = append(attrs, onnxtest.String("auto_pad", "SAME_UPPER"))
		copy(dims[2:], x.dims[2:])
	case pad > 0:
		attrs = append(attrs, onnxtest.Ints("pads", append(pads, pads...)...))
	}
	g.add("Conv", dims, append([]string{x.name}, g.kernel(out, weight...)...), attrs...)
}

func (g *graphMaker) convTranspose(x shaped) {
	c, groups := x.dims[1], g.groups(x.dims[1])
	perGroup, k := int64(1+g.IntN(3)), int64(1+g.IntN(3))
	dims, weight := []int64{x.dims[0], groups * perGroup}, []int64{c, perGroup}
	for _, d := range x.dims[2:] {
		if d > 12 {
			return
		}
		dims, weight = append(dims, d+k-1), append(weight, k)
	}
	g.add("ConvTranspose", dims, append([]string{x.name}, g.kernel(groups*perGroup, weight...)...), onnxtest.Int("group", groups))
}

func (g *graphMaker) gemm(x shaped) {
	in, out := x.dims[1], int64(2+g.IntN(6))
	weight, transB := []int64{in, out}, int64(0)
	if g.IntN(2) == 0 {
		weight, transB = []int64{out, in}, 1
	}
	operands := []string{x.name, g.constant(0.1, 1, weight...)}
	bias := [][]int64{{out}, {1, out}, {x.dims[0], 1}, {x.dims[0], out}, {1}, nil}[g.IntN(6)]
	if bias != nil || g.opset < 11 { // the bias is optional since opset 11
		if bias == nil {
			bias = []int64{out}
		}
		operands = append(operands, g.constant(0.1, 1, bias...))
	}
	attrs := []onnxtest.Attr{onnxtest.Int("transB", transB)}
	if g.IntN(3) == 0 {
		attrs = append(attrs, onnxtest.Float("alpha", 0.5), onnxtest.Float("beta", 2))
	}
	g.add("Gemm", []int64{x.dims[0], out}, operands, attrs...)
}

// matMul multiplies the last axis, one time in two with a bias added.
func (g *graphMaker) matMul(x shaped) {
	last := len(x.dims) - 1
	in, out := x.dims[last], x.dims[last]
	if g.IntN(2) == 0 {
		out = int64(2 + g.IntN(6))
	}
	dims := append(slices.Clone(x.dims[:last]), out)
	name := g.add("MatMul", dims, []string{x.name, g.constant(0.1, 1, in, out)})
	if g.IntN(2) == 0 {
		g.add("Add", dims, []string{name, g.constant(0.1, 1, out)})
	}
}

func (g *graphMaker) norm(x shaped) {
	c := x.dims[1]
	variance := onnxtest.NewTensor(fmt.Sprintf("var%d", len(g.graph.Nodes)), onnxtest.Float32, []int64{c})
	for range c {
		variance.Data = append(variance.Data, 0.5+g.Float64())
	}
	g.graph.Init = append(g.graph.Init, variance)
	in := []string{x.name, g.constant(0.5, 2, c), g.constant(0.1, 1, c), g.constant(0.1, 1, c), variance.Name}
	var attrs []onnxtest.Attr
	if g.IntN(2) == 0 {
		attrs = append(attrs, onnxtest.Float("epsilon", 0.01))
	}
	g.add("BatchNormalization", x.dims, in, attrs...)
}

// affine multiplies or adds a constant of any shape that broadcasts to x's own.
func (g *graphMaker) affine(x shaped) {
	rank := len(x.dims)
	var dims []int64
	switch g.IntN(4) {
	case 0, 1: // one number for each channel
		dims = slices.Repeat([]int64{1}, rank-1)
		dims[0] = x.dims[1]
	case 2: // one for each element of the last axis, which is a MatMul's channel
		dims = []int64{x.dims[rank-1]}
	case 3:
		dims = slices.Clone(x.dims[g.IntN(rank):])
		for i := range dims {
			if g.IntN(2) == 0 {
				dims[i] = 1
			}
		}
	}
	operands := []string{x.name, g.constant(0.5, 2, dims...)}
	op := []string{"Mul", "Add", "Sub", "Div"}[g.IntN(4)]
	if g.IntN(3) == 0 && op != "Div" { // a quotient of a value near zero is no good measure of anything
		slices.Reverse(operands)
	}
	g.add(op, x.dims, operands)
}

func (g *graphMaker) passThrough(x shaped) {
	if g.IntN(2) == 0 {
		g.add("Identity", x.dims, []string{x.name})
		return
	}
	g.add("Dropout", x.dims, []string{x.name})
}

// reshape changes which axis is which: a transposition, or all axes but the first in one.
func (g *graphMaker) reshape(x shaped) {
	if rank := len(x.dims); g.IntN(2) == 0 {
		dims, perm := make([]int64, rank), make([]int64, rank)
		for i, from := range g.Perm(rank) {
			dims[i], perm[i] = x.dims[from], int64(from)
		}
		g.add("Transpose", dims, []string{x.name}, onnxtest.Ints("perm", perm...))
		return
	}
	g.add("Flatten", []int64{x.dims[0], int64(numElem(x.dims[1:]))}, []string{x.name}, onnxtest.Int("axis", 1))
}
