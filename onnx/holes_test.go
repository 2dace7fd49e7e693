//go:build unix

package onnx_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// TestHoles fuses a model whose external data are mostly a hole, and one with the same bytes and none: the
// outputs are the same, and the first has its hole still. A negative scale makes −0 of the zeros of a hole,
// which is no hole any more.
func TestHoles(t *testing.T) {
	const tensorBytes, tensors = 8 << 20, 5
	g := &onnxtest.Graph{Name: "g", Inputs: []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 1024)},
		Init: []onnxtest.Tensor{onnxtest.NewTensor("up", onnxtest.Float32, nil, 2), onnxtest.NewTensor("down", onnxtest.Float32, nil, -2)}}
	for i, scale := range []string{"", "up", "", "down", ""} {
		w, y := string(rune('a'+i)), "y"+string(rune('a'+i))
		g.Init = append(g.Init, onnxtest.NewTensor(w, onnxtest.Float32, []int64{2048, 1024}).InFile("weights", int64(i)*tensorBytes))
		gemm := onnxtest.Node{Op: "Gemm", In: []string{"x", w}, Out: []string{y}, Attrs: []onnxtest.Attr{onnxtest.Int("transB", 1)}}
		g.Nodes = append(g.Nodes, gemm)
		if scale != "" {
			g.Nodes = append(g.Nodes, onnxtest.Node{Op: "Mul", In: []string{y, scale}, Out: []string{y + "s"}})
			y += "s"
		}
		g.Outputs = append(g.Outputs, onnxtest.Val(y, onnxtest.Float32, 1, 2048))
	}
	model := (&onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 13}}, Graph: g}).Bytes()

	dense := make([]byte, tensorBytes*tensors)
	data := map[int64]string{100: "begin", tensorBytes + 1<<20: "scaled..", 4*tensorBytes + 12345: "rest"}
	holes := func(f *os.File) error { return f.Truncate(int64(len(dense))) }
	filled := func(f *os.File) error { _, err := f.Write(dense); return err }
	var outputs [][]byte
	var blocks []int64
	for _, start := range []func(*os.File) error{holes, filled} {
		dir := t.TempDir()
		f, err := os.Create(filepath.Join(dir, "weights"))
		if err != nil {
			t.Fatal(err)
		}
		if err := start(f); err != nil {
			t.Fatal(err)
		}
		for at, text := range data {
			if _, err := f.WriteAt([]byte(text), at); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		in, out := filepath.Join(dir, "in.onnx"), filepath.Join(dir, "out.onnx")
		if err := os.WriteFile(in, model, 0o666); err != nil {
			t.Fatal(err)
		}
		res, err := onnx.FuseFile(context.Background(), in, out, onnx.Options{Engine: host.New()})
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Plan.Steps) != 2 {
			t.Fatalf("%d folds, want 2", len(res.Plan.Steps))
		}
		outputs = append(outputs, readFile(t, out+".data"))
		blocks = append(blocks, blocksOf(t, filepath.Join(dir, "weights")), blocksOf(t, out+".data"))
	}
	if !bytes.Equal(outputs[0], outputs[1]) {
		t.Error("a hole in the input changes the output")
	}
	switch {
	case blocks[0] >= blocks[2]:
		t.Skip("this file system has no holes")
	case blocks[1] > tensorBytes+4<<20: // the negated tensor, and slabs with a few bytes in them
		t.Errorf("the output takes %d bytes of the disk, the input %d: its holes are lost", blocks[1], blocks[0])
	}
}

// blocksOf is what a file takes of the disk, in bytes.
func blocksOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}
