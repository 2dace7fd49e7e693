package bnfuse

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestCheckpoints: a checkpoint is fused by the pairs of a graph or of the file printed from it, with the
// same bytes, and written beside the input as safetensors.
func TestCheckpoints(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	var printed bytes.Buffer
	if err := WritePairs(ctx, &printed, "testdata/resnet.onnx", Options{Device: "cpu"}); err != nil {
		t.Fatal(err)
	}
	pairs := filepath.Join(dir, "pairs.yaml")
	if err := os.WriteFile(pairs, printed.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	var want []byte
	for name, c := range map[string]struct {
		from, out, format string
		options           Options
	}{
		"a.pt":          {"resnet.pt", "a.fused.safetensors", "pytorch", Options{Graph: "testdata/resnet.onnx"}},
		"b.v1.bin":      {"resnet.pt", "b.v1.fused.safetensors", "pytorch", Options{Pairs: pairs}},
		"c.safetensors": {"resnet.safetensors", "c.fused.safetensors", "safetensors", Options{Graph: "testdata/resnet.onnx"}},
		"d":             {"resnet.safetensors", "d.fused.safetensors", "safetensors", Options{Pairs: pairs}},
	} {
		in := filepath.Join(dir, name)
		if err := os.WriteFile(in, read(t, "testdata/"+c.from), 0o666); err != nil {
			t.Fatal(err)
		}
		c.options.Device = "cpu"
		m, err := FuseFile(ctx, in, "", c.options)
		if err != nil || m.Folded != 9 || m.Kept != 0 || m.Output != filepath.Join(dir, c.out) || m.Format != c.format {
			t.Fatalf("%s: %+v, %v", name, m, err)
		}
		got := read(t, m.Output)
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) || int64(len(got)) != m.BytesOut {
			t.Errorf("%s: other bytes, or another number of them than %d", name, m.BytesOut)
		}
	}
}

// TestPairsWhereThereAreNone: flags of checkpoints are refused for a graph, and a checkpoint prints no pairs.
func TestPairsWhereThereAreNone(t *testing.T) {
	ctx := context.Background()
	for _, o := range []Options{{Graph: "x.onnx"}, {Pairs: "names"}, {Eps: 1e-5}, {KeepNorms: true}} {
		if _, err := Inspect(ctx, "testdata/resnet.onnx", o); !errors.Is(err, ErrNotCheckpoint) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if err := WritePairs(ctx, &bytes.Buffer{}, "testdata/resnet.pt", Options{}); !errors.Is(err, ErrNotGraph) {
		t.Errorf("%v", err)
	}
}
