package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPyTorch: folded checkpoints give PyTorch's own classes the outputs of the originals, whether their
// norms are gone or kept, and whether they were .pt or .safetensors.
func TestPyTorch(t *testing.T) {
	compareInPyTorch(t, testdata, filepath.Join(testdata, "make_testdata.py")+":MODELS")
}

// TestPyTorchZoo does the same with the real models in BNFUSE_ZOO, which BNFUSE_ZOO_MODELS makes.
func TestPyTorchZoo(t *testing.T) {
	dir, models := os.Getenv("BNFUSE_ZOO"), os.Getenv("BNFUSE_ZOO_MODELS")
	if dir == "" || models == "" {
		t.Skip("BNFUSE_ZOO and BNFUSE_ZOO_MODELS name no models")
	}
	compareInPyTorch(t, dir, models)
}

func compareInPyTorch(t *testing.T, dir, models string) {
	t.Helper()
	script := filepath.Join("..", "examples", "pytorch", "compare_zoo.py")
	out, err := exec.Command(torchPython(t), "-B", script, dir, models, "--bnfuse", program).CombinedOutput()
	t.Logf("\n%s", out)
	if err != nil {
		t.Error(err)
	}
}

// torchPython finds a Python with PyTorch and what the models need beside it, or skips the test.
func torchPython(t *testing.T) string {
	t.Helper()
	for _, python := range []string{os.Getenv("BNFUSE_PYTHON"), "python3", "/usr/bin/python3"} {
		if python != "" && exec.Command(python, "-c", "import torch, torchvision, onnx").Run() == nil {
			return python
		}
	}
	t.Skip("no Python with torch, torchvision and onnx")
	return ""
}
