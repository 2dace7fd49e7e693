package bench

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// minBytes is the size from which on a model counts as large.
const minBytes = 100_000_000

// BenchmarkFile sets `bnfuse fuse` beside `cp --reflink=never` of the same file, as processes, in turn, with
// the input in the page cache. ns/op and MB/s are bnfuse's; x-cp is the median of the ratios of the times,
// with its quartiles; MB-peak is the largest resident memory of a bnfuse. ort-x and torch-x are how many
// times as long as the library's FuseFile ONNX Runtime takes to load, fold and save an ONNX model, and PyTorch a state
// dict, without the start of any process; ort-process-x and torch-process-x are of whole processes.
//
// BNFUSE_ZOO names a folder of real models, of which the large ones are taken; without it some are made.
//
//	BNFUSE_ZOO=/models go test ./bench -run - -bench File -benchtime 11x
func BenchmarkFile(b *testing.B) {
	program := buildProgram(b)
	for _, m := range largeModels(b) {
		b.Run(filepath.Base(m.path), func(b *testing.B) { benchmarkFile(b, program, m) })
	}
}

// buildProgram builds the command.
func buildProgram(b *testing.B) string {
	program := filepath.Join(b.TempDir(), "bnfuse")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/bnfuse").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return program
}

// model is a file to fuse. A checkpoint needs the graph of its network.
type model struct {
	path, graph string
}

func (m model) nBytes(b *testing.B) int64 {
	info, err := os.Stat(m.path)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// fuseArgs is how bnfuse is called for it.
func (m model) fuseArgs(out string) []string {
	args := []string{"fuse", m.path, "-o", out, "--device", "cpu", "--quiet"}
	if m.graph != "" {
		args = append(args, "--graph", m.graph)
	}
	return args
}

// fusedName is out with the ending of its output.
func (m model) fusedName(out string) string {
	if ending := filepath.Ext(m.path); ending != ".pt" {
		return out + ending
	}
	return out + ".safetensors"
}

func benchmarkFile(b *testing.B, program string, m model) {
	b.SetBytes(m.nBytes(b))
	out := filepath.Join(b.TempDir(), "out")
	fused := m.fusedName(out)
	fuse := func() (float64, int64) { return timed(b, fused, program, m.fuseArgs(fused)...) }
	cp := peer{"cp", func() float64 {
		seconds, _ := timed(b, out, "cp", "--reflink=never", m.path, out)
		return seconds
	}}
	cp.run() // the input comes into the page cache
	inTurn(b, fuse, []peer{cp}, slowPeers(b, m, out))
	b.ReportMetric(float64(m.nBytes(b))/1e6, "MB")
}

// largeModels are the large models of BNFUSE_ZOO, or made ones.
func largeModels(b *testing.B) []model {
	zoo := os.Getenv("BNFUSE_ZOO")
	if zoo == "" {
		return slices.Concat(
			generate(b, "generated_float32", onnxtest.Float32, 11),
			generate(b, "generated_float16", onnxtest.Float16, 22),
			generate(b, "generated_1GB", onnxtest.Float32, 107)[:2])
	}
	var large []model
	for _, pattern := range []string{"*.onnx", "*.safetensors", "*.pt"} {
		paths, err := filepath.Glob(filepath.Join(zoo, pattern))
		if err != nil {
			b.Fatal(err)
		}
		var some []model
		for _, path := range paths {
			m := model{path: path}
			if pattern != "*.onnx" {
				m.graph = strings.TrimSuffix(path, filepath.Ext(path)) + ".onnx"
			}
			if m.nBytes(b) >= minBytes {
				some = append(some, m)
			}
		}
		slices.SortFunc(some, func(x, y model) int { return cmp.Compare(x.nBytes(b), y.nBytes(b)) })
		large = append(large, some...)
	}
	if len(large) == 0 {
		b.Skipf("BNFUSE_ZOO=%s: no model of %d bytes or more", zoo, minBytes)
	}
	return large
}
