package checkpoint

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// stateOfGraph is the checkpoint that an ONNX model was exported from: its initializers, and those that the
// exporter took for equal and shares through Identity.
func stateOfGraph(t *testing.T, m *onnxtest.Model) []byte {
	t.Helper()
	return encode(nil, tensorsOfGraph(m)...)
}

func tensorsOfGraph(m *onnxtest.Model) []made {
	var tensors []made
	byName := map[string]made{}
	add := func(x made) {
		tensors = append(tensors, x)
		byName[x.name] = x
	}
	names := map[onnxtest.ElemType]string{onnxtest.Float32: "F32", onnxtest.Float64: "F64", onnxtest.Float16: "F16"}
	for _, x := range m.Graph.Init {
		if dtype := names[x.Elem]; dtype != "" && !strings.Contains(x.Name, "::") {
			shape := []int{}
			for _, d := range x.Dims {
				shape = append(shape, int(d))
			}
			add(made{x.Name, dtype, shape, x.RawBytes()})
		}
	}
	for _, n := range m.Graph.Nodes {
		if x, ok := byName[first(n.In)]; ok && n.Op == "Identity" {
			x.name = n.Out[0]
			add(x)
		}
	}
	return tensors
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// TestGraphs folds the state dict behind every graph of testdata by that graph. The weights are those of the
// folded graph, bit for bit, where that holds them under the same name.
func TestGraphs(t *testing.T) {
	want := map[string]int{"siamese": 3} // the modules of 6 nodes, each run twice
	engine := host.New()
	models, err := filepath.Glob("../testdata/*.onnx")
	if err != nil || len(models) == 0 {
		t.Fatal("no testdata")
	}
	for _, path := range models {
		name := strings.TrimSuffix(filepath.Base(path), ".onnx")
		before, err := onnxtest.Parse(readAll(t, path))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "external") {
			continue // its weights lie elsewhere
		}
		fused := filepath.Join(t.TempDir(), "fused.onnx")
		res, err := onnx.FuseFile(context.Background(), path, fused, onnx.Options{Engine: engine})
		if err != nil {
			t.Fatal(err)
		}
		graph, alone := map[string]bool{}, true // alone: nothing else is folded
		for _, s := range res.Plan.Steps {
			if s.Norm.Kind == "BatchNormalization" {
				graph[s.Norm.Name] = true
			} else {
				alone = false
			}
		}
		in := write(t, "in.safetensors", stateOfGraph(t, before))
		out, got := fuseAnd(t, in, Options{Engine: engine, Graph: path})
		folded := map[string]bool{}
		for _, s := range got.Plan.Steps {
			folded[s.Norm.Name] = true
		}
		wantFolded, ok := want[name]
		if !ok {
			wantFolded = len(graph)
		}
		if len(folded) != wantFolded {
			t.Errorf("%s: %d norms folded, %d in the graph; kept: %+v", name, len(folded), len(graph), got.Plan.Skips)
		}
		after, err := onnxtest.Parse(readAll(t, fused))
		if err != nil {
			t.Fatal(err)
		}
		tensors := tensorsOf(t, out)
		for _, x := range after.Graph.Init {
			if y, ok := tensors[x.Name]; ok && len(x.Dims) > 1 && alone && len(folded) == len(graph) && !bytes.Equal(x.RawBytes(), y.data) {
				t.Errorf("%s: %s is not that of the folded graph", name, x.Name)
			}
		}
	}
}

// TestNormsGone: a graph whose exporter folded the norms is recognised, and the reason says how to export it.
func TestNormsGone(t *testing.T) {
	conv := onnxtest.NewTensor("onnx::Conv_11", onnxtest.Float32, []int64{1, 1, 1, 1}, 1)
	bias := onnxtest.NewTensor("onnx::Conv_12", onnxtest.Float32, []int64{1}, 1)
	m := onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 14}}, Graph: &onnxtest.Graph{
		Name: "g", Init: []onnxtest.Tensor{conv, bias},
		Nodes:   []onnxtest.Node{{Op: "Conv", In: []string{"x", conv.Name, bias.Name}, Out: []string{"y"}}},
		Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 1, 4, 4)},
		Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, 1, 4, 4)},
	}}
	in := write(t, "in.safetensors", encode(nil, pairTensors("F32")...))
	out, res := fuseAnd(t, in, Options{Graph: write(t, "gone.onnx", m.Bytes())})
	if len(res.Plan.Skips) != 1 || res.Plan.Skips[0].Reason != ReasonNoPairs || !strings.Contains(res.Plan.Skips[0].Detail, "training=TrainingMode.PRESERVE") {
		t.Errorf("%+v", res.Plan)
	}
	if !bytes.Equal(readAll(t, in), readAll(t, out)) {
		t.Error("the output is no copy")
	}
}

