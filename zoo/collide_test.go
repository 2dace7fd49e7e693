package zoo

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSharedDataStayRight: two models keep their tensors in one file, which has the name of one. That one is
// folded; the other has nothing to fold and goes on reading what it always read.
func TestSharedDataStayRight(t *testing.T) {
	dir := tree(t, `
		external_data.onnx = external_data.onnx
		external_data.onnx.data = external_data.onnx.data
	`)
	model, err := os.ReadFile(filepath.Join(dir, "external_data.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.ReplaceAll(model, []byte("BatchNormalization"), []byte("BatchNormalizatioX")) // which nobody knows
	for _, name := range []string{"a.onnx", "z.onnx"} {
		if err := os.WriteFile(filepath.Join(dir, name), other, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	z := mustRun(t, dir, out, Options{})
	if z.Totals.Fused != 1 || z.Totals.Copied != 2 {
		t.Errorf("%+v", z.Totals)
	}
	before, after := contents(t, dir), contents(t, out)
	for _, name := range []string{"a.onnx", "z.onnx", "external_data.onnx.data"} {
		if before[name] != after[name] {
			t.Errorf("%s was changed", name)
		}
	}
	if after["external_data.onnx"] == before["external_data.onnx"] || after["external_data.onnx.2.data"] == "" {
		t.Error("the model of that name was not folded into a file of its own")
	}
}

// TestOutputOfAnother: a name is taken also where another shard writes it.
func TestOutputOfAnother(t *testing.T) {
	dir := tree(t, `
		a.onnx = resnet.onnx
		x.pt = resnet.pt
		x.onnx = resnet.onnx
		x.pt.safetensors = resnet.safetensors
	`)
	for _, count := range []int{1, 2, 4} {
		out, failed := filepath.Join(t.TempDir(), "out"), 0
		for index := 1; index <= count; index++ {
			z := mustRun(t, dir, out, Options{Shard: Shard{index, count}})
			failed += z.Totals.Failed
			for _, m := range z.Models {
				if (m.Error != "") != strings.HasSuffix(m.Input, "x.pt") {
					t.Errorf("%s: %q", m.Input, m.Error)
				}
			}
		}
		if failed != 1 {
			t.Errorf("%d shards: %d models failed", count, failed)
		}
	}
}
