package bnfuse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
)

// lost is a device that dies at its first multiplication.
type lost struct {
	*host.Engine
	closed bool
}

func (*lost) Name() string { return "cuda:0" }
func (l *lost) Close() error {
	l.closed = true
	return nil
}
func (*lost) Scale(fuse.Slab, []fuse.Segment) error {
	return fmt.Errorf("cuda:0: out of memory: %w", fuse.ErrDeviceLost)
}

// linkCUDA stands in for the CUDA engine.
func linkCUDA(t *testing.T, open func(int) (fuse.Engine, error), list func() ([]DeviceInfo, error)) {
	before, beforeList := openCUDA, listCUDA
	openCUDA, listCUDA = open, list
	t.Cleanup(func() { openCUDA, listCUDA = before, beforeList })
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpenNames(t *testing.T) {
	var opened int
	linkCUDA(t, func(n int) (fuse.Engine, error) { opened = n; return &lost{}, nil }, nil)
	for name, want := range map[string]string{"": "cuda:0", "auto": "cuda:0", "cpu": "cpu", "cuda": "cuda:0", "cuda:3": "cuda:0"} {
		e, err := Open(name)
		if err != nil || e.Name() != want {
			t.Errorf("Open(%q) = %v, %v; want %s", name, e, err, want)
		}
		if name == "cuda:3" && opened != 3 {
			t.Errorf("Open(%q) opened device %d", name, opened)
		}
	}
	for _, name := range []string{"abacus", "cuda:", "cuda:x", "cuda:-1", "cuda0", "CPU"} {
		if _, err := Open(name); !errors.Is(err, ErrUnknownDevice) || !strings.Contains(err.Error(), name) {
			t.Errorf("Open(%q): %v", name, err)
		}
	}
}

// TestAutoWithoutDevice: a driver that is missing or broken is no error unless it was asked for.
func TestAutoWithoutDevice(t *testing.T) {
	broken := errors.New("no driver")
	linkCUDA(t, func(int) (fuse.Engine, error) { return nil, broken }, func() ([]DeviceInfo, error) { return nil, broken })
	if e, err := Open("auto"); err != nil || e.Name() != "cpu" {
		t.Errorf("auto: %v, %v", e, err)
	}
	if _, err := Open("cuda"); !errors.Is(err, broken) {
		t.Errorf("cuda: %v", err)
	}
	if list, err := Devices(); len(list) != 1 || list[0].Name != "cpu" || !errors.Is(err, broken) {
		t.Errorf("Devices: %v, %v", list, err)
	}
	linkCUDA(t, nil, nil)
	if _, err := Open("cuda"); !errors.Is(err, ErrNoCUDA) {
		t.Errorf("cuda, not linked in: %v", err)
	}
	if _, err := Devices(); !errors.Is(err, ErrNoCUDA) {
		t.Errorf("Devices, not linked in: %v", err)
	}
}

// TestLostDevice: where the choice of the device was ours, its loss costs one warning and no model.
func TestLostDevice(t *testing.T) {
	device := &lost{Engine: host.New()}
	linkCUDA(t, func(int) (fuse.Engine, error) { return device, nil }, nil)
	dir := t.TempDir()
	ctx := context.Background()
	want := filepath.Join(dir, "cpu.onnx")
	if _, err := FuseFile(ctx, "testdata/resnet.onnx", want, Options{Device: "cpu"}); err != nil {
		t.Fatal(err)
	}

	var logged bytes.Buffer
	out := filepath.Join(dir, "auto.onnx")
	m, err := FuseFile(ctx, "testdata/resnet.onnx", out, Options{Log: slog.New(slog.NewTextHandler(&logged, nil))})
	if err != nil || m.Engine != "cpu" || !device.closed {
		t.Fatalf("auto: engine %v, %v, device closed: %v", m, err, device.closed)
	}
	if !bytes.Equal(read(t, want), read(t, out)) {
		t.Error("the bytes differ from those of the CPU alone")
	}
	if n := strings.Count(logged.String(), "level=WARN"); n != 1 || !strings.Contains(logged.String(), "out of memory") {
		t.Errorf("%d warnings: %s", n, &logged)
	}

	if _, err := FuseFile(ctx, "testdata/resnet.onnx", filepath.Join(dir, "cuda.onnx"), Options{Device: "cuda"}); !errors.Is(err, fuse.ErrDeviceLost) {
		t.Errorf("cuda was asked for, and its loss gave %v", err)
	}
	device.closed = false
	if _, err := Inspect(ctx, "testdata/resnet.onnx", Options{Engine: host.New()}); err != nil || device.closed {
		t.Errorf("an engine of the caller's: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 2 {
		t.Errorf("files left: %q", left)
	}
}

func TestDefaultOutput(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{"a.onnx": "a.fused.onnx", "b.v1.onnx": "b.v1.fused.onnx", "model": "model.fused"} {
		in := filepath.Join(dir, name)
		if err := os.WriteFile(in, read(t, "testdata/stem_opset17.onnx"), 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := FuseFile(context.Background(), in, "", Options{})
		if err != nil || m.Input != in || m.Output != filepath.Join(dir, want) {
			t.Fatalf("%s: %+v, %v", name, m, err)
		}
		if n := len(read(t, m.Output)); int64(n) != m.BytesOut {
			t.Errorf("%s has %d bytes, the report says %d", want, n, m.BytesOut)
		}
	}
}

// TestOtherFormats: what is known to be no model is called by its name, and a damaged checkpoint is called
// damaged.
func TestOtherFormats(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{
		"PK\x03\x04....":                          "the archive is damaged",
		"\x80\x02\x8a\x0a":                        "the pickle is cut",
		"\x89HDF\r\n\x1a\n":                       "HDF5",
		"GGUF\x03\x00\x00\x00":                    "GGUF",
		"\x1c\x00\x00\x00TFL3":                    "TensorFlow Lite",
		"\x02\x00\x00\x00\x00\x00\x00\x00{":       "the file is cut",
		"{}":                                      "JSON",
		"version https://git-lfs.github.com/spec": "git lfs pull",
	} {
		path := filepath.Join(dir, "model.onnx")
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Inspect(context.Background(), path, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", content, err)
		}
	}
	for name, want := range map[string]string{"page.pt": "not that of a .pt file", "cut.safetensors": "too short", "text.PTH": "not that of a .pth file"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("a page"), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Inspect(context.Background(), path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Inspect(context.Background(), filepath.Join(dir, "missing.onnx"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Inspect(context.Background(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a folder: %v", err)
	}
}

// TestNamedPipe: nobody waits for a writer that may never come.
func TestNamedPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := exec.Command("mkfifo", path).Run(); err != nil {
		t.Skip("no named pipes here:", err)
	}
	if _, err := Inspect(context.Background(), path, Options{}); err == nil || !strings.Contains(err.Error(), "a named pipe") {
		t.Errorf("got error %v", err)
	}
}

func TestVersion(t *testing.T) {
	if Version() == "" {
		t.Error("no version")
	}
}