// TestSharedGraph: several checkpoints take their pairs from one graph, each with its own values.
func TestSharedGraph(t *testing.T) {
	whole := readAll(t, "../testdata/resnet.safetensors")
	changed := bytes.Clone(whole)
	changed[len(changed)-1] ^= 1
	o := Options{Graph: "../testdata/resnet.onnx"}
	a, _ := fuseAnd(t, write(t, "a.safetensors", whole), o)
	b, res := fuseAnd(t, write(t, "b.safetensors", changed), o)
	if len(res.Plan.Steps) != 9 || bytes.Equal(readAll(t, a), readAll(t, b)) {
		t.Errorf("%+v", res.Plan)
	}
}

// shares is a graph of two convolutions that share their weight; the norms follow them in turn, and ""
// stands for none.
func shares(norms ...string) *onnxtest.Model {
	g := &onnxtest.Graph{
		Name:    "g",
		Init:    []onnxtest.Tensor{onnxtest.NewTensor("conv.weight", onnxtest.Float32, []int64{2, 2, 1, 1}, 1, 2, 3, 4)},
		Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 2, 4, 4)},
		Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, 2, 4, 4)},
	}
	stored := map[string]bool{}
	at := "x"
	node := func(op, out string, in ...string) {
		g.Nodes = append(g.Nodes, onnxtest.Node{Op: op, In: append([]string{at}, in...), Out: []string{out}})
		at = out
	}
	for i, norm := range norms {
		node("Conv", fmt.Sprint("conv", i), "conv.weight")
		if norm != "" {
			in := []string{norm + ".weight", norm + ".bias", norm + ".running_mean", norm + ".running_var"}
			for _, name := range in {
				if !stored[name] {
					g.Init = append(g.Init, onnxtest.NewTensor(name, onnxtest.Float32, []int64{2}, 1, 2))
				}
				stored[name] = true
			}
			node("BatchNormalization", fmt.Sprint("norm", i), in...)
		}
		node("Relu", fmt.Sprint("relu", i))
	}
	node("Relu", "y")
	return &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 14}}, Graph: g}
}

// TestSharedWeight: the graph can copy a weight that two nodes read; a checkpoint has it once, so all its
// nodes need the same norms.
func TestSharedWeight(t *testing.T) {
	for _, c := range []struct {
		norms  []string
		folded int
	}{
		{[]string{"bn", ""}, 0},
		{[]string{"", "bn"}, 0},
		{[]string{"a", "b"}, 0},
		{[]string{"bn", "bn"}, 1},
		{[]string{"bn", "bn", ""}, 0},
	} {
		m := shares(c.norms...)
		in := write(t, "in.safetensors", stateOfGraph(t, m))
		graph := write(t, "m.onnx", m.Bytes())
		_, res := fuseAnd(t, in, Options{Graph: graph})
		if len(res.Plan.Steps) != c.folded {
			t.Errorf("%q: %+v", c.norms, res.Plan)
		}
		pairs, _, err := GraphPairs(t.Context(), graph, host.New())
		if err != nil || len(pairs) != c.folded {
			t.Errorf("%q: pairs %+v, %v", c.norms, pairs, err)
		}
		for _, s := range res.Plan.Skips {
			if s.Reason != fuse.ReasonLayerShared {
				t.Errorf("%q: kept for %q: %s", c.norms, s.Reason, s.Detail)
			}
		}
	}
}

