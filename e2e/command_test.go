package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExitCodes: 0 done, 1 a model failed, 2 wrong usage. What went wrong is on standard error, results are on standard output.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "model.onnx")
	copyModel(t, filepath.Join(testdata, "resnet.onnx"), model)
	notModel := filepath.Join(dir, "hello.onnx")
	writeFile(t, notModel, []byte("hello, this is no model"))
	before := readTree(t, dir)
	for _, c := range []struct {
		why  string
		want int
		args []string
	}{
		{"no verb", 2, nil},
		{"no such verb", 2, []string{"fold", model}},
		{"no model", 2, []string{"fuse"}},
		{"no such flag", 2, []string{"fuse", model, "--no-such-flag"}},
		{"a flag without its value", 2, []string{"fuse", model, "-o"}},
		{"no such device", 2, []string{"fuse", model, "--device", "abacus", "--dry-run"}},
		{"no such file", 1, []string{"fuse", filepath.Join(dir, "missing.onnx")}},
		{"not a model", 1, []string{"fuse", notModel}},
		{"the folder of the output is missing", 1, []string{"fuse", model, "-o", filepath.Join(dir, "missing", "out.onnx")}},
		{"the output is a folder", 1, []string{"fuse", model, "-o", dir, "--force"}},
		{"dry run", 0, []string{"fuse", model, "--dry-run"}},
		{"inspect", 0, []string{"inspect", model}},
		{"inspect, not a model", 1, []string{"inspect", notModel}},
		{"devices", 0, []string{"devices"}},
		{"version", 0, []string{"version"}},
		{"help", 0, []string{"--help"}},
		{"help for a verb", 0, []string{"fuse", "--help"}},
	} {
		t.Run(c.why, func(t *testing.T) {
			r := bnfuse(t, c.args...)
			if r.code != c.want {
				t.Errorf("bnfuse %q: exit %d, want %d\n%s", c.args, r.code, c.want, r.stderr)
			}
			if r.code == 0 && r.stdout == "" {
				t.Errorf("bnfuse %q: nothing on standard output", c.args)
			}
			if r.code != 0 && r.stderr == "" {
				t.Errorf("bnfuse %q: exit %d without a word on standard error", c.args, r.code)
			}
			sameTree(t, dir, before)
		})
	}
}

// TestExistingOutput: an output that exists is replaced only with --force.
func TestExistingOutput(t *testing.T) {
	model := filepath.Join(testdata, "external_data.onnx")
	for _, name := range []string{"out.onnx", "out.onnx.data"} {
		dir := t.TempDir()
		out := filepath.Join(dir, "out.onnx")
		writeFile(t, filepath.Join(dir, name), []byte("precious"))
		before := readTree(t, dir)
		if r := bnfuse(t, "fuse", model, "-o", out); r.code != 1 || !strings.Contains(r.stderr, name) || !strings.Contains(r.stderr, "--force") {
			t.Errorf("%s exists: exit %d, %q", name, r.code, r.stderr)
		}
		sameTree(t, dir, before)
		fuse(t, model, out, "--force")
		equivalent(t, model, out, normal(nil), 1e-4)
	}
}

// TestInPlaceNeedsForce: the input is not overwritten by accident, whatever its path looks like.
func TestInPlaceNeedsForce(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "model.onnx")
	copyModel(t, filepath.Join(testdata, "resnet.onnx"), model)
	if err := os.Symlink(model, filepath.Join(dir, "link.onnx")); err != nil {
		t.Fatal(err)
	}
	before := readTree(t, dir)
	for _, out := range []string{model, dir + "/./model.onnx", filepath.Join(dir, "link.onnx")} {
		if r := bnfuse(t, "fuse", model, "-o", out); r.code == 0 {
			t.Errorf("-o %s: exit 0", out)
		}
		sameTree(t, dir, before)
	}
}

// TestDefaultOutput: without -o the output lies beside the input.
func TestDefaultOutput(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "model.onnx")
	copyModel(t, filepath.Join(testdata, "resnet.onnx"), model)
	r := bnfuse(t, "fuse", model)
	if r.code != 0 || !strings.Contains(r.stdout, "9 of 9 batch norms folded") {
		t.Errorf("exit %d, %q\n%s", r.code, r.stdout, r.stderr)
	}
	explicit := filepath.Join(t.TempDir(), "out.onnx")
	fuse(t, model, explicit)
	if !bytes.Equal(readFile(t, filepath.Join(dir, "model.fused.onnx")), readFile(t, explicit)) {
		t.Error("model.fused.onnx differs from what -o gives")
	}
}

// TestKeptNormsAreExplained: the summary names each norm that stays, and why.
func TestKeptNormsAreExplained(t *testing.T) {
	model := filepath.Join(testdata, "densenet.onnx")
	out := filepath.Join(t.TempDir(), "out.onnx")
	r := bnfuse(t, "fuse", model, "-o", out)
	if !strings.Contains(r.stdout, "7 of 16 batch norms folded") {
		t.Errorf("standard output is %q", r.stdout)
	}
	inspected := bnfuse(t, "inspect", model)
	for _, n := range fuse(t, model, out, "--force").Norms {
		if n.Status == "kept" && (!strings.Contains(r.stdout, n.Name) || !strings.Contains(r.stdout, n.Reason)) {
			t.Errorf("fuse does not say that %s stays: %s", n.Name, n.Reason)
		}
		if !strings.Contains(inspected.stdout, n.Name) {
			t.Errorf("inspect does not list %s", n.Name)
		}
	}
}

// TestPipesStayClean: nothing but results on standard output, and no control characters where no terminal is.
func TestPipesStayClean(t *testing.T) {
	r := bnfuse(t, "fuse", filepath.Join(testdata, "resnet.onnx"), "-o", filepath.Join(t.TempDir(), "out.onnx"))
	if strings.ContainsAny(r.stdout+r.stderr, "\r\x1b") {
		t.Errorf("control characters: %q %q", r.stdout, r.stderr)
	}
}
