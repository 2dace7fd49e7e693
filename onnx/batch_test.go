package onnx_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// TestBatch fuses all of testdata and every shared case in batches, a damaged model and a missing one
// among them, and wants of each the files that it gives alone.
func TestBatch(t *testing.T) {
	dir := t.TempDir()
	var files []onnx.File
	models, _ := filepath.Glob("../testdata/*.onnx")
	for _, in := range models {
		files = append(files, onnx.File{In: in, Out: filepath.Join(dir, filepath.Base(in))})
	}
	for i, c := range onnxtest.Cases() {
		if i%5 == 0 { // a fifth is more than a batch
			in := writeCase(t, c)
			files = append(files, onnx.File{In: in, Out: filepath.Join(filepath.Dir(in), "out.onnx")})
		}
	}
	cut := filepath.Join(dir, "cut.in")
	if err := os.WriteFile(cut, readFile(t, models[0])[:1000], 0o666); err != nil {
		t.Fatal(err)
	}
	files = append(files, onnx.File{In: cut, Out: filepath.Join(dir, "cut.out")}, onnx.File{In: filepath.Join(dir, "missing"), Out: filepath.Join(dir, "missing.out")})
	bad := len(files) - 2

	o := onnx.Options{Engine: host.New()}
	results, errs := onnx.FuseFiles(context.Background(), files, o)
	for i, f := range files {
		if i >= bad {
			if _, err := os.Stat(f.Out); errs[i] == nil || results[i] != nil || err == nil {
				t.Errorf("%s: error %v, output %v", f.In, errs[i], err)
			}
			continue
		}
		if errs[i] != nil {
			t.Error(errs[i])
			continue
		}
		alone := filepath.Join(t.TempDir(), filepath.Base(f.Out))
		res, err := onnx.FuseFile(context.Background(), f.In, alone, o)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(readFile(t, f.Out), readFile(t, alone)) {
			t.Errorf("%s: other bytes than alone", f.In)
		}
		if len(res.Plan.Steps) != len(results[i].Plan.Steps) {
			t.Errorf("%s: %d steps, %d alone", f.In, len(results[i].Plan.Steps), len(res.Plan.Steps))
		}
	}
}
