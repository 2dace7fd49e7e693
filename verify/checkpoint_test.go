package verify_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
	"github.com/bnfuse/bnfuse/verify"
)

// fuseState fuses a checkpoint with package checkpoint and gives the output and the norms that are in layers.
func fuseState(t *testing.T, in, out string, o verify.Options, keepNorms bool) (norms []string) {
	t.Helper()
	engine := host.New()
	defer engine.Close()
	res, err := checkpoint.FuseFile(context.Background(), in, out,
		checkpoint.Options{Engine: engine, Graph: o.Graph, Pairs: o.Pairs, Eps: o.Eps, KeepNorms: keepNorms, Force: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range res.Plan.Steps {
		if !slices.Contains(norms, s.Norm.Name) {
			norms = append(norms, s.Norm.Name)
		}
	}
	return norms
}

func verifiedState(t *testing.T, a, b string, o verify.Options) *verify.Result {
	t.Helper()
	r, err := verify.Checkpoints(context.Background(), a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rightState fuses a checkpoint and wants its folds to be seen, and to be right.
func rightState(t *testing.T, in string, o verify.Options, keepNorms bool) (folded int) {
	t.Helper()
	out := tempFile(t, "out.safetensors")
	norms := fuseState(t, in, out, o, keepNorms)
	if r := verifiedState(t, in, out, o); !r.OK() || r.Folded != len(norms) {
		t.Errorf("%s, norms kept %v: %d folded, %d found: %s", in, keepNorms, len(norms), r.Folded, explain(r))
	}
	os.Remove(out)
	return len(norms)
}

// TestStatesOfModels: the checkpoints of testdata, and of a folder of real models where BNFUSE_ZOO names one,
// by their graphs, with and without the norms.
func TestStatesOfModels(t *testing.T) {
	for _, dir := range []string{"../testdata", os.Getenv("BNFUSE_ZOO")} {
		if dir == "" {
			continue
		}
		found := 0
		states, _ := filepath.Glob(filepath.Join(dir, "*.*t*"))
		for _, in := range states {
			graph := strings.TrimSuffix(in, filepath.Ext(in)) + ".onnx"
			if ext := filepath.Ext(in); ext != ".pt" && ext != ".safetensors" {
				continue
			}
			for _, keepNorms := range []bool{false, true} {
				found += rightState(t, in, verify.Options{Graph: graph}, keepNorms)
			}
		}
		if found == 0 {
			t.Errorf("%s: nothing is folded", dir)
		}
	}
}

// TestStatesOfGraphs: the stored tensors of every model of testdata as a checkpoint of it, whatever its
// layers and norms are like.
func TestStatesOfGraphs(t *testing.T) {
	models, _ := filepath.Glob("../testdata/*.onnx")
	folded := 0
	for _, graph := range models {
		f := stateOf(parseFile(t, graph))
		in := f.write(t, tempFile(t, "in.safetensors"))
		n := 0
		for _, keepNorms := range []bool{false, true} {
			n += rightState(t, in, verify.Options{Graph: graph}, keepNorms)
		}
		t.Log(filepath.Base(graph), n)
		folded += n
	}
	if folded == 0 {
		t.Error("nothing is folded")
	}
}

// TestStatesByPairs: the same relation from a pairs file, and what the names tell.
func TestStatesByPairs(t *testing.T) {
	for _, name := range []string{"resnet", "mobilenet_v2", "grouped_decoder", "qsparse_net"} {
		engine := host.New()
		pairs, _, err := checkpoint.GraphPairs(context.Background(), "../testdata/"+name+".onnx", engine)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range []string{"../testdata/" + name + ".pt", "../testdata/" + name + ".safetensors"} {
			for _, keepNorms := range []bool{false, true} {
				if rightState(t, in, verify.Options{Pairs: pairsFile(t, pairs...)}, keepNorms) == 0 {
					t.Errorf("%s: nothing is folded", in)
				}
				rightState(t, in, verify.Options{Pairs: verify.NamesPairs, Eps: 1e-5}, keepNorms)
			}
		}
	}
}

func pairsFile(t *testing.T, pairs ...checkpoint.Pair) string {
	t.Helper()
	var b bytes.Buffer
	if err := checkpoint.WritePairs(&b, pairs); err != nil {
		t.Fatal(err)
	}
	path := tempFile(t, "pairs.yaml")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// stateCase is a layer with norms, of which its weight's layout is told by pairs.
type stateCase struct {
	name  string
	shape []int
	bias  int
	norms map[string]int
	pairs []checkpoint.Pair
}

func stateCases() []stateCase {
	after := func(kind fuse.Layout, groups int, norms ...string) (pairs []checkpoint.Pair) {
		for _, n := range norms {
			pairs = append(pairs, checkpoint.Pair{Layer: "l", Norm: n, Kind: kind, Groups: groups, Eps: 1e-3})
		}
		return pairs
	}
	before := func(kind fuse.Layout, groups int, norms ...string) []checkpoint.Pair {
		pairs := after(kind, groups, norms...)
		for i := range pairs {
			pairs[i].Direction = fuse.Before
		}
		return pairs
	}
	flattened := func(pairs []checkpoint.Pair) []checkpoint.Pair {
		last := &pairs[len(pairs)-1]
		last.Flattened = true
		return pairs
	}
	return []stateCase{
		{"conv", []int{6, 2, 3, 3}, 0, map[string]int{"n": 6}, after(fuse.Conv, 3, "n")},
		{"conv with bias", []int{6, 2, 3}, 6, map[string]int{"n": 6}, after(fuse.Conv, 3, "n")},
		{"conv, norm before", []int{6, 2, 3}, 0, map[string]int{"n": 6}, before(fuse.Conv, 3, "n")},
		{"transposed", []int{6, 2, 3, 2}, 6, map[string]int{"n": 6}, after(fuse.ConvTranspose, 3, "n")},
		{"linear", []int{4, 5}, 0, map[string]int{"n": 4}, after(fuse.Linear, 1, "n")},
		{"linear, both sides", []int{4, 5}, 4, map[string]int{"n": 4, "m": 5}, append(before(fuse.Linear, 1, "m"), after(fuse.Linear, 1, "n")...)},
		{"matmul", []int{5, 4}, 4, map[string]int{"n": 4}, after(fuse.MatMul, 1, "n")},
		{"matmul, norm before", []int{5, 4}, 0, map[string]int{"n": 5}, before(fuse.MatMul, 1, "n")},
		{"linear, reshaped", []int{12, 5}, 12, map[string]int{"n": 3}, flattened(after(fuse.Linear, 1, "n"))},
		{"linear, reshaped behind a norm", []int{12, 5}, 0, map[string]int{"n": 12, "o": 3}, flattened(after(fuse.Linear, 1, "n", "o"))},
		{"matmul, reshaped", []int{5, 12}, 12, map[string]int{"n": 3}, flattened(after(fuse.MatMul, 1, "n"))},
		{"linear, norm flattened before", []int{5, 12}, 5, map[string]int{"n": 3}, flattened(before(fuse.Linear, 1, "n"))},
		{"chain", []int{4, 3, 1}, 0, map[string]int{"n": 4, "o": 4}, after(fuse.Conv, 1, "n", "o")},
		{"chain before", []int{4, 3, 1}, 4, map[string]int{"n": 3, "o": 3}, before(fuse.Conv, 1, "n", "o")},
	}
}

// TestStateCases: every layout, direction and type.
func TestStateCases(t *testing.T) {
	for _, c := range stateCases() {
		for _, dtype := range []string{"F64", "F32", "F16", "BF16"} {
			for _, keepNorms := range []bool{false, true} {
				t.Run(fmt.Sprint(c.name, " ", dtype, " ", keepNorms), func(t *testing.T) {
					in := layerAndNorms(dtype, c.shape, c.bias, c.norms).write(t, tempFile(t, "in.safetensors"))
					want := len(c.norms)
					if keepNorms && c.bias == 0 && !slices.ContainsFunc(c.pairs, func(p checkpoint.Pair) bool { return p.Direction == fuse.After }) {
						want = 0 // the unchanged class has no place for the shift
					}
					got := rightState(t, in, verify.Options{Pairs: pairsFile(t, c.pairs...)}, keepNorms)
					if got != want {
						t.Errorf("%d of %d norms are folded", got, want)
					}
				})
			}
		}
	}
}

// TestNothingTold: without a graph and pairs everything must be equal, and the message says what to pass.
func TestNothingTold(t *testing.T) {
	in, out := "../testdata/resnet.pt", tempFile(t, "out.safetensors")
	fuseState(t, in, out, verify.Options{}, false)
	if r := verifiedState(t, in, out, verify.Options{}); !r.OK() || r.Folded != 0 {
		t.Error(explain(r))
	}
	fuseState(t, in, out, verify.Options{Graph: "../testdata/resnet.onnx"}, false)
	if r := verifiedState(t, in, out, verify.Options{}); r.OK() || !strings.Contains(explain(r), "pass --graph") {
		t.Error(explain(r))
	}
	if r := verifiedState(t, in, "../testdata/mobilenet_v2.safetensors", verify.Options{}); len(r.Differences) > 2 || !strings.Contains(explain(r), "not of one network") {
		t.Error(explain(r))
	}
	// A file of PyTorch is only ever the original itself.
	if r := verifiedState(t, in, in, verify.Options{}); !r.OK() {
		t.Error(explain(r))
	}
	if r := verifiedState(t, in, "../testdata/mobilenet_v2.pt", verify.Options{}); r.OK() {
		t.Error("another file of PyTorch is as good as the original")
	}
}

// TestPrefixes: a graph of a wrapper, a checkpoint of a parallel run, and both.
func TestPrefixes(t *testing.T) {
	plain := readState(t, "../testdata/resnet.safetensors")
	for _, prefix := range []string{"module.", "model.encoder."} {
		f := plain.clone()
		for i := range f.tensors {
			f.tensors[i].name = prefix + f.tensors[i].name
		}
		in := f.write(t, tempFile(t, "in.safetensors"))
		if rightState(t, in, verify.Options{Graph: "../testdata/resnet.onnx"}, false) != 9 {
			t.Errorf("%q: not all norms are folded", prefix)
		}
		engine := host.New()
		pairs, _, err := checkpoint.GraphPairs(context.Background(), "../testdata/resnet.onnx", engine)
		if err != nil {
			t.Fatal(err)
		}
		for i := range pairs {
			pairs[i].Layer, pairs[i].Norm = "net."+pairs[i].Layer, "net."+pairs[i].Norm
		}
		if rightState(t, in, verify.Options{Pairs: pairsFile(t, pairs...)}, true) != 9 {
			t.Errorf("%q, pairs of net.: not all norms are folded", prefix)
		}
	}
}

// TestFoldedTwice: what a second run leaves is right against the first's output and against the original.
func TestFoldedTwice(t *testing.T) {
	o := verify.Options{Graph: "../testdata/mobilenet_v2.onnx"}
	for _, keepNorms := range []bool{false, true} {
		dir := t.TempDir()
		once, twice := filepath.Join(dir, "once.safetensors"), filepath.Join(dir, "twice.safetensors")
		fuseState(t, "../testdata/mobilenet_v2.pt", once, o, keepNorms)
		fuseState(t, once, twice, o, keepNorms)
		if r := verifiedState(t, once, twice, o); !r.OK() || r.Folded != 0 {
			t.Errorf("norms kept %v: %s", keepNorms, explain(r))
		}
		if r := verifiedState(t, "../testdata/mobilenet_v2.pt", twice, o); !r.OK() || r.Folded != 16 {
			t.Errorf("norms kept %v: %s", keepNorms, explain(r))
		}
	}
}

// TestStatesOfCases: the models of the shared table, their tensors named as PyTorch names a module's, as
// checkpoints of themselves.
func TestStatesOfCases(t *testing.T) {
	folded := 0
	for _, c := range onnxtest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			m := parseFile(t, writeCase(t, c))
			nameModules(m)
			graph := writeModel(t, t.TempDir(), m)
			f := stateOf(m)
			if len(f.tensors) == 0 {
				return
			}
			in := f.write(t, tempFile(t, "in.safetensors"))
			told := []verify.Options{{Graph: graph}}
			if pairs, _, err := checkpoint.GraphPairs(context.Background(), graph, host.New()); err == nil && len(pairs) > 0 {
				told = append(told, verify.Options{Pairs: pairsFile(t, pairs...)})
			}
			for _, o := range told {
				for _, keepNorms := range []bool{false, true} {
					folded += rightState(t, in, o, keepNorms)
				}
			}
		})
	}
	t.Log(folded)
	if folded == 0 {
		t.Error("nothing is folded")
	}
}

// stateOf is a model's stored tensors as a checkpoint.
func stateOf(m *onnxtest.Model) *stateFile {
	f := &stateFile{}
	stored := slices.Clone(m.Graph.Init)
	for _, n := range m.Graph.Nodes {
		if x := constantOf(n); x != nil && strings.Contains(n.Out[0], ".") {
			stored = append(stored, *x)
			stored[len(stored)-1].Name = n.Out[0]
		}
	}
	for _, x := range stored {
		dtype := map[onnxtest.ElemType]string{onnxtest.Float32: "F32", onnxtest.Float64: "F64", onnxtest.Float16: "F16", onnxtest.BFloat16: "BF16", onnxtest.Int64: "I64"}[x.Elem]
		if dtype == "" || x.NumElem() == 0 {
			continue
		}
		var shape []int
		for _, d := range x.Dims {
			shape = append(shape, int(d))
		}
		f.tensors = append(f.tensors, stateTensor{x.Name, dtype, shape, x.RawBytes()})
	}
	return f
}

// constantOf is the tensor of a Constant node.
func constantOf(n onnxtest.Node) *onnxtest.Tensor {
	if n.Op != "Constant" || len(n.Out) != 1 || len(n.Attrs) != 1 {
		return nil
	}
	return n.Attrs[0].T
}

// nameModules calls the tensors of norms and layers norm1.weight and so on.
func nameModules(m *onnxtest.Model) {
	stored, from := map[string]bool{}, map[string]string{}
	for _, x := range m.Graph.Init {
		stored[x.Name] = true
	}
	for _, n := range m.Graph.Nodes {
		if constantOf(n) != nil {
			stored[n.Out[0]] = true
		}
		if (n.Op == "Identity" || n.Op == "Transpose") && len(n.In) == 1 && len(n.Out) == 1 {
			from[n.Out[0]] = n.In[0]
		}
	}
	names := map[string]string{}
	call := func(tensor, name string) {
		for !stored[tensor] && from[tensor] != "" {
			tensor = from[tensor]
		}
		if stored[tensor] && names[tensor] == "" {
			names[tensor] = name
		}
	}
	for i, n := range m.Graph.Nodes {
		params := []string{"weight", "bias"}
		if n.Op == "BatchNormalization" {
			params = []string{"weight", "bias", "running_mean", "running_var"}
		} else if n.Op != "Conv" && n.Op != "ConvTranspose" && n.Op != "Gemm" && n.Op != "MatMul" {
			continue
		}
		for j, param := range params {
			if 1+j < len(n.In) {
				call(n.In[1+j], fmt.Sprintf("m%d.%s", i, param))
			}
		}
	}
	for i := range m.Graph.Init {
		if name := names[m.Graph.Init[i].Name]; name != "" {
			m.Graph.Init[i].Name = name
		}
	}
	for i := range m.Graph.Inputs {
		if name := names[m.Graph.Inputs[i].Name]; name != "" {
			m.Graph.Inputs[i].Name = name
		}
	}
	m.EachNode(func(n *onnxtest.Node) {
		for _, list := range [][]string{n.In, n.Out} {
			for i := range list {
				if name := names[list[i]]; name != "" {
					list[i] = name
				}
			}
		}
	})
}

// TestNamesOfBlocks: norms that are numbered and layers that are not, as timm has them, in the order of
// definition and sorted; and names that tell too little.
func TestNamesOfBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	layer := func(name string, shape ...int) []stateTensor {
		return []stateTensor{numbers(name+".weight", "F32", shape, r.NormFloat64)}
	}
	norm := func(name string, channels int) (list []stateTensor) {
		for _, param := range []string{"weight", "bias", "running_mean", "running_var"} {
			list = append(list, numbers(name+"."+param, "F32", []int{channels}, func() float64 { return 0.5 + r.Float64() }))
		}
		return list
	}
	for _, c := range []struct {
		what    string
		tensors [][]stateTensor
		want    int
	}{
		{"InvertedResidual", [][]stateTensor{layer("b.conv_pw", 8, 3, 1, 1), norm("b.bn1", 8), layer("b.conv_dw", 8, 1, 3, 3), norm("b.bn2", 8), layer("b.conv_pwl", 6, 8, 1, 1), norm("b.bn3", 6)}, 3},
		{"with a pair beside it", [][]stateTensor{layer("conv_dw", 8, 1, 3, 3), norm("bn1", 8), layer("conv_s2d", 8, 3, 1, 1), norm("bn_s2d", 8), layer("conv_pw", 6, 8, 1, 1), norm("bn2", 6)}, 3},
		{"with one more layer", [][]stateTensor{layer("conv_dw", 8, 1, 3, 3), norm("bn1", 8), layer("conv_pw", 6, 8, 1, 1), norm("bn2", 6), layer("conv_x", 6, 8, 1, 1)}, 0},
		{"ResNet", [][]stateTensor{layer("conv1", 8, 3, 3, 3), norm("bn1", 8), layer("l.0", 6, 8), norm("l.1", 6)}, 2},
		{"norm first", [][]stateTensor{norm("bn1", 8), layer("conv1", 8, 2, 3, 3)}, 0},
		{"a square layer", [][]stateTensor{layer("conv1", 8, 8, 3, 3), norm("bn1", 8)}, 0},
		{"a Conv or a ConvTranspose in groups", [][]stateTensor{layer("conv1", 8, 4, 3, 3), norm("bn1", 8)}, 0},
		{"an input of as many channels", [][]stateTensor{layer("a.0", 4, 3, 3, 3), norm("a.1", 4), layer("b.conv1", 8, 4, 3, 3), norm("b.bn1", 8)}, 2},
		{"a shortcut", [][]stateTensor{layer("a.conv1", 6, 4, 3, 3), norm("a.bn1", 6), layer("a.down.0", 8, 4, 1, 1), norm("a.down.1", 8)}, 2},
		{"norms numbered otherwise", [][]stateTensor{layer("conv1", 8, 3, 3, 3), layer("conv2", 8, 2, 3, 3), norm("bn1", 8), layer("conv3", 6, 8, 1, 1), norm("bn2", 6)}, 0},
		{"a layer in between", [][]stateTensor{layer("conv1", 8, 1, 3, 3), layer("pointwise", 8, 8, 1, 1), norm("bn1", 8)}, 0},
	} {
		for _, sorted := range []bool{false, true} {
			f := &stateFile{}
			for _, list := range c.tensors {
				f.tensors = append(f.tensors, list...)
			}
			f.ordered = !sorted
			in := f.write(t, tempFile(t, "in.safetensors"))
			got := rightState(t, in, verify.Options{Pairs: verify.NamesPairs, Eps: 1e-5}, false)
			if got != c.want && !(sorted && c.what == "norm first") {
				t.Errorf("%s, sorted %v: %d norms are folded, %d should be", c.what, sorted, got, c.want)
			}
		}
	}
}

// TestNamesTellTooLittle: a fold that another program made of names that do not tell the layer is not called right.
func TestNamesTellTooLittle(t *testing.T) {
	f := &stateFile{ordered: true}
	f.tensors = append(f.tensors, numbers("conv1.weight", "F32", []int{8, 4, 3, 3}, func() float64 { return 0.5 }))
	for _, param := range []string{"weight", "bias", "running_mean", "running_var"} {
		f.tensors = append(f.tensors, numbers("bn1."+param, "F32", []int{8}, func() float64 { return 2 }))
	}
	in, out := f.write(t, tempFile(t, "in.safetensors")), tempFile(t, "out.safetensors")
	fuseState(t, in, out, verify.Options{Pairs: pairsFile(t, checkpoint.Pair{Layer: "conv1", Norm: "bn1", Groups: 1, Eps: 1e-5})}, false)
	if r := verifiedState(t, in, out, verify.Options{Pairs: verify.NamesPairs, Eps: 1e-5}); r.OK() {
		t.Errorf("%s", explain(r))
	}
}

// TestNormBetweenTwoLayers: a norm goes into the layer behind it where the one before it may not take it, even
// if that one took another norm.
func TestNormBetweenTwoLayers(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	value := func(name string) onnxtest.Value { return onnxtest.Value{Name: name, Elem: onnxtest.Float32} }
	g := &onnxtest.Graph{Name: "g", Inputs: []onnxtest.Value{value("x")}, Outputs: []onnxtest.Value{value("y"), value("z")}}
	f := &stateFile{}
	store := func(low float64, name string, dims ...int) string {
		x := onnxtest.Tensor{Name: name, Elem: onnxtest.Float32}
		n := 1
		for _, d := range dims {
			x.Dims = append(x.Dims, int64(d))
			n *= d
		}
		for range n {
			x.Data = append(x.Data, float64(float32(low+r.Float64())))
		}
		g.Init = append(g.Init, x)
		i := -1
		f.tensors = append(f.tensors, numbers(name, "F32", dims, func() float64 { i++; return x.Data[i] }))
		return name
	}
	norm := func(name, in, out string, channels int) {
		n := onnxtest.Node{Op: "BatchNormalization", Name: name, In: []string{in}, Out: []string{out}}
		for _, param := range []string{"weight", "bias", "running_mean", "running_var"} {
			n.In = append(n.In, store(0.5, name+"."+param, channels))
		}
		g.Nodes = append(g.Nodes, n)
	}
	conv := func(name, in, out string, dims ...int) {
		g.Nodes = append(g.Nodes, onnxtest.Node{Op: "Conv", Name: name, In: []string{in, store(-0.5, name+".weight", dims...)}, Out: []string{out}})
	}
	norm("bn0", "x", "a", 2)
	conv("conv1", "a", "y", 3, 2, 3, 3) // an output of the model, too
	norm("bn1", "y", "b", 3)
	conv("conv2", "b", "z", 4, 3, 3, 3)
	graph := writeModel(t, t.TempDir(), &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 17}}, Graph: g})
	in := f.write(t, tempFile(t, "in.safetensors"))
	if n := rightState(t, in, verify.Options{Graph: graph}, false); n != 2 {
		t.Errorf("%d norms are folded", n)
	}
}
