//go:build cuda && cgo && software

package bnfuse

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/cuda/software"
)

// manyModels copies the small models of testdata until there are n, and gives the bytes they become.
func manyModels(t *testing.T, n int) (files []File, want map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	want = map[string][]byte{}
	small := []string{"stem_opset17", "affine_chain", "control_flow", "two_heads", "siamese", "double", "half", "grouped_decoder"}
	folded := map[string][]byte{}
	for _, name := range small {
		folded[name] = fusedFiles(t, "testdata/"+name+".onnx", Options{Device: "cpu"})["out.onnx"]
	}
	for i := range n {
		name := small[i%len(small)]
		b, err := os.ReadFile("testdata/" + name + ".onnx")
		if err != nil {
			t.Fatal(err)
		}
		in, out := filepath.Join(dir, fmt.Sprintf("%d.onnx", i)), filepath.Join(dir, fmt.Sprintf("%d.out.onnx", i))
		if err := os.WriteFile(in, b, 0o666); err != nil {
			t.Fatal(err)
		}
		files = append(files, File{in, out})
		want[out] = folded[name]
	}
	return files, want
}

func checkFiles(t *testing.T, errs []error, want map[string][]byte) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	for out, b := range want {
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s: %v, or not the CPU's bytes", filepath.Base(out), err)
		}
	}
}

// Two hundred small models go through a few slabs, and each slab is one launch.
func TestManyModelsShareLaunches(t *testing.T) {
	t.Cleanup(func() { software.Configure("") })
	software.Configure("")
	files, want := manyModels(t, 200)
	_, errs := FuseFiles(context.Background(), files, Options{Device: "cuda"})
	checkFiles(t, errs, want)
	c := software.Count()
	t.Logf("%d models: %d launches, %d copies in, %d out", len(files), c.Launches, c.CopiesIn, c.CopiesOut)
	if c.Launches > 16 {
		t.Errorf("%d launches for %d small models, want 16 at most", c.Launches, len(files))
	}
}

// So do those of a zoo, whose walk and journal are at work beside them.
func TestZooSharesLaunches(t *testing.T) {
	t.Cleanup(func() { software.Configure("") })
	software.Configure("")
	files, want := manyModels(t, 200)
	dir, out := filepath.Dir(files[0].In), filepath.Join(t.TempDir(), "out")
	z, err := FuseZoo(context.Background(), dir, out, ZooOptions{Options: Options{Device: "cuda"}})
	if err != nil || z.Totals.Fused != len(files) {
		t.Fatalf("error %v, totals %+v", err, z.Totals)
	}
	inZoo := map[string][]byte{}
	for _, f := range files {
		inZoo[filepath.Join(out, filepath.Base(f.In))] = want[f.Out]
	}
	checkFiles(t, nil, inZoo)
	c := software.Count()
	t.Logf("%d models: %d launches, %d copies in, %d out", len(files), c.Launches, c.CopiesIn, c.CopiesOut)
	if c.Launches > 16 {
		t.Errorf("%d launches for %d small models, want 16 at most", c.Launches, len(files))
	}
}

// A zoo goes on where its device is lost.
func TestZooSurvivesItsDevice(t *testing.T) {
	t.Cleanup(func() { software.Configure("") })
	for _, call := range []int{20, 40, 80} {
		software.Configure(fmt.Sprintf("devices=1,lost=%d:214", call))
		files, _ := manyModels(t, 60)
		out := filepath.Join(t.TempDir(), "out")
		z, err := FuseZoo(context.Background(), filepath.Dir(files[0].In), out, ZooOptions{Options: Options{Device: "auto"}})
		if err != nil || z.Totals.Fused != len(files) || z.Totals.Failed != 0 {
			t.Errorf("lost at call %d: error %v, totals %+v", call, err, z.Totals)
		}
		if live := software.Count().Live; live != (software.Live{}) {
			t.Errorf("lost at call %d: left behind %+v", call, live)
		}
	}
}

// Two devices share a batch, and when one is lost on the way, the other does its part too.
func TestDevicesShareABatch(t *testing.T) {
	t.Cleanup(func() { software.Configure("") })
	losesADevice(t, "devices=2", "cuda:all")
}

// Where the CPU may be taken, it does what a lost device did not.
func TestBatchSurvivesItsDevice(t *testing.T) {
	t.Cleanup(func() { software.Configure("") })
	losesADevice(t, "devices=1", "auto")
}

// losesADevice fuses a batch, and again with a device lost in the middle of the work: at most one warning,
// and every file.
func losesADevice(t *testing.T, devices, name string) {
	t.Helper()
	software.Configure(devices)
	e, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	opened := software.Count().Calls
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	software.Configure(devices)
	files, want := manyModels(t, 60)
	_, errs := FuseFiles(context.Background(), files, Options{Device: name})
	checkFiles(t, errs, want)
	work := software.Count().Calls - opened
	for _, at := range []int{opened + work/8, opened + work/4, opened + work/2} {
		software.Configure(fmt.Sprintf("%s,lost=%d:214", devices, at))
		var log strings.Builder
		files, want := manyModels(t, 60)
		_, errs := FuseFiles(context.Background(), files, Options{Device: name, Log: slog.New(slog.NewTextHandler(&log, nil))})
		checkFiles(t, errs, want)
		if n := strings.Count(log.String(), "going on without"); n > 1 || n == 0 && at == opened+work/4 {
			t.Errorf("lost at call %d of %d: %d warnings:\n%s", at, opened+work, n, &log)
		}
		if live := software.Count().Live; live != (software.Live{}) {
			t.Errorf("lost at call %d: left behind %+v", at, live)
		}
	}
}
