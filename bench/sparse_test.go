package bench

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// BenchmarkSparse fuses a model whose external data are a file of 20 GB, nearly all of it a hole. MB-written is
// what the output takes on the disk. It runs only where BNFUSE_SPARSE names a folder to do it in, on a file
// system that has holes.
//
//	BNFUSE_SPARSE=/tmp go test ./bench -run - -bench Sparse -benchtime 3x
func BenchmarkSparse(b *testing.B) {
	parent := os.Getenv("BNFUSE_SPARSE")
	if parent == "" {
		b.Skip("BNFUSE_SPARSE names no folder")
	}
	dir, err := os.MkdirTemp(parent, "sparse")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := buildProgram(b)
	m := sparseModel(b, dir)
	out := filepath.Join(dir, "out.onnx")
	b.SetBytes(sparseBytes)
	var written int64
	fuse := func() (float64, int64) {
		os.Remove(out + ".data")
		seconds, peak := timed(b, out, program, m.fuseArgs(out)...)
		written = onDisk(b, out+".data")
		return seconds, peak
	}
	inTurn(b, fuse, nil, nil)
	b.ReportMetric(float64(written)/1e6, "MB-written")
}

// sparseBytes is the size of the external data, sparseTensors how many weights they hold: [65536, 8192]
// float32 each, all zeros but where something is written. One of them is scaled, and so read.
const (
	sparseTensors = 10
	sparseBytes   = sparseTensors << 31
)

func sparseModel(b *testing.B, dir string) model {
	const rows, columns = 1 << 16, 1 << 13
	g := chainModel(3)
	x := "features"
	g.Inputs = append(g.Inputs, onnxtest.Val(x, onnxtest.Float32, 1, columns))
	for i := range sparseTensors {
		name := string(rune('a' + i))
		weight := onnxtest.NewTensor(name, onnxtest.Float32, []int64{rows, columns}).InFile("weights.bin", int64(i)<<31)
		g.Init = append(g.Init, weight)
		g.Nodes = append(g.Nodes, onnxtest.Node{Op: "Gemm", Name: "gemm_" + name, In: []string{x, name}, Out: []string{name + "_y"},
			Attrs: []onnxtest.Attr{onnxtest.Int("transB", 1)}})
		if i > 0 {
			g.Outputs = append(g.Outputs, onnxtest.Val(name+"_y", onnxtest.Float32, 1, rows))
		}
	}
	g.Init = append(g.Init, onnxtest.NewTensor("two", onnxtest.Float32, []int64{1}, 2))
	g.Nodes = append(g.Nodes, onnxtest.Node{Op: "Mul", Name: "mul", In: []string{"a_y", "two"}, Out: []string{"z"}})
	g.Outputs = append(g.Outputs, onnxtest.Val("z", onnxtest.Float32, 1, rows))
	path := filepath.Join(dir, "in.onnx")
	writeModel(b, path, g)
	f, err := os.Create(filepath.Join(dir, "weights.bin"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(sparseBytes); err != nil {
		b.Fatal(err)
	}
	for at := int64(0); at < sparseBytes; at += 1 << 30 { // a little data here and there
		if _, err := f.WriteAt([]byte{0, 0, 0x80, 0x3f}, at); err != nil {
			b.Fatal(err)
		}
	}
	return model{path: path}
}

// onDisk is what a file takes on the disk.
func onDisk(b *testing.B, path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Size()
	}
	return st.Blocks * 512
}
