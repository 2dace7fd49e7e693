package verify_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
	"github.com/bnfuse/bnfuse/verify"
)

// TestCases: whatever package onnx does to the shared table is right, and is seen to be.
func TestCases(t *testing.T) {
	for _, c := range onnxtest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			in := writeCase(t, c)
			out, folded := fuseFile(t, in)
			r := verified(t, in, out)
			if !r.OK() {
				t.Errorf("%s", explain(r))
			}
			if r.Folded != folded {
				t.Errorf("%d norms are missing and %d were folded", r.Folded, folded)
			}
			if self := verified(t, in, in); !self.OK() || len(self.Layers) > 0 {
				t.Errorf("a model is not like itself: %s", explain(self))
			}
		})
	}
}

// TestTestdata: every model of testdata, folded.
func TestTestdata(t *testing.T) {
	models, err := filepath.Glob("../testdata/*.onnx")
	if err != nil || len(models) == 0 {
		t.Fatal(models, err)
	}
	for _, in := range models {
		t.Run(filepath.Base(in), func(t *testing.T) {
			out, _ := fuseFile(t, in)
			if r := verified(t, in, out); !r.OK() {
				t.Errorf("%s", explain(r))
			}
		})
	}
}

// TestZoo verifies real models where there are some: BNFUSE_ZOO names their folder.
func TestZoo(t *testing.T) {
	dir := os.Getenv("BNFUSE_ZOO")
	if dir == "" {
		t.Skip("BNFUSE_ZOO names no folder of models")
	}
	models, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range models {
		t.Run(filepath.Base(in), func(t *testing.T) {
			out, folded := fuseFile(t, in)
			r := verified(t, in, out)
			if !r.OK() || r.Folded != folded {
				t.Errorf("%d norms, %d folded: %s", r.Folded, folded, explain(r))
			}
		})
	}
}

func fuseFile(t *testing.T, in string) (out string, folded int) {
	t.Helper()
	engine := host.New()
	defer engine.Close()
	out = filepath.Join(t.TempDir(), "out.onnx")
	res, err := onnx.FuseFile(context.Background(), in, out, onnx.Options{Engine: engine})
	if err != nil {
		t.Fatal(err)
	}
	norms := map[int]bool{}
	for _, s := range res.Plan.Steps {
		norms[s.Norm.Index] = true
	}
	return out, len(norms)
}

func verified(t *testing.T, a, b string) *verify.Result {
	t.Helper()
	r, err := verify.Files(context.Background(), a, b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// explain lists what is wrong.
func explain(r *verify.Result) string {
	var b strings.Builder
	for _, l := range r.Layers {
		for _, p := range l.Problems {
			b.WriteString("\n" + l.Op + " " + l.Name + ": " + p)
		}
	}
	for _, d := range r.Differences {
		b.WriteString("\n" + d.Where + ": " + d.What)
	}
	return b.String()
}

// writeCase writes a case's model and external files into a folder of their own.
func writeCase(t *testing.T, c onnxtest.Case) string {
	t.Helper()
	return writeModel(t, t.TempDir(), c.Model)
}

func writeModel(t *testing.T, dir string, m *onnxtest.Model) string {
	t.Helper()
	for name, data := range m.Files() {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "in.onnx")
	if err := os.WriteFile(path, m.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}
