package bench

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

var update = flag.Bool("update", false, "record the instruction counts")

// recorded holds the counts that TestInstructions compares with.
const recorded = "testdata/instructions.txt"

// tolerance is how many more instructions than recorded are too many, as a share, and spin how many more than
// that are let pass: a thread of Go's runtime that waits for another spins a little. That can only add, so a
// run is counted up to maxTries times, and the least count is the program's own.
const (
	tolerance = 0.04
	spin      = 80_000
	maxTries  = 5
)

// TestInstructions counts the instructions that whole runs of the program execute, under valgrind's
// callgrind, and fails where they have become more. Other than time, a count does not depend on what else
// the machine does. It does depend on the compiler and the processor's kind, so the counts are compared
// only under the Go release and the platform that recorded them. Valgrind knows no AVX-512: the engine
// takes its AVX2 loops.
//
//	go test ./bench -run Instructions -update    after a change that is worth its cost, or saves some
func TestInstructions(t *testing.T) {
	if testing.Short() {
		t.Skip("valgrind takes seconds")
	}
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		leaveOut(t, "no valgrind to count instructions with: %v", err)
	}
	runs := guarded(t)
	if *update {
		writeCounts(t, valgrind, runs)
	}
	want, platform := readCounts(t)
	if platform != thisPlatform() {
		leaveOut(t, "%s was recorded with %s; this is %s, and -update records it anew", recorded, platform, thisPlatform())
	}
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		limit := int64(float64(want[name])*(1+tolerance)) + spin
		got := count(t, valgrind, runs[name], limit)
		change := 100 * (float64(got)/float64(want[name]) - 1)
		t.Logf("%-24s %12d instructions, %+.1f %%", name, got, change)
		switch {
		case want[name] == 0:
			t.Errorf("%s: there is no count for it in %s; -update records one", name, recorded)
		case got > limit:
			t.Errorf("%s: %d instructions, %d are recorded: %.1f %% more, and %d are allowed", name, got, want[name], change, limit)
		case change < -200*tolerance:
			t.Logf("%s: fewer than recorded; -update keeps it that way", name)
		}
	}
}

// leaveOut skips the test, or fails it where BNFUSE_REQUIRE_VALGRIND is set.
func leaveOut(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("BNFUSE_REQUIRE_VALGRIND") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// guarded are the command lines that are counted, by name: the program's start, small models of several
// kinds, a graph of many nodes, and weights of some size.
func guarded(t *testing.T) map[string][]string {
	program := filepath.Join(t.TempDir(), "bnfuse")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "../cmd/bnfuse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := t.TempDir()
	graph, weights := filepath.Join(dir, "graph.onnx"), filepath.Join(dir, "weights.onnx")
	writeModel(t, graph, chainModel(10_000))
	writeModel(t, weights, weightsModel("weights", onnxtest.Float32, 2))
	runs := map[string][]string{"version": {program, "version"}}
	out := filepath.Join(dir, "out.onnx")
	for _, model := range []string{
		"../testdata/resnet.onnx", "../testdata/mobilenet_v3.onnx", "../testdata/norm_first.onnx", "../testdata/frozen_resnet.onnx", graph, weights,
	} {
		runs["fuse "+filepath.Base(model)] = []string{program, "fuse", model, "-o", out, "--force", "--quiet", "--device", "cpu"}
	}
	runs["fuse resnet.pt"] = []string{program, "fuse", "../testdata/resnet.pt", "--graph", "../testdata/resnet.onnx",
		"-o", filepath.Join(dir, "out.safetensors"), "--force", "--quiet", "--device", "cpu"}
	return runs
}

var collected = regexp.MustCompile(`Collected : (\d+)`)

// count runs a command a few times and returns the least number of instructions; one that is small enough
// is not tried again.
func count(t *testing.T, valgrind string, command []string, enough int64) int64 {
	t.Helper()
	least := countOnce(t, valgrind, command)
	for i := 1; i < maxTries && least > enough; i++ {
		least = min(least, countOnce(t, valgrind, command))
	}
	return least
}

// countOnce runs a command under callgrind. One thread of Go code, no garbage collection and no preemption
// leave little that time decides.
func countOnce(t *testing.T, valgrind string, command []string) int64 {
	t.Helper()
	cmd := exec.Command(valgrind, append([]string{"--tool=callgrind", "--callgrind-out-file=/dev/null"}, command...)...)
	cmd.Env = []string{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1", "PATH=" + os.Getenv("PATH")}
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, text)
	}
	found := collected.FindSubmatch(text)
	if found == nil {
		t.Fatalf("%v counts nothing:\n%s", cmd, text)
	}
	n, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// thisPlatform is what counts depend on besides the source.
func thisPlatform() string {
	return fmt.Sprintf("%s %s/%s %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, cmp.Or(vectors(), "no AVX2"))
}

// vectors names the instructions that the engine's fast loops need, "" where the processor has not all.
func vectors() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for _, flag := range []string{"avx2", "f16c", "fma"} {
		if !bytes.Contains(info, []byte(" "+flag+" ")) {
			return ""
		}
	}
	return "AVX2"
}

func writeCounts(t *testing.T, valgrind string, runs map[string][]string) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Instructions of whole runs of bnfuse; `go test ./bench -run Instructions -update` writes this file.\n%s\n", thisPlatform())
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		fmt.Fprintf(&b, "%d %s\n", count(t, valgrind, runs[name], 0), name)
	}
	if err := os.MkdirAll(filepath.Dir(recorded), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(recorded, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

func readCounts(t *testing.T) (counts map[string]int64, platform string) {
	text, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	counts = map[string]int64{}
	for _, line := range lines[2:] {
		number, name, _ := strings.Cut(line, " ")
		if counts[name], err = strconv.ParseInt(number, 10, 64); err != nil {
			t.Fatalf("%s: %v", recorded, err)
		}
	}
	return counts, lines[1]
}
