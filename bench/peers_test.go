package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// maxSlowBytes is the size up to which a model is given to peers that take many times as long.
const maxSlowBytes = 700_000_000

// slowPeers are the programs that fold the model too, those of them that are installed.
func slowPeers(b *testing.B, m model, out string) []slowPeer {
	if m.nBytes(b) > maxSlowBytes {
		return nil
	}
	switch filepath.Ext(m.path) {
	case ".onnx":
		return onnxRuntime(b, m, out)
	case ".pt":
		return pyTorch(b, m, out)
	}
	return nil
}

// offline has ONNX Runtime fold a model and prints how many seconds it took.
const offline = `
const ort = require('onnxruntime-node')
const [model, out] = process.argv.slice(1)
const start = process.hrtime.bigint()
ort.InferenceSession.create(model, { optimizedModelFilePath: out, graphOptimizationLevel: 'basic', logSeverityLevel: 3 })
	.then(() => console.log(Number(process.hrtime.bigint() - start) / 1e9))
`

// onnxRuntime is ONNX Runtime's offline optimization.
func onnxRuntime(b *testing.B, m model, out string) []slowPeer {
	if _, err := os.Stat("../e2e/node_modules/onnxruntime-node"); err != nil {
		b.Log("ONNX Runtime is left out: `make e2e` installs it")
		return nil
	}
	path, err := filepath.Abs(m.path)
	if err != nil {
		b.Fatal(err)
	}
	command := func() *exec.Cmd {
		cmd := exec.Command("node", "-e", offline, path, out)
		cmd.Dir = "../e2e"
		return cmd
	}
	return thatPrints(b, "ort", "ONNX Runtime", m, out, command)
}

// python is where Debian's python3-torch is.
const python = "/usr/bin/python3"

// loadFuseSave has PyTorch load a state dict, fold it and save it, and prints how many seconds it took. The
// model is one of torchvision's, or made of layers as weightsModel has them.
const loadFuseSave = `
import os, sys, time, torch, torch.fx
from torch.fx.experimental.optimization import fuse
path, out = sys.argv[1:]
name = os.path.splitext(os.path.basename(path))[0]

class Layer(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = torch.nn.BatchNorm2d(channels)
    def forward(self, x):
        return self.bn(self.conv(x))

def network():
    if not name.startswith("generated"):
        import torchvision
        return torchvision.models.get_model(name, weights=None)
    weights = [v for k, v in torch.load(path).items() if k.endswith("conv.weight")]
    layers = [(f"layer{i}", Layer(w.shape[0]).to(w.dtype)) for i, w in enumerate(weights)]
    import collections
    return torch.nn.Sequential(collections.OrderedDict(layers))

model = network().eval()
start = time.perf_counter()
model.load_state_dict(torch.load(path), strict=False)
torch.save(fuse(model, inplace=True).state_dict(), out)
print(time.perf_counter() - start)
`

// pyTorch is fuse_conv_bn_eval over a whole model, as torch.fx applies it.
func pyTorch(b *testing.B, m model, out string) []slowPeer {
	if exec.Command(python, "-c", "import torch, torchvision").Run() != nil {
		b.Log("PyTorch is left out: apt-get install python3-torch python3-torchvision brings it")
		return nil
	}
	command := func() *exec.Cmd { return exec.Command(python, "-c", loadFuseSave, m.path, out) }
	return thatPrints(b, "torch", "PyTorch", m, out, command)
}

// thatPrints is a peer that writes out and prints how many seconds its work took. One that fails is left out.
func thatPrints(b *testing.B, name, title string, m model, out string, command func() *exec.Cmd) []slowPeer {
	if _, _, err := secondsPrinted(out, command()); err != nil {
		b.Logf("%s is left out: %v", title, err)
		return nil
	}
	run := func(out string, cmd *exec.Cmd) (work, process float64) {
		work, process, err := secondsPrinted(out, cmd)
		if err != nil {
			b.Fatal(err)
		}
		return work, process
	}
	return []slowPeer{{
		name: name,
		run:  func() (work, process float64) { return run(out, command()) },
		mine: func() (work float64) {
			fused := m.fusedName(out)
			work, _ = run(fused, exec.Command(os.Args[0], asLibrary, m.path, fused, m.graph))
			return work
		},
	}}
}

// secondsPrinted runs a program that writes out and prints how many seconds its work took, and takes out away.
func secondsPrinted(out string, cmd *exec.Cmd) (work, process float64, err error) {
	defer os.Remove(out)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	start := time.Now()
	text, err := cmd.Output()
	process = time.Since(start).Seconds()
	if err != nil {
		return 0, 0, fmt.Errorf("%w\n%s", err, errors.Bytes())
	}
	work, err = strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	return work, process, err
}