// TestUnread: a module's tensor that the graph does not read is used elsewhere, or not at all, and one that it reads
// must be there.
func TestUnread(t *testing.T) {
	vector := func(name string) made { return floats(name, "F32", []int{2}, 3, 5) }
	withoutBias, withBias := shares("bn"), shares("bn")
	withBias.Graph.Nodes[0].In = append(withBias.Graph.Nodes[0].In, "conv.bias")
	withBias.Graph.Init = append(withBias.Graph.Init, onnxtest.NewTensor("conv.bias", onnxtest.Float32, []int64{2}, 3, 5))
	plain := shares("bn") // as exported from a norm without weight and bias, or from one of which the model reads none
	for i, name := range []string{"ones", "zeros"} {
		plain.Graph.Nodes[1].In[1+i] = name
		plain.Graph.Init = append(plain.Graph.Init, onnxtest.NewTensor(name, onnxtest.Float32, []int64{2}, float64(1-i), float64(1-i)))
	}
	linear := &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 14}}, Graph: &onnxtest.Graph{
		Name: "g",
		Nodes: []onnxtest.Node{
			{Op: "BatchNormalization", In: []string{"x", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"}, Out: []string{"n"}},
			{Op: "Transpose", In: []string{"fc.weight"}, Out: []string{"t"}},
			{Op: "MatMul", In: []string{"n", "t"}, Out: []string{"m"}},
			{Op: "Add", In: []string{"fc.bias", "m"}, Out: []string{"y"}},
		},
		Init: []onnxtest.Tensor{ // before the training: the norm shifts nothing
			onnxtest.NewTensor("fc.weight", onnxtest.Float32, []int64{2, 2}, 1, 2, 3, 4), onnxtest.NewTensor("fc.bias", onnxtest.Float32, []int64{2}, 3, 5),
			onnxtest.NewTensor("bn.weight", onnxtest.Float32, []int64{2}, 1, 1), onnxtest.NewTensor("bn.bias", onnxtest.Float32, []int64{2}, 0, 0),
			onnxtest.NewTensor("bn.running_mean", onnxtest.Float32, []int64{2}, 0, 0), onnxtest.NewTensor("bn.running_var", onnxtest.Float32, []int64{2}, 1, 1),
		},
		Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 3, 2)},
		Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 3, 2)},
	}}
	fc := []made{floats("fc.weight", "F32", []int{2, 2}, 1, 2, 3, 4), vector("fc.bias")}
	state := []made{floats("conv.weight", "F32", []int{2, 2, 1, 1}, 1, 2, 3, 4), vector("bn.running_mean"), vector("bn.running_var")}
	affine := []made{vector("bn.weight"), vector("bn.bias")}
	for _, c := range []struct {
		why    string
		graph  *onnxtest.Model
		state  []made
		reason fuse.Reason // "" for a fold
	}{
		{"all is read", withoutBias, slices.Concat(state, affine), ""},
		{"all is read", withBias, slices.Concat(state, affine, []made{vector("conv.bias")}), ""},
		{"the model adds the bias elsewhere", withoutBias, slices.Concat(state, affine, []made{vector("conv.bias")}), ReasonUnread},
		{"a bias is missing", withBias, slices.Concat(state, affine), ReasonMissing},
		{"the norm has no weight and bias", plain, state, ""},
		{"the model leaves out the norm's weight and bias", plain, slices.Concat(state, affine), ReasonUnread},
		{"the bias is an Add, and the graph's norm shifts nothing", linear, slices.Concat(fc, state[1:], affine), ""},
		{"a norm's bias is missing", withoutBias, slices.Concat(state, affine[:1]), ReasonMissing},
	} {
		for _, keep := range []bool{false, true} {
			if keep && c.reason == "" {
				continue
			}
			in := write(t, "in.safetensors", encode(nil, c.state...))
			_, res := fuseAnd(t, in, Options{Graph: write(t, "m.onnx", c.graph.Bytes()), KeepNorms: keep})
			switch {
			case c.reason == "" && len(res.Plan.Steps) != 1, c.reason != "" && (len(res.Plan.Skips) != 1 || res.Plan.Skips[0].Reason != c.reason):
				t.Errorf("%s, norms kept %v: %+v", c.why, keep, res.Plan)
			}
		}
	}
}

