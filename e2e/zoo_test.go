package e2e

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// zooTree is a folder of models of every format and other files, copied from testdata.
func zooTree(t *testing.T, copies int) string {
	t.Helper()
	dir := t.TempDir()
	names := []string{"resnet.onnx", "resnet.pt", "resnet.safetensors", "mobilenet_v2.onnx", "external_data.onnx", "external_data.onnx.data", "README.md"}
	for i := range copies {
		for _, name := range names {
			to := filepath.Join(dir, fmt.Sprint(i), name)
			if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
				t.Fatal(err)
			}
			writeFile(t, to, readFile(t, filepath.Join(testdata, name)))
		}
	}
	return dir
}

// deepTree reads a folder with all that is below it.
func deepTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[strings.TrimPrefix(path, dir)] = string(readFile(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestWholeZoo fuses testdata, and the real models in BNFUSE_ZOO, as one folder each: verify finds every model
// right, ONNX Runtime finds the networks the same, and a second run has nothing to do.
func TestWholeZoo(t *testing.T) {
	dirs := []string{testdata}
	if real := os.Getenv("BNFUSE_ZOO"); real != "" {
		dirs = append(dirs, real)
	}
	for _, dir := range dirs {
		out := filepath.Join(t.TempDir(), "out")
		if r := bnfuse(t, "zoo", dir, "-o", out); r.code != 0 {
			t.Fatalf("%s: exit %d\n%s%s", dir, r.code, r.stdout, r.stderr)
		} else {
			t.Logf("%s", r.stdout)
		}
		if r := bnfuse(t, "verify", dir, out); r.code != 0 {
			t.Errorf("%s: verify: exit %d\n%s%s", dir, r.code, r.stdout, r.stderr)
		}
		start := time.Now()
		r := bnfuse(t, "zoo", dir, "-o", out)
		t.Logf("%s, again in %v", r.stdout, time.Since(start).Round(time.Millisecond))
		if r.code != 0 || !strings.Contains(r.stdout, "done by an earlier run") {
			t.Errorf("%s: a second run: exit %d\n%s%s", dir, r.code, r.stdout, r.stderr)
		}
		if dir != testdata { // TestTestdata compares those, with their own inputs
			sameNetworks(t, dir, out)
		}
	}
}

func sameNetworks(t *testing.T, dir, out string) {
	needRuntime(t)
	models, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
	if err != nil || len(models) == 0 {
		t.Fatalf("%s holds no models: %v", dir, err)
	}
	for _, model := range models {
		equivalent(t, model, filepath.Join(out, filepath.Base(model)), normal(nil), 1e-4)
	}
}

// TestZooInterrupted stops a run with each signal; run again, it completes to what an undisturbed run gives.
func TestZooInterrupted(t *testing.T) {
	dir := zooTree(t, 60)
	whole := filepath.Join(t.TempDir(), "whole")
	start := time.Now()
	if r := bnfuse(t, "zoo", dir, "-o", whole); r.code != 0 {
		t.Fatalf("exit %d\n%s", r.code, r.stderr)
	}
	took := time.Since(start)
	want := deepTree(t, whole)
	stopped := 0
	for i, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM} {
		out := filepath.Join(t.TempDir(), "out")
		cmd := exec.Command(program, "zoo", dir, "-o", out)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(took * time.Duration(i+1) / 6)
		cmd.Process.Signal(signal)
		if cmd.Wait(); cmd.ProcessState.ExitCode() == 128+int(signal) {
			stopped++
		}
		for name, content := range deepTree(t, out) {
			if !strings.Contains(name, ".bnfuse-journal") && content != want[name] {
				t.Errorf("%v: %s is there and not whole", signal, name)
			}
		}
		if r := bnfuse(t, "zoo", dir, "-o", out); r.code != 0 {
			t.Fatalf("run again: exit %d\n%s", r.code, r.stderr)
		}
		if !maps.Equal(deepTree(t, out), want) {
			t.Errorf("%v: run again, the result is another than undisturbed", signal)
		}
	}
	if stopped == 0 {
		t.Error("no run was stopped")
	}
}

// TestZooMemory: memory does not grow with the number of models, nor much with the workers.
func TestZooMemory(t *testing.T) {
	dir := zooTree(t, 300)
	for _, jobs := range []string{"1", "64"} {
		cmd := exec.Command(program, "zoo", dir, "-o", filepath.Join(t.TempDir(), "out"), "--jobs", jobs)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		peak := watchMemory(cmd.Process.Pid, done, t)
		t.Logf("1500 models, %s jobs: %d KiB", jobs, peak)
		if peak == 0 || peak > 160<<10 {
			t.Errorf("%s jobs used %d KiB of memory, want at most 160 MiB", jobs, peak)
		}
	}
}

// watchMemory is the largest memory in KiB that a process has had, asked again and again until it is done. What
// the kernel counts for a process that has ended includes this one's memory, from before it was another program.
func watchMemory(pid int, done chan error, t *testing.T) (peak int) {
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return peak
		case <-time.After(5 * time.Millisecond):
		}
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
			fmt.Sscan(after, &peak)
		}
	}
}
