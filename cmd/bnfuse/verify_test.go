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

// TestVerifySwapped: of many differences the first are listed, with -v all, and the reason at the end.
func TestVerifySwapped(t *testing.T) {
	workIn(t, "resnet.onnx")
	if r := command("fuse", "resnet.onnx"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	few := command("verify", "resnet.fused.onnx", "resnet.onnx")
	if few.code != 1 || !strings.Contains(few.stdout, " more\n") || !strings.Contains(few.stdout, "hint: it has 9 norms, and the original 0: are the two in the wrong order?") {
		t.Errorf("%+v", few)
	}
	all := command("verify", "resnet.fused.onnx", "resnet.onnx", "-v")
	if all.code != 1 || strings.Contains(all.stdout, " more\n") || strings.Count(all.stdout, "\n") <= strings.Count(few.stdout, "\n") {
		t.Errorf("%+v", all)
	}
}

// TestVerifyOddNames: what a file's name has in it reaches no terminal.
func TestVerifyOddNames(t *testing.T) {
	workIn(t, "resnet.onnx")
	const odd = "a\x1b[2J\n.onnx"
	for _, args := range [][]string{{"fuse", "resnet.onnx", "-o", odd}, {"verify", "resnet.onnx", odd}, {"verify", odd, "resnet.onnx"}} {
		r := command(args...)
		if args[0] == "verify" && (strings.Contains(r.stdout+r.stderr, "\x1b") || strings.Contains(r.stdout+r.stderr, "J\n")) {
			t.Errorf("%q: %+v", args, r)
		}
	}
	if r := command("inspect", "missing\x1b[2J.onnx"); r.code != 1 || strings.Contains(r.stderr, "\x1b") {
		t.Errorf("an error about an odd name: %+v", r)
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

// TestVerifyCheckpoint: by a graph and by a pairs file a fold is right; without either, and with one bit
// changed, it is not.
func TestVerifyCheckpoint(t *testing.T) {
	workIn(t, "resnet.onnx", "resnet.pt")
	if r := command("fuse", "resnet.pt", "--graph", "resnet.onnx"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	pairs := command("inspect", "resnet.onnx", "--pairs")
	if err := os.WriteFile("pairs.yaml", []byte(pairs.stdout), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, told := range [][]string{{"--graph", "resnet.onnx"}, {"--pairs", "pairs.yaml"}} {
		r := command(append([]string{"verify", "resnet.pt", "resnet.fused.safetensors"}, told...)...)
		if r.code != 0 || strings.Count(r.stdout, " right\n") != 9 || !strings.Contains(r.stdout, "9 norms in 9 layers: all right") {
			t.Errorf("%v: %+v", told, r)
		}
	}
	untold := command("verify", "resnet.pt", "resnet.fused.safetensors")
	if untold.code != 1 || strings.Count(untold.stdout, "\n") != 2 || !strings.Contains(untold.stdout, "pass --graph") || !strings.Contains(untold.stderr, "cannot be told") {
		t.Errorf("%+v", untold)
	}
	b, err := os.ReadFile("resnet.fused.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile("resnet.fused.safetensors", b, 0o666); err != nil {
		t.Fatal(err)
	}
	if r := command("verify", "resnet.pt", "resnet.fused.safetensors", "--graph", "resnet.onnx"); r.code != 1 || !strings.Contains(r.stdout, `bias "fc.bias"`) {
		t.Errorf("%+v", r)
	}
}

// TestVerifyZoo: a folder is right; with a model missing and a file too many both are named.
func TestVerifyZoo(t *testing.T) {
	workIn(t, "resnet.onnx", "resnet.pt", "mobilenet_v2.pt", "mobilenet_v2.onnx")
	for _, dir := range []string{"in", "out", "graphs"} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"resnet.onnx": "in", "resnet.pt": "in", "mobilenet_v2.pt": "in", "mobilenet_v2.onnx": "graphs"} {
		if err := os.Rename(from, to+"/"+from); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"fuse", "in/resnet.onnx", "-o", "out/resnet.onnx"},
		{"fuse", "in/resnet.pt", "-o", "out/resnet.pt.safetensors", "--graph", "in/resnet.onnx"},
		{"fuse", "in/mobilenet_v2.pt", "-o", "out/mobilenet_v2.pt.safetensors", "--graph", "graphs/mobilenet_v2.onnx"},
	} {
		if r := command(args...); r.code != 0 {
			t.Fatalf("%v: %+v", args, r)
		}
	}
	told := []string{"verify", "in", "out", "--graphs", "mobilenet*=graphs/mobilenet_v2.onnx", "--jobs", "2"}
	if r := command(told...); r.code != 0 || strings.Count(r.stdout, " right\n") != 3 || !strings.Contains(r.stdout, "out: 3 models, 34 norms in 34 layers: all right") {
		t.Errorf("%+v", r)
	}
	if r := command(append(told, "--json")...); r.code != 0 || !strings.Contains(r.stdout, `"ok": true`) {
		t.Errorf("%+v", r)
	}
	if err := os.Rename("out/resnet.onnx", "out/other.onnx"); err != nil {
		t.Fatal(err)
	}
	r := command(told...)
	if r.code != 1 || !strings.Contains(r.stdout, "MISSING\n") || !strings.Contains(r.stdout, "different: other.onnx") || !strings.Contains(r.stderr, "not the original") {
		t.Errorf("%+v", r)
	}
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
