package bench

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// minBytes is the size from which on a model counts as large.
const minBytes = 100_000_000

// BenchmarkFile sets `bnfuse fuse` beside `cp --reflink=never` of the same file, as processes, in turn,
// with the input in the page cache. ns/op and MB/s are bnfuse's; x-cp is the median of the ratios of the
// times, with its quartiles; MB-peak is the largest resident memory of a bnfuse. x-ort is how many times
// as long ONNX Runtime takes to load the model, fold it and save it, without the start of its process.
//
// BNFUSE_ZOO names a folder of real models, of which the large ones are taken; without it some are made.
//
//	BNFUSE_ZOO=/models go test ./bench -run - -bench File -benchtime 20x
func BenchmarkFile(b *testing.B) {
	program := filepath.Join(b.TempDir(), "bnfuse")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/bnfuse").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	models := largeModels(b)
	// A child's peak counts from its parent's, which is still the same memory when it is made.
	debug.FreeOSMemory()
	os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	for _, model := range models {
		b.Run(strings.TrimSuffix(filepath.Base(model), ".onnx"), func(b *testing.B) {
			benchmarkFile(b, program, model)
		})
	}
}

func benchmarkFile(b *testing.B, program, model string) {
	info, err := os.Stat(model)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	out := filepath.Join(b.TempDir(), "out.onnx")
	fuse := func() (float64, int64) {
		return timed(b, out, program, "fuse", model, "-o", out, "--device", "cpu", "--quiet")
	}
	copyFile := func() (float64, int64) { return timed(b, out, "cp", "--reflink=never", model, out) }
	copyFile() // the input comes into the page cache
	var ofCp []float64
	var peak int64
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		var mine, theirs float64
		var rss int64
		if i%2 == 0 {
			theirs, _ = copyFile()
		}
		b.StartTimer()
		mine, rss = fuse()
		b.StopTimer()
		if i%2 == 1 {
			theirs, _ = copyFile()
		}
		ofCp = append(ofCp, mine/theirs)
		peak = max(peak, rss)
		b.StartTimer()
	}
	b.StopTimer()
	b.ReportMetric(median(ofCp), "x-cp")
	b.ReportMetric(ofCp[len(ofCp)/4], "x-cp-q1") // median has sorted them
	b.ReportMetric(ofCp[len(ofCp)*3/4], "x-cp-q3")
	b.ReportMetric(float64(peak)/1e6, "MB-peak")
	if seconds := runtimeSeconds(b, model, out); seconds > 0 {
		b.ReportMetric(seconds/(b.Elapsed().Seconds()/float64(b.N)), "x-ort")
	}
}

// timed runs a program that writes out, and takes away what it wrote.
func timed(b *testing.B, out string, name string, args ...string) (seconds float64, maxRSS int64) {
	cmd := exec.Command(name, args...)
	start := time.Now()
	text, err := cmd.CombinedOutput()
	seconds = time.Since(start).Seconds()
	if err != nil {
		b.Fatalf("%v: %v\n%s", cmd, err, text)
	}
	if err := os.Remove(out); err != nil {
		b.Fatal(err)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		maxRSS = usage.Maxrss << 10
	}
	return seconds, maxRSS
}

// offline has ONNX Runtime fold a model and prints how many seconds it took.
const offline = `
const ort = require('onnxruntime-node')
const [model, out] = process.argv.slice(1)
const start = process.hrtime.bigint()
ort.InferenceSession.create(model, { optimizedModelFilePath: out, graphOptimizationLevel: 'basic', logSeverityLevel: 3 })
	.then(() => console.log(Number(process.hrtime.bigint() - start) / 1e9))
`

// runtimeSeconds is the median of a few runs of ONNX Runtime's offline optimization, 0 where it is not
// installed.
func runtimeSeconds(b *testing.B, model, out string) float64 {
	if _, err := os.Stat("../e2e/node_modules/onnxruntime-node"); err != nil {
		b.Log("ONNX Runtime is left out: `make e2e` installs it")
		return 0
	}
	path, err := filepath.Abs(model)
	if err != nil {
		b.Fatal(err)
	}
	var all []float64
	for range min(b.N, 5) {
		cmd := exec.Command("node", "-e", offline, path, out)
		cmd.Dir = "../e2e"
		text, err := cmd.Output()
		if err != nil {
			b.Logf("ONNX Runtime is left out: %v", err)
			return 0
		}
		seconds, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, seconds)
		os.Remove(out)
	}
	return median(all)
}

// largeModels are the large models of BNFUSE_ZOO, or made ones.
func largeModels(b *testing.B) []string {
	zoo := os.Getenv("BNFUSE_ZOO")
	if zoo == "" {
		return []string{
			generate(b, "generated_float32", onnxtest.Float32, 11),
			generate(b, "generated_float16", onnxtest.Float16, 22),
		}
	}
	all, err := filepath.Glob(filepath.Join(zoo, "*.onnx"))
	if err != nil {
		b.Fatal(err)
	}
	size := func(path string) int64 {
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		return info.Size()
	}
	large := slices.DeleteFunc(all, func(path string) bool { return size(path) < minBytes })
	if len(large) == 0 {
		b.Skipf("BNFUSE_ZOO=%s: no *.onnx of %d bytes or more", zoo, minBytes)
	}
	slices.SortFunc(large, func(x, y string) int { return cmp.Compare(size(x), size(y)) })
	return large
}
