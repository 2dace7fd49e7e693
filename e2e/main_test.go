package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

var (
	program    string // path of bnfuse
	runtimeErr error  // why there is no ONNX Runtime, if there is none
)

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bnfuse-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if program, err = buildProgram(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if runtimeErr = openRuntime(); runtimeErr == nil {
		defer ort.DestroyEnvironment()
	}
	return m.Run()
}

func buildProgram(dir string) (string, error) {
	if path := os.Getenv("BNFUSE_BIN"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(dir, "bnfuse")
	build := exec.Command("go", "build", "-o", path, "./cmd/bnfuse")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("e2e: go build ./cmd/bnfuse: %w\n%s", err, out)
	}
	return path, nil
}

func openRuntime() error {
	path, err := runtimeLibrary()
	if err != nil {
		return err
	}
	ort.SetSharedLibraryPath(path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("e2e: %s: %w", path, err)
	}
	return nil
}

// runtimeLibrary finds the library that npm's onnxruntime-node brings along.
func runtimeLibrary() (string, error) {
	if path := os.Getenv("BNFUSE_ONNXRUNTIME"); path != "" {
		return path, nil
	}
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	name := map[string]string{"darwin": "libonnxruntime.1.dylib"}[runtime.GOOS]
	if name == "" {
		name = "libonnxruntime.so.1"
	}
	path := filepath.Join("node_modules", "onnxruntime-node", "bin", "napi-v6", runtime.GOOS, arch, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("e2e: no ONNX Runtime: %w (npm ci --ignore-scripts installs it)", err)
	}
	return filepath.Abs(path)
}

// needRuntime skips the test where there is no ONNX Runtime, unless that is not allowed.
func needRuntime(t *testing.T) {
	t.Helper()
	if runtimeErr == nil {
		return
	}
	if os.Getenv("BNFUSE_REQUIRE_E2E") == "1" || os.Getenv("CI") == "true" {
		t.Fatal(runtimeErr)
	}
	t.Skip(runtimeErr)
}
