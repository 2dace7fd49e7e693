package verify

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// compared compares two models in memory.
func compared(original, fused []byte) (*Result, error) {
	a, err := readModel(bytes.NewReader(original), int64(len(original)))
	if err != nil {
		return nil, err
	}
	b, err := readModel(bytes.NewReader(fused), int64(len(fused)))
	if err != nil {
		return nil, err
	}
	c := newChecker(a, b)
	c.models()
	return &c.result, c.err
}

// FuzzRead wants from any bytes an error or a model that is like itself, and no panic.
func FuzzRead(f *testing.F) {
	for _, c := range onnxtest.Cases() {
		f.Add(c.Model.Bytes())
	}
	f.Fuzz(func(t *testing.T, model []byte) {
		r, err := compared(model, model)
		if err == nil && !r.OK() {
			t.Errorf("a model is not like itself: %+v", r)
		}
	})
}

// FuzzStates wants a result or an error for any two checkpoints, and no panic; a checkpoint must be like
// itself. The names tell the pairs.
func FuzzStates(f *testing.F) {
	state := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("..", "checkpoint", "testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	f.Add(state("plain.safetensors"), state("plain.safetensors"))
	f.Add(state("plain.pt"), state("plain.safetensors"))
	f.Add(state("legacy.pt"), state("parts.pt"))
	f.Fuzz(func(t *testing.T, original, fused []byte) {
		dir := t.TempDir()
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		for path, content := range map[string][]byte{a: original, b: fused} {
			if err := os.WriteFile(path, content, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		o := Options{Pairs: NamesPairs, Eps: 1e-5}
		Checkpoints(t.Context(), a, b, o)
		if r, err := Checkpoints(t.Context(), a, a, o); err == nil && (!r.OK() || r.Folded > 0) {
			t.Errorf("a checkpoint is not like itself: %+v", r)
		}
	})
}

// FuzzPair wants a result or an error for any two models, and no panic.
func FuzzPair(f *testing.F) {
	cases := onnxtest.Cases()
	for i, c := range cases {
		f.Add(c.Model.Bytes(), c.Model.Bytes())
		f.Add(c.Model.Bytes(), cases[(i+1)%len(cases)].Model.Bytes())
	}
	f.Fuzz(func(t *testing.T, original, fused []byte) {
		if r, err := compared(original, fused); err == nil && r.OK() != (r.Wrong() == 0 && len(r.Differences) == 0) {
			t.Errorf("%+v", r)
		}
	})
}

// TestTruncated: a cut model is an error or a difference. A prefix may be a model of its own.
func TestTruncated(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join("..", "testdata", "two_heads.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += 1 + n/500 {
		if r, err := compared(whole, whole[:n]); err == nil && r.OK() {
			t.Fatalf("%d of %d bytes are as good as all", n, len(whole))
		}
	}
}