// TestTwins: safetensors have a tied weight twice, and the graph knows it by one name only. Two weights that the
// pairs know both are two, though they may be equal before the training.
func TestTwins(t *testing.T) {
	one := shares("bn")
	tied := encode(nil, slices.Concat(tensorsOfGraph(one), []made{floats("embedding.weight", "F32", []int{2, 2, 1, 1}, 1, 2, 3, 4)})...)
	other := encode(nil, slices.Concat(tensorsOfGraph(one), []made{floats("embedding.weight", "F32", []int{2, 2, 1, 1}, 1, 2, 3, 5)})...)
	two := shares("bn", "other")
	two.Graph.Nodes[3].In[1] = "another.weight"
	two.Graph.Init = append(two.Graph.Init, onnxtest.NewTensor("another.weight", onnxtest.Float32, []int64{2, 2, 1, 1}, 1, 2, 3, 4))
	for _, c := range []struct {
		why    string
		graph  *onnxtest.Model
		state  []byte
		folded int
	}{
		{"a twin that the graph does not know", one, tied, 0},
		{"another weight of the shape", one, other, 1},
		{"two weights of the graph", two, stateOfGraph(t, two), 2},
	} {
		_, res := fuseAnd(t, write(t, "in.safetensors", c.state), Options{Graph: write(t, "m.onnx", c.graph.Bytes())})
		if len(res.Plan.Steps) != c.folded {
			t.Errorf("%s: %+v", c.why, res.Plan)
		}
	}
}

// TestSharedWithNameless: a layer whose norm has no module's name stays as it is, and so do the tensors that it
// reads, its norm's among them.
func TestSharedWithNameless(t *testing.T) {
	rename := func(m *onnxtest.Model, from, to string) {
		for i := range m.Graph.Init {
			if m.Graph.Init[i].Name == from {
				m.Graph.Init[i].Name = to
			}
		}
		m.EachNode(func(n *onnxtest.Node) {
			for i := range n.In {
				if n.In[i] == from {
					n.In[i] = to
				}
			}
		})
	}
	weight := shares("bn", "other")
	rename(weight, "other.running_mean", "a mean")
	scale := shares("bn", "other")
	scale.Graph.Nodes[3].In[1] = "another.weight" // the second convolution has a weight of its own
	scale.Graph.Init = append(scale.Graph.Init, onnxtest.NewTensor("another.weight", onnxtest.Float32, []int64{2, 2, 1, 1}, 1, 2, 3, 5))
	rename(scale, "other.running_mean", "a mean")
	scale.Graph.Nodes[4].In[1] = "bn.bias" // as its scale
	for what, m := range map[string]*onnxtest.Model{"the weight": weight, "the norm's bias": scale} {
		_, res := fuseAnd(t, write(t, "in.safetensors", stateOfGraph(t, m)), Options{Graph: write(t, "m.onnx", m.Bytes())})
		if len(res.Plan.Steps) != 0 || len(res.Plan.Skips) == 0 || res.Plan.Skips[0].Reason != fuse.ReasonLayerShared {
			t.Errorf("%s is shared: %+v", what, res.Plan)
		}
	}
}

// TestNearerStays: a norm that no module's name tells stays, and with it the norms that it keeps from their
// layer.
func TestNearerStays(t *testing.T) {
	vector := func(name string) onnxtest.Tensor {
		return onnxtest.NewTensor(name, onnxtest.Float32, []int64{2}, 1, 2)
	}
	for mean, want := range map[string]int{"a.running_mean": 2, "a.odd": 0} {
		g := &onnxtest.Graph{
			Name: "g",
			Init: []onnxtest.Tensor{onnxtest.NewTensor("conv.weight", onnxtest.Float32, []int64{2, 2, 1, 1}, 1, 2, 3, 4),
				vector("a.weight"), vector("a.bias"), vector(mean), vector("a.running_var"),
				vector("b.weight"), vector("b.bias"), vector("b.running_mean"), vector("b.running_var")},
			Nodes: []onnxtest.Node{
				{Op: "Conv", In: []string{"x", "conv.weight"}, Out: []string{"1"}},
				{Op: "BatchNormalization", In: []string{"1", "a.weight", "a.bias", mean, "a.running_var"}, Out: []string{"2"}},
				{Op: "BatchNormalization", In: []string{"2", "b.weight", "b.bias", "b.running_mean", "b.running_var"}, Out: []string{"y"}},
			},
			Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 2, 4, 4)},
			Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, 2, 4, 4)},
		}
		m := &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 14}}, Graph: g}
		in, graph := write(t, "in.safetensors", stateOfGraph(t, m)), write(t, "m.onnx", m.Bytes())
		_, res := fuseAnd(t, in, Options{Graph: graph})
		pairs, left, err := GraphPairs(t.Context(), graph, host.New())
		if err != nil || len(res.Plan.Steps) != want || len(pairs) != want || len(pairs) == 0 && left == 0 {
			t.Errorf("%s: %+v; %d pairs, %d left, %v", mean, res.Plan, len(pairs), left, err)
		}
	}
}

