package verify_test

import (
	"os"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
	"github.com/bnfuse/bnfuse/verify"
)

// TestGraphOfAnotherNetwork: a graph in which a norm or its layer has another shape does not vouch for a fold.
func TestGraphOfAnotherNetwork(t *testing.T) {
	graph := "../testdata/resnet.onnx"
	in := "../testdata/resnet.safetensors"
	out := tempFile(t, "out.safetensors")
	fuseState(t, in, out, verify.Options{Graph: graph}, false)
	if r := verifiedState(t, in, out, verify.Options{Graph: "../testdata/mobilenet_v2.onnx"}); r.OK() {
		t.Error("a graph without any of the norms vouches")
	}
	text, err := os.ReadFile(graph)
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnxtest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range m.Graph.Init {
		if strings.HasSuffix(x.Name, "running_mean") {
			m.Graph.Init[i] = onnxtest.NewTensor(x.Name, onnxtest.Float32, []int64{1}, 1)
			break
		}
	}
	other := tempFile(t, "other.onnx")
	if err := os.WriteFile(other, m.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	if r := verifiedState(t, in, out, verify.Options{Graph: other}); r.OK() || !strings.Contains(explain(r), "another network") {
		t.Errorf("a graph with a norm of another shape: %s", explain(r))
	}
	if r := verifiedState(t, in, in, verify.Options{Graph: other}); !r.OK() {
		t.Errorf("nothing was folded: %s", explain(r))
	}
}
