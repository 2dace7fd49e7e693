package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
	"github.com/bnfuse/bnfuse/verify"
)

// TestVerify: a fold is right; with one weight changed it is not, and the weight is named.
func TestVerify(t *testing.T) {
	workIn(t, "resnet.onnx")
	if r := command("fuse", "resnet.onnx"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	r := command("verify", "resnet.onnx", "resnet.fused.onnx")
	if r.code != 0 || r.stderr != "" || strings.Count(r.stdout, " right\n") != 9 || !strings.Contains(r.stdout, "9 norms in 9 layers: all right") {
		t.Errorf("%+v", r)
	}
	r = command("verify", "resnet.onnx", "resnet.fused.onnx", "--json")
	var result struct {
		verify.Result
		OK bool
	}
	if err := json.Unmarshal([]byte(r.stdout), &result); err != nil || r.code != 0 || !result.OK || result.Folded != 9 {
		t.Errorf("%v %+v", err, r)
	}

	name := spoil(t, "resnet.fused.onnx")
	r = command("verify", "resnet.onnx", "resnet.fused.onnx")
	if r.code != 1 || strings.Count(r.stdout, " right\n") != 8 || !strings.Contains(r.stdout, `weight "`+name+`"`) || !strings.Contains(r.stderr, "not the original") {
		t.Errorf("%s is wrong: %+v", name, r)
	}
	if r := command("verify", "resnet.onnx", "resnet.fused.onnx", "--json"); r.code != 1 || !strings.Contains(r.stdout, `"ok": false`) {
		t.Errorf("%s is wrong: %+v", name, r)
	}
}

// spoil doubles a number of the first weight.
func spoil(t *testing.T, path string) (tensor string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnxtest.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Graph.Init {
		if w := &m.Graph.Init[i]; len(w.Dims) == 4 {
			w.Data[0], w.Bits = 2*w.Data[0], nil
			if err := os.WriteFile(path, m.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
			return w.Name
		}
	}
	t.Fatal("there is no weight")
	return ""
}

func TestVerifyWrongUsage(t *testing.T) {
	workIn(t, "resnet.onnx", "resnet.pt")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"verify", "resnet.onnx"}, 2, "two models or folders are wanted"},
		{[]string{"verify", "resnet.onnx", "missing.onnx"}, 1, "missing.onnx"},
		{[]string{"verify", "resnet.onnx", "resnet.pt"}, 1, "resnet.pt"},
		{[]string{"verify", "resnet.onnx", "resnet.onnx", "--graph", "resnet.onnx"}, 2, "has its own graph"},
		{[]string{"verify", "resnet.pt", "resnet.pt", "--graphs", "*=resnet.onnx"}, 2, "for folders"},
		{[]string{"verify", ".", ".", "--graphs", "resnet.onnx"}, 2, "GLOB=MODEL.onnx"},
		{[]string{"verify", "resnet.pt", "resnet.pt", "--pairs", "names"}, 2, "--eps"},
	} {
		if r := command(c.args...); r.code != c.code || !strings.Contains(r.stderr, c.says) || r.stdout != "" {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
}
