package zoo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bnfuse/bnfuse/host"
)

// TestMain is a run over a zoo, too, for tests that need one in a process of its own.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BNFUSE_TEST_ZOO"); dir != "" {
		o := Options{Engines: Engines{Engine: host.New()}, Version: "test", Log: slog.New(slog.DiscardHandler)}
		z, err := Run(context.Background(), dir, os.Getenv("BNFUSE_TEST_OUT"), o)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(z.Totals.Resumed)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process is a run over dir in a process of its own.
func process(t *testing.T, dir, out string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "BNFUSE_TEST_ZOO="+dir, "BNFUSE_TEST_OUT="+out)
	return cmd
}

// manyModels is a zoo that takes a while.
func manyModels(t *testing.T, copies int) string {
	t.Helper()
	var lines strings.Builder
	for i := range copies {
		fmt.Fprintf(&lines, "%d/resnet.onnx = resnet.onnx\n%d/resnet.pt = resnet.pt\n%d/net.onnx = mobilenet_v2.onnx\n", i, i, i)
		fmt.Fprintf(&lines, "%d/config.json: {}\n%d/external_data.onnx = external_data.onnx\n%d/external_data.onnx.data = external_data.onnx.data\n", i, i, i)
	}
	return tree(t, lines.String())
}

// Killed at any moment and run again, the result is that of an undisturbed run, byte for byte, the journal
// included.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("fifty runs are killed")
	}
	const kills, wantMidRun = 50, 40
	dir, root := manyModels(t, 40), t.TempDir()
	before := contents(t, dir)
	var took time.Duration
	var want map[string]string
	r := rand.New(rand.NewPCG(1, 2))
	midRun, resumed, n := 0, 0, 0
	for ; n < kills || midRun < wantMidRun && n < 2*kills; n++ {
		if n%5 == 0 { // how long a run takes changes with what else the machine does
			took, want = undisturbed(t, dir, filepath.Join(root, fmt.Sprint("whole", n)))
		}
		out := filepath.Join(root, fmt.Sprint("killed", n))
		victim := process(t, dir, out)
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(r.Float64() * float64(took)))
		victim.Process.Kill()
		var exit *exec.ExitError
		if err := victim.Wait(); errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
			midRun++
		}
		second, err := process(t, dir, out).CombinedOutput()
		if err != nil {
			t.Fatalf("after kill %d: %v: %s", n, err, second)
		}
		var models int
		fmt.Sscan(string(second), &models)
		resumed += models
		if diff := cmp.Diff(want, contents(t, out)); diff != "" {
			t.Fatalf("kill %d (-undisturbed +resumed):\n%.2000s", n, diff)
		}
		os.RemoveAll(out)
	}
	t.Logf("%d of %d kills were mid-run, the last of %v; %d models were taken over from killed runs", midRun, n, took, resumed)
	if midRun < wantMidRun {
		t.Errorf("%d kills were mid-run, want %d", midRun, wantMidRun)
	}
	if resumed == 0 {
		t.Error("nothing was taken over: the journal is of no use")
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Error("the input was changed")
	}
}

// undisturbed is how long a run takes, and what it gives.
func undisturbed(t *testing.T, dir, out string) (time.Duration, map[string]string) {
	t.Helper()
	start := time.Now()
	if text, err := process(t, dir, out).CombinedOutput(); err != nil {
		t.Fatal(err, string(text))
	}
	took := time.Since(start)
	defer os.RemoveAll(out)
	return took, contents(t, out)
}

// A full disk ends the run with a clear error and no half-written file; with room the next run completes it.
func TestDiskFull(t *testing.T) {
	dir, disk := manyModels(t, 10), t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system needs the right to mount: %v", err)
	}
	defer syscall.Unmount(disk, 0)
	whole := filepath.Join(t.TempDir(), "whole")
	mustRun(t, dir, whole, Options{})

	out := filepath.Join(disk, "out")
	z, err := runZoo(t, dir, out, Options{})
	if !errors.Is(err, ErrDiskFull) {
		t.Fatalf("on a full disk: %v", err)
	}
	if z.Totals.Failed == 0 || z.Totals.Fused == 0 {
		t.Errorf("totals %+v", z.Totals)
	}
	want, got := contents(t, whole), contents(t, out)
	for name, content := range got {
		if name != journalPrefix && content != want[name] {
			t.Errorf("%s is there and not whole", name)
		}
	}
	if err := syscall.Mount("none", disk, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	z = mustRun(t, dir, out, Options{})
	if z.Totals.Resumed == 0 {
		t.Error("what the first run did was done again")
	}
	if diff := cmp.Diff(want, contents(t, out)); diff != "" {
		t.Errorf("(-undisturbed +resumed):\n%.2000s", diff)
	}
}
