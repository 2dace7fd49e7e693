package onnx

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

func TestLocations(t *testing.T) {
	for name, want := range map[string][]string{
		"resnet":         nil,
		"external_data":  {"external_data.onnx.data"},
		"external_split": {"external_split/conv1.weight.bin", "external_split/layer1.0.conv1.weight.bin", "external_split/layer1.0.conv2.weight.bin"},
	} {
		f, err := os.Open("../testdata/" + name + ".onnx")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Locations(f, info.Size())
		if err != nil || !slices.Equal(got[:min(len(got), 3)], want) {
			t.Errorf("%s: %q and %v, want %q first", name, got, err, want)
		}
		if name == "external_split" && len(got) != 14 {
			t.Errorf("%s: %d files", name, len(got))
		}
		if _, err := Locations(f, info.Size()-1); err == nil {
			t.Errorf("%s: a cut model has locations", name)
		}
	}
}

// TestLocationsAreTheModels: they are those that the model's index has, wherever in the model they stand. What
// has an index is a model to Sniff too.
func TestLocationsAreTheModels(t *testing.T) {
	paths, err := filepath.Glob("../testdata/*.onnx")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d models, %v", len(paths), err)
	}
	models := map[string][]byte{}
	for _, path := range paths {
		if models[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range onnxtest.Cases() {
		models[c.Name] = c.Model.Bytes()
	}
	for name, b := range models {
		m, err := readModel(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue // a case of damage
		}
		if !sniff(b) && name != "wire/unknown fields" { // what has other fields may be anything
			t.Errorf("%s is not known as a model", name)
		}
		var want []string
		for i := range m.tensors {
			if !m.tensors[i].outside {
				continue
			}
			x, err := m.initializer(int32(i))
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, x.external.location)
		}
		slices.Sort(want)
		got, err := Locations(bytes.NewReader(b), int64(len(b)))
		if slices.Sort(got); err != nil || !slices.Equal(got, slices.Compact(want)) {
			t.Errorf("%s: %q and %v, want %q", name, got, err, want)
		}
	}
}
