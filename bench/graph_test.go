package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// graphs are models with much in their graph, by what grows: n nodes, or n tensors that n nodes read.
var graphs = []struct {
	name  string
	sizes []int
	make  func(n int) *onnxtest.Graph
}{
	{"layers", []int{10_000, 100_000, 1_000_000}, chainModel},
	{"norms", []int{300, 3_000, 30_000}, normsModel},
	{"bodies", []int{3_000, 30_000}, bodiesModel},
	{"fan", []int{3_000, 30_000}, fanModel},
	{"initializers", []int{1_000, 10_000, 100_000}, initializersModel},
}

// BenchmarkGraph plans and rewrites graphs of growing size. exponent is how the time grows from the smallest
// to the largest: 1 is linear, 2 would be quadratic; caches that a graph outgrows add a little. B/node is the
// peak of resident memory beyond that of a small model, a node.
//
//	go test ./bench -run - -bench Graph -benchtime 7x
func BenchmarkGraph(b *testing.B) {
	program := buildProgram(b)
	for _, g := range graphs {
		var first, last float64
		for i, n := range g.sizes {
			dir := b.TempDir()
			in, out := filepath.Join(dir, "in.onnx"), filepath.Join(dir, "out.onnx")
			writeModel(b, in, g.make(n))
			b.Run(fmt.Sprintf("%s/%d", g.name, n), func(b *testing.B) {
				last = benchmarkGraph(b, program, in, out, n)
				if i == 0 {
					first = last
				} else {
					b.ReportMetric(math.Log(last/first)/math.Log(float64(n)/float64(g.sizes[0])), "exponent")
				}
			})
			os.Remove(in)
		}
	}
}

// smallModel is the peak of memory, in bytes, of a program that fuses a model of a few nodes.
const smallModel = 9e6

// benchmarkGraph returns the median of the seconds that the library takes; the memory is a process's.
func benchmarkGraph(b *testing.B, program, in, out string, n int) float64 {
	var seconds []float64
	for b.Loop() {
		start := time.Now()
		if _, err := onnx.FuseFile(context.Background(), in, out, onnx.Options{Engine: host.New(), Force: true}); err != nil {
			b.Fatal(err)
		}
		seconds = append(seconds, time.Since(start).Seconds())
	}
	os.Remove(out)
	_, peak := timed(b, out, program, "fuse", in, "-o", out, "--force", "--device", "cpu", "--quiet")
	if n >= 10_000 {
		b.ReportMetric((float64(peak)-smallModel)/float64(n), "B/node")
	}
	b.ReportMetric(float64(peak)/1e6, "MB-peak")
	perNode := make(ratios, len(seconds))
	for i, s := range seconds {
		perNode[i] = s * 1e9 / float64(n)
	}
	perNode.report(b, "ns/node")
	reportLoad(b)
	return median(seconds)
}
