package verify_test

import (
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/verify"
)

// TestWeightMessages: of a wrong weight, what it should be is said beside what it is and was.
func TestWeightMessages(t *testing.T) {
	p := find(t, "chain/two norms")
	n := node(p.b, "conv")
	w := initializer(p.b, n.In[1])
	was, want := initializer(p.a, n.In[1]).Data[0], w.Data[0]
	change(w, func(i int, x float64) float64 {
		if i == 0 {
			return -3
		}
		return x
	})
	said := explain(p.verify(t))
	for _, words := range []string{"the first of channel 0: -3 should be " + number(want), "since it was " + number(was)} {
		if !strings.Contains(said, words) {
			t.Errorf("%q is not in: %s", words, said)
		}
	}

	p.reload(t)
	change(initializer(p.a, n.In[1]), func(int, float64) float64 { return math.NaN() })
	change(initializer(p.b, n.In[1]), func(int, float64) float64 { return math.NaN() })
	flip(initializer(p.b, n.In[1]), 0)
	if said := explain(p.verify(t)); !strings.Contains(said, "NaN should be other bits of it") {
		t.Error(said)
	}
}

// number is a float32 in the fewest digits.
func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 32) }

// TestUntold: a checkpoint that was folded, by a graph that verify is not told, gets one line that says so. One
// that only changed is listed as any other, and so is one of another network.
func TestUntold(t *testing.T) {
	in := "../testdata/resnet.pt"
	for _, keepNorms := range []bool{false, true} {
		p := plant(t, in, verify.Options{Graph: "../testdata/resnet.onnx"}, keepNorms)
		r := verifiedState(t, in, p.out, verify.Options{})
		if r.OK() || !r.Untold || len(r.Differences) != 1 || !strings.Contains(explain(r), "9 of its 9 norms are gone or do nothing, and nothing tells") {
			t.Errorf("keeping norms %v: %s", keepNorms, explain(r))
		}
	}
	p := plant(t, in, verify.Options{}, false)
	p.b.tensor("conv1.weight").data[0] ^= 1
	p.b.write(t, p.out)
	if r := verifiedState(t, in, p.out, verify.Options{}); r.OK() || r.Untold || !strings.Contains(explain(r), "conv1.weight: the tensor changed") {
		t.Error(explain(r))
	}
}

// TestHints: original and fused model in the wrong order are wrong, and the hint says how it may have come.
func TestHints(t *testing.T) {
	graph := verify.Options{Graph: "../testdata/resnet.onnx"}
	model, _ := fuseFile(t, graph.Graph)
	state := plant(t, "../testdata/resnet.pt", graph, false)
	for what, r := range map[string]*verify.Result{
		"models":            verified(t, model, graph.Graph),
		"safetensors":       verifiedState(t, state.out, "../testdata/resnet.safetensors", graph),
		"a file of PyTorch": verifiedState(t, state.out, state.in, graph),
	} {
		var b strings.Builder
		if err := r.WriteTable(&b, 0, 1); err != nil {
			t.Fatal(err)
		}
		if r.OK() || !strings.HasSuffix(b.String(), "are the two in the wrong order? The original comes first\n") {
			t.Errorf("%s: %s", what, b.String())
		}
	}
	for what, r := range map[string]*verify.Result{
		"the right order": verified(t, graph.Graph, model),
		"another model":   verified(t, "../testdata/mobilenet_v2.onnx", graph.Graph),
	} {
		if r.Hint != "" {
			t.Errorf("%s: %s", what, r.Hint)
		}
	}
}

// TestSummaries: one of a thing is one thing, and of a model in which nothing was folded that is said.
func TestSummaries(t *testing.T) {
	fused, _ := fuseFile(t, "../testdata/resnet.onnx")
	one := verify.Layer{Problems: []string{"wrong"}}
	for _, c := range []struct {
		r    interface{ Summary() string }
		want string
	}{
		{verified(t, "../testdata/resnet.onnx", fused), "9 norms in 9 layers: all right, weights to 0.500 units in the last place, nothing else changed"},
		{verified(t, "../testdata/resnet.onnx", "../testdata/resnet.onnx"), "nothing was folded: it has 9 norms as before, and nothing changed"},
		{verifiedState(t, "../testdata/resnet.pt", "../testdata/resnet.safetensors", verify.Options{}), "nothing was folded: it has 9 norms as before, and nothing changed"},
		{verifiedState(t, "../testdata/resnet.pt", "../testdata/resnet.pt", verify.Options{}), "nothing was folded: it has 9 norms as before, and nothing changed"},
		{verified(t, fused, fused), "nothing was folded: it has 0 norms as before, and nothing changed"},
		{&verify.Result{Folded: 1, Layers: []verify.Layer{one}, Differences: []verify.Difference{{}}}, "1 norm in 1 layer, 1 of them wrong, 1 other difference"},
		{&verify.ZooResult{Models: []verify.ZooModel{{}}}, "1 model, 0 norms in 0 layers, 1 model not right, 0 other differences"},
	} {
		if got := c.r.Summary(); got != c.want {
			t.Errorf("%q, %q is wanted", got, c.want)
		}
	}
}

// TestDamagedModels: a file that is none, or not all of one, is refused with what it lacks.
func TestDamagedModels(t *testing.T) {
	whole, err := os.ReadFile("../testdata/resnet.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for says, b := range map[string][]byte{
		"the file is empty":       nil,
		"the file is cut":         whole[:len(whole)/2],
		"there is no graph":       whole[:2],
		"not an ONNX model, or a": []byte("a text"),
	} {
		path := tempFile(t, "bad.onnx")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := verify.Files(t.Context(), "../testdata/resnet.onnx", path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is wanted: %v", says, err)
		}
	}
}
