package onnx_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// TestCases runs the shared table: every rule of what is folded and what is kept. The float64 evaluator
// of onnxtest, which knows nothing of this package, judges that the outputs are equal.
func TestCases(t *testing.T) {
	engine := host.New()
	defer engine.Close()
	for _, c := range onnxtest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			in := writeCase(t, c)
			input := readFile(t, in)
			out := filepath.Join(t.TempDir(), "out.onnx")
			res, err := onnx.FuseFile(context.Background(), in, out, onnx.Options{Engine: engine})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(readFile(t, in), input) {
				t.Error("the input was changed")
			}
			if err := c.Check(readFile(t, out), readFolder(t, filepath.Dir(out))); err != nil {
				t.Error(err)
			}
			checkPlan(t, c, res.Plan)

			seen, err := onnx.Inspect(context.Background(), in, engine)
			if err != nil {
				t.Fatal(err)
			}
			checkPlan(t, c, seen.Plan)

			twice := filepath.Join(filepath.Dir(out), "twice.onnx")
			if res, err = onnx.FuseFile(context.Background(), out, twice, onnx.Options{Engine: engine}); err != nil {
				t.Fatalf("fusing the output: %v", err)
			}
			if len(res.Plan.Steps) > 0 {
				t.Errorf("a second run folds %v", res.Plan.Steps[0].Norm.Name)
			}
			if !bytes.Equal(readFile(t, out), readFile(t, twice)) {
				t.Error("a second run changes the output")
			}
		})
	}
}

// checkPlan compares what the plan says with what the case expects.
func checkPlan(t *testing.T, c onnxtest.Case, plan *fuse.Plan) {
	t.Helper()
	steps := map[string]bool{}
	for _, s := range plan.Steps {
		steps[s.Norm.Name] = true
	}
	for _, name := range c.WantFolded {
		if !steps[name] {
			t.Errorf("the plan does not fold %q: %+v", name, skipOf(plan, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.WantKept)) {
		if steps[name] {
			t.Errorf("the plan folds %q", name)
		}
		skip := skipOf(plan, name)
		if want := c.WantKept[name]; want != "" && skip != nil && skip.Reason != want {
			t.Errorf("%q is kept because %q (%s), want %q", name, skip.Reason, skip.Detail, want)
		}
	}
}

func skipOf(plan *fuse.Plan, name string) *fuse.Skip {
	for i := range plan.Skips {
		if plan.Skips[i].Norm.Name == name {
			return &plan.Skips[i]
		}
	}
	return nil
}

// writeCase writes a case's model and external files into a folder of their own.
func writeCase(t *testing.T, c onnxtest.Case) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range c.Model.Files() {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "in.onnx")
	if err := os.WriteFile(path, c.Model.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readFolder reads every file below dir but models, by its path in slashes.
func readFolder(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".onnx") {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = readFile(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
