package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	channels   = 1024
	largeBytes = channels * 256 * 256 * 4
	smallRSS   = 128 << 20 // DESIGN's 64 MiB of heap and slabs, and the program itself
)

// TestLargeModel folds 256 MiB in little memory, from inside the file and from an external one.
func TestLargeModel(t *testing.T) {
	if testing.Short() {
		t.Skip("writes half a gigabyte")
	}
	for name, build := range map[string]func(*testing.T, string){"inline": largeInline, "external": largeExternal} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			build(t, filepath.Join(dir, "model.onnx"))
			r := bnfuse(t, "fuse", filepath.Join(dir, "model.onnx"), "-o", filepath.Join(dir, "out.onnx"))
			if r.code != 0 {
				t.Fatalf("exit %d\n%s", r.code, r.stderr)
			}
			if r.maxRSS > smallRSS {
				t.Errorf("used %d MiB of memory, want at most %d", r.maxRSS>>20, smallRSS>>20)
			}
		})
	}
}

// TestInterrupted stops the program in the middle: no half-written file, and no temporary one, stays behind.
func TestInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a quarter of a gigabyte, several times")
	}
	for _, after := range []time.Duration{5, 20, 50, 100} {
		dir, outDir := t.TempDir(), t.TempDir()
		model, out := filepath.Join(dir, "model.onnx"), filepath.Join(outDir, "out.onnx")
		largeInline(t, model)
		cmd := exec.Command(program, "fuse", model, "-o", out)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after * time.Millisecond)
		cmd.Process.Signal(os.Interrupt)
		err := cmd.Wait()
		left, _ := filepath.Glob(filepath.Join(outDir, "*"))
		hidden, _ := filepath.Glob(filepath.Join(outDir, ".*"))
		left = append(left, hidden...)
		switch {
		case err != nil && len(left) > 0:
			t.Errorf("interrupted after %d ms: %v, and it left %q", after, err, left)
		case err == nil && (len(left) != 1 || left[0] != out):
			t.Errorf("done before the interrupt after %d ms, and it left %q", after, left)
		}
	}
}

// largeModel is a 1×1 convolution and its norm, without the convolution's weight.
func largeModel() *onnxtest.Model {
	perChannel := func(name string, x float64) onnxtest.Tensor {
		data := make([]float64, channels)
		for i := range data {
			data[i] = x
		}
		return onnxtest.NewTensor(name, onnxtest.Float32, []int64{channels}, data...)
	}
	return &onnxtest.Model{
		IR:     8,
		Opsets: []onnxtest.Opset{{Version: 15}},
		Graph: &onnxtest.Graph{
			Name: "large",
			Nodes: []onnxtest.Node{
				{Op: "Conv", Name: "conv", In: []string{"x", "w"}, Out: []string{"c"}},
				{Op: "BatchNormalization", Name: "norm", In: []string{"c", "gamma", "beta", "mean", "var"}, Out: []string{"y"}},
			},
			Init:    []onnxtest.Tensor{perChannel("gamma", 1.5), perChannel("beta", 0.5), perChannel("mean", 0.25), perChannel("var", 2)},
			Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 256*256, 2, 2)},
			Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, channels, 2, 2)},
		},
	}
}

// largeInline writes the model with its weight, all zeros, as the last field of the file: a second part
// of the graph, which protobuf merges with the first.
func largeInline(t *testing.T, path string) {
	t.Helper()
	var weight []byte // TensorProto
	for _, d := range []uint64{channels, 256 * 256, 1, 1} {
		weight = protowire.AppendVarint(protowire.AppendTag(weight, 1, protowire.VarintType), d)
	}
	weight = protowire.AppendVarint(protowire.AppendTag(weight, 2, protowire.VarintType), uint64(onnxtest.Float32))
	weight = protowire.AppendString(protowire.AppendTag(weight, 8, protowire.BytesType), "w")
	weight = protowire.AppendVarint(protowire.AppendTag(weight, 9, protowire.BytesType), largeBytes) // raw_data follows
	initializer := protowire.AppendVarint(protowire.AppendTag(nil, 5, protowire.BytesType), uint64(len(weight))+largeBytes)
	initializer = append(initializer, weight...)
	file := protowire.AppendTag(largeModel().Bytes(), 7, protowire.BytesType)
	file = append(protowire.AppendVarint(file, uint64(len(initializer))+largeBytes), initializer...)
	writeFile(t, path, file)
	if err := os.Truncate(path, int64(len(file))+largeBytes); err != nil {
		t.Fatal(err)
	}
}

// largeExternal writes the model with its weight, all zeros, in a file beside it.
func largeExternal(t *testing.T, path string) {
	t.Helper()
	m := largeModel()
	weight := onnxtest.NewTensor("w", onnxtest.Float32, []int64{channels, 256 * 256, 1, 1})
	weight.Encoding = onnxtest.InFile
	weight.External.Entries = []onnxtest.Entry{{Key: "location", Value: "weights.bin"}}
	m.Graph.Init = append(m.Graph.Init, weight)
	writeFile(t, path, m.Bytes())
	data := filepath.Join(filepath.Dir(path), "weights.bin")
	writeFile(t, data, nil)
	if err := os.Truncate(data, largeBytes); err != nil {
		t.Fatal(err)
	}
}