// readCounter counts how often it is read.
type readCounter struct {
	io.ReaderAt
	n *int
}

func (c readCounter) ReadAt(b []byte, off int64) (int, error) {
	*c.n++
	return c.ReaderAt.ReadAt(b, off)
}

// TestTwinsAreFoundInOneGo: many layers of one shape are not compared with each other.
func TestTwinsAreFoundInOneGo(t *testing.T) {
	const n = 500
	var tensors []made
	for i := range n {
		tensors = append(tensors, floats(fmt.Sprintf("a%d.weight", i), "F32", []int{2, 2}, float64(i), 2, 3, 4))
	}
	c, err := open(write(t, "in.safetensors", encode(nil, tensors...)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	reads := 0
	for _, x := range c.tensors() {
		x.src = readCounter{x.src, &reads}
	}
	for _, x := range c.tensors() {
		if other, err := c.twin(x, func(*tensor) bool { return true }); other != nil || err != nil {
			t.Fatalf("%s: %v, %v", x.name, other, err)
		}
	}
	if reads > 2*n {
		t.Errorf("%d tensors were read %d times", n, reads)
	}
}

// TestReshapedOutputs: a generator begins with a Linear whose outputs become channels and positions. What a graph
// tells of it, a pairs file says too, unless the layer is a convolution.
func TestReshapedOutputs(t *testing.T) {
	for op, weight := range map[string][]int64{"Gemm": {8, 3}, "Conv": {8, 3, 1, 1}} {
		x := []any{1, 3, 1, 1}[:len(weight)]
		g := &onnxtest.Graph{
			Name:    "g",
			Init:    []onnxtest.Tensor{onnxtest.NewTensor("l.weight", onnxtest.Float32, weight), onnxtest.NewTensor("to", onnxtest.Int64, []int64{4}, 1, 2, 2, 2)},
			Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, x...)},
			Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, 2, 2, 2)},
			Nodes: []onnxtest.Node{
				{Op: op, In: []string{"x", "l.weight"}, Out: []string{"1"}},
				{Op: "Reshape", In: []string{"1", "to"}, Out: []string{"2"}},
				{Op: "BatchNormalization", In: []string{"2", "n.weight", "n.bias", "n.running_mean", "n.running_var"}, Out: []string{"y"}},
			},
		}
		if op == "Gemm" {
			g.Nodes[0].Attrs = []onnxtest.Attr{onnxtest.Int("transB", 1)}
		}
		for i := range 24 {
			g.Init[0].Data = append(g.Init[0].Data, float64(i))
		}
		for _, param := range g.Nodes[2].In[1:] {
			g.Init = append(g.Init, onnxtest.NewTensor(param, onnxtest.Float32, []int64{2}, 1, 2))
		}
		m := &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 14}}, Graph: g}
		in, graph := write(t, "in.safetensors", stateOfGraph(t, m)), write(t, "m.onnx", m.Bytes())
		out, res := fuseAnd(t, in, Options{Graph: graph})
		pairs, left, err := GraphPairs(t.Context(), graph, host.New())
		if op == "Conv" {
			if err != nil || len(res.Plan.Steps) != 0 || len(pairs) != 0 || left != 1 {
				t.Errorf("%s: %+v; %+v, %d left, %v", op, res.Plan, pairs, left, err)
			}
			continue
		}
		if err != nil || len(res.Plan.Steps) != 1 || len(pairs) != 1 || !pairs[0].Flattened {
			t.Fatalf("%s: %+v; %+v, %v", op, res.Plan, pairs, err)
		}
		again, _ := fuseAnd(t, in, Options{Pairs: pairsOf(t, pairs...)})
		one, two := tensorsOf(t, out), tensorsOf(t, again)
		if len(one["l.bias"].shape) != 1 || one["l.bias"].shape[0] != 8 || !bytes.Equal(one["l.weight"].data, two["l.weight"].data) || !bytes.Equal(one["l.bias"].data, two["l.bias"].data) {
			t.Errorf("by the graph %v, by its pairs %v", one, two)
		}
	}
}
