package bnfuse

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/fuse/fusetest"
)

// openForTest opens the first CUDA device, or skips the test with the reason why there is none. With
// BNFUSE_REQUIRE_CUDA=1 that is a failure: a machine that has a device must not skip in silence.
func openForTest(t *testing.T) fuse.Engine {
	t.Helper()
	e, err := Open("cuda")
	if err != nil {
		if os.Getenv("BNFUSE_REQUIRE_CUDA") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestCUDAPassesTheSharedTable(t *testing.T) {
	fusetest.Run(t, openForTest(t))
}

// Every model of testdata gives the same file on the device as on the CPU.
func TestCUDAWritesTheCPUsFiles(t *testing.T) {
	e := openForTest(t)
	var models []string
	err := filepath.WalkDir("testdata", func(path string, d os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".onnx" {
			models = append(models, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(models) == 0 {
		t.Fatal("testdata holds no models")
	}
	for _, model := range models {
		t.Run(model, func(t *testing.T) {
			want := fusedFiles(t, model, Options{Device: "cpu"})
			got := fusedFiles(t, model, Options{Engine: e})
			for name := range want {
				if !bytes.Equal(got[name], want[name]) {
					t.Errorf("%s differs from the CPU's: %d bytes, want %d", name, len(got[name]), len(want[name]))
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d files, want %d", len(got), len(want))
			}
		})
	}
}

// fusedFiles fuses a model into an empty folder and gives what is there afterwards.
func fusedFiles(t *testing.T, model string, o Options) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	if _, err := FuseFile(context.Background(), model, filepath.Join(dir, "out.onnx"), o); err != nil {
		t.Fatal(err)
	}
	return readFolder(t, dir)
}

func readFolder(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, entry := range entries {
		if files[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// All of testdata as one zoo, checkpoints too, gives the same folder on the device as on the CPU.
func TestCUDAWritesTheCPUsZoo(t *testing.T) {
	e := openForTest(t)
	var trees []map[string][]byte
	for _, o := range []Options{{Device: "cpu"}, {Engine: e}} {
		out := filepath.Join(t.TempDir(), "out")
		z, err := FuseZoo(context.Background(), "testdata", out, ZooOptions{Options: o})
		if err != nil || z.Totals.Failed > 0 || z.Totals.Fused == 0 {
			t.Fatalf("error %v, totals %+v", err, z.Totals)
		}
		tree := map[string][]byte{}
		err = filepath.WalkDir(out, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, _ := filepath.Rel(out, path)
			tree[name], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree)
	}
	for name, want := range trees[0] {
		if !bytes.Equal(trees[1][name], want) {
			t.Errorf("%s: not the CPU's bytes", name)
		}
	}
	if len(trees[0]) != len(trees[1]) {
		t.Errorf("%d files, want %d", len(trees[1]), len(trees[0]))
	}
}
