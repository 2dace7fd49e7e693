package onnx

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// seed gives a fuzz target the shared cases and the smallest real models.
func seed(f *testing.F) {
	for _, c := range onnxtest.Cases() {
		f.Add(c.Model.Bytes())
	}
	models, _ := filepath.Glob("../testdata/*.onnx")
	for _, path := range models {
		if b, err := os.ReadFile(path); err == nil && len(b) < 64<<10 {
			f.Add(b)
		}
	}
}

// FuzzRead wants an index or an error from any bytes, and no panic.
func FuzzRead(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, model []byte) {
		m, err := readModel(bytes.NewReader(model), int64(len(model)))
		if err != nil {
			return
		}
		for n := range int32(len(m.nodes)) {
			m.nodeName(n)
			for _, v := range m.out(n) {
				m.shape(v)
				m.isConstant(v)
			}
		}
	})
}

// FuzzFuse wants a model or an error from any bytes; a model that was written can be read, has nothing
// left to fold, and does not change when it is fused again.
func FuzzFuse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, model []byte) {
		before := bytes.Clone(model)
		out, _, err := fuseBytes(t, testEngine, model)
		if !bytes.Equal(model, before) {
			t.Fatal("the input was changed")
		}
		if err != nil || out == nil {
			return
		}
		if _, err := onnxtest.Parse(model); err != nil {
			return // protobuf the reader takes more loosely than onnxtest: its content means nothing
		}
		if _, err := onnxtest.Parse(out); err != nil {
			t.Fatalf("the output cannot be parsed: %v", err)
		}
		_, plan, err := fuseBytes(t, testEngine, out)
		if err != nil {
			t.Fatalf("the output cannot be fused: %v", err)
		}
		if len(plan.Steps) > 0 {
			t.Fatalf("a second run folds %q", plan.Steps[0].Norm.Name)
		}
	})
}
