package bench

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"github.com/bnfuse/bnfuse/fuse/fusetest"
	"github.com/bnfuse/bnfuse/nn"
	"gorgonia.org/tensor"
)

// BenchmarkNetwork folds a network in memory: the convolutions of a ResNet-50 and their norms, into a copy.
// torch-x is how many times as long PyTorch's fuse_conv_bn_eval takes for the same layers, on as many threads.
//
//	go test ./bench -run - -bench Network -benchtime 21x
func BenchmarkNetwork(b *testing.B) {
	var shapes [][]int
	var layers []nn.Module
	nBytes := 0
	for _, s := range fusetest.ResNet50() {
		layers = append(layers, conv2d(s), batchNorm2d(s[0]))
		shapes = append(shapes, s)
		nBytes += 4 * tensor.Shape(s).TotalSize()
	}
	model := nn.NewSequential(layers...)
	b.SetBytes(int64(nBytes))
	b.ReportMetric(float64(nBytes)/1e6, "MB")
	torch := startTorch(b, shapes)
	var seconds []float64
	var torchX ratios
	for range b.N {
		start := time.Now()
		_, plan, err := nn.FuseBN(model, nn.Options{Copy: true})
		took := time.Since(start).Seconds()
		if err != nil || len(plan.Steps) != len(shapes) {
			b.Fatalf("%d of %d norms folded: %v", len(plan.Steps), len(shapes), err)
		}
		seconds = append(seconds, took)
		if torch != nil {
			torchX = append(torchX, torch()/took)
		}
	}
	torchX.report(b, "torch-x")
	b.ReportMetric(1e3*median(seconds), "ms")
	reportLoad(b)
}

func conv2d(shape []int) *nn.Conv2d { return &nn.Conv2d{Weight: random(shape...)} }

func batchNorm2d(channels int) *nn.BatchNorm2d {
	return &nn.BatchNorm2d{Gamma: random(channels), Beta: random(channels), Mean: random(channels), Var: random(channels), Eps: 1e-5}
}

// random is a tensor of numbers between 0.5 and 1.5.
func random(shape ...int) *tensor.Dense {
	r := rand.New(rand.NewPCG(1, uint64(len(shape))))
	data := make([]float32, tensor.Shape(shape).TotalSize())
	for i := range data {
		data[i] = 0.5 + r.Float32()
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
}

// fuseEval folds the layers once for each line it reads, and answers how many seconds it took.
const fuseEval = `
import sys, time, torch
from torch.nn.utils.fusion import fuse_conv_bn_eval
pairs = []
for line in sys.stdin:
    if line == "go\n":
        start = time.perf_counter()
        fused = [fuse_conv_bn_eval(conv, bn) for conv, bn in pairs]
        print(time.perf_counter() - start, flush=True)
        continue
    cout, cin, k, _ = map(int, line.split())
    pairs.append((torch.nn.Conv2d(cin, cout, k, bias=False).eval(), torch.nn.BatchNorm2d(cout).eval()))
`

// startTorch gives the function that has PyTorch fold the layers; nil where it is not installed.
func startTorch(b *testing.B, shapes [][]int) func() (seconds float64) {
	if exec.Command(python, "-c", "import torch").Run() != nil {
		b.Log("PyTorch is left out: apt-get install python3-torch brings it")
		return nil
	}
	torch := start(b, exec.Command(python, "-c", fuseEval))
	b.Cleanup(torch.stop)
	for _, s := range shapes {
		fmt.Fprintln(torch.in, s[0], s[1], s[2], s[3])
	}
	return func() (seconds float64) { return torch.run(b, "go") }
}
