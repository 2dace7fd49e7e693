package onnx

import (
	"os"
	"slices"
	"testing"
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
