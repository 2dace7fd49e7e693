package nn

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gorgonia.org/tensor"
)

// pair is an input and what a network makes of it.
type pair struct {
	ReLU
	X *tensor.Dense `nn:"x"`
	Y *tensor.Dense `nn:"y"`
}

// PyTorch loads what is saved of a folded network, and computes the same with it.
func TestPyTorchLoadsWhatIsSaved(t *testing.T) {
	python := torchPython(t)
	up := func(stride, padding, extra, groups int) Module {
		return &ConvTranspose2d{Stride: []int{stride}, Padding: []int{padding}, OutputPadding: []int{extra}, Groups: groups}
	}
	m := &Sequential{[]Child{ // GroupedDecoder of testdata/networks.py
		{"up1", up(2, 1, 1, 3)}, {"bn1", &BatchNorm2d{Eps: 1e-3}}, {"relu1", &ReLU{}},
		{"up2", up(2, 1, 0, 36)}, {"bn2", newNorm2d()}, {"relu2", &ReLU{}},
		{"up3", up(2, 0, 0, 4)}, {"bn3", newNorm2d()},
	}}
	mustLoad(t, "../testdata/grouped_decoder.safetensors", m, LoadOptions{})
	s := newSource(1)
	s.dtype = tensor.Float32
	x := s.dense(1, 24, 5, 5)
	y, err := m.Forward(x)
	if err != nil {
		t.Fatal(err)
	}
	fused, _ := mustFuse(t, m, x, Options{})
	script := filepath.Join(t.TempDir(), "check.py")
	if err := os.WriteFile(script, []byte(`
import sys, torch
sys.path += ["../examples/pytorch", "../testdata"]
from load_fused import load_fused, read_safetensors
from networks import GroupedDecoder
model, data = GroupedDecoder().eval(), read_safetensors(sys.argv[2])
assert load_fused(model, read_safetensors(sys.argv[1])) == 3
with torch.no_grad():
    torch.testing.assert_close(model(data["x"]), data["y"], rtol=1e-4, atol=1e-5)
`), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, "-B", script, mustSave(t, fused), mustSave(t, &pair{X: x, Y: y})).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// torchPython finds a Python with PyTorch and torchvision, or skips the test.
func torchPython(t *testing.T) string {
	t.Helper()
	for _, python := range []string{os.Getenv("BNFUSE_PYTHON"), "python3", "/usr/bin/python3"} {
		if python != "" && exec.Command(python, "-c", "import torch, torchvision").Run() == nil {
			return python
		}
	}
	t.Skip("no Python with torch and torchvision")
	return ""
}
