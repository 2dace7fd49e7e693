package bnfuse

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

// A batch gives each model what it gets alone; one that is damaged does not hinder the others.
func TestFuseFiles(t *testing.T) {
	dir := t.TempDir()
	cut := filepath.Join(dir, "cut.onnx")
	model, err := os.ReadFile("testdata/resnet.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, model[:len(model)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	files := []File{
		{"testdata/mobilenet_v2.onnx", filepath.Join(dir, "a")},
		{cut, ""},
		{"testdata/resnet.safetensors", filepath.Join(dir, "c.safetensors")},
		{"testdata/external_data.onnx", filepath.Join(dir, "d")},
		{"testdata/missing.onnx", filepath.Join(dir, "e")},
		{"testdata/two_heads.onnx", filepath.Join(dir, ".", "a")}, // the first one's output
	}
	reports, errs := FuseFiles(context.Background(), files, Options{Device: "cpu", Graph: "testdata/resnet.onnx"})
	for i, f := range files {
		damaged := i == 1 || i == 4 || i == 5
		if (errs[i] != nil) != damaged || (reports[i] == nil) != damaged {
			t.Fatalf("%s: report %v, error %v", f.In, reports[i], errs[i])
		}
	}
	want := fusedFiles(t, files[0].In, Options{Device: "cpu"})["out.onnx"]
	if got, err := os.ReadFile(files[0].Out); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v, or other bytes than alone", files[0].In, err)
	}
	if _, err := os.Stat(files[3].Out + ".data"); err != nil {
		t.Error(err)
	}
	for _, i := range []int{0, 2, 3} {
		if reports[i].Folded == 0 || reports[i].Input != files[i].In || reports[i].Output != files[i].Out {
			t.Errorf("report %+v", reports[i])
		}
	}
}
