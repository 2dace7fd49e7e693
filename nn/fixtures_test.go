package nn

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// The fixtures are PyTorch's answers; testdata/make_fixtures.py makes them.
type fixture struct {
	Name          string
	Module        fixtureModule
	Norm          *fixtureModule
	Input, Output *fixtureTensor
	Fused         struct{ Weight, Bias *fixtureTensor }
}

type fixtureModule struct {
	Kind    string
	Options struct {
		Stride, Padding, Dilation, Kernel_size []int
		Output_padding                         []int
		Groups                                 int
		Eps                                    float64
	}
	Weight, Bias, Gamma, Beta, Mean, Var *fixtureTensor
}

type fixtureTensor struct {
	Shape []int
	Dtype string
	Hex   string
}

func readFixtures(t *testing.T) []fixture {
	t.Helper()
	b, err := os.ReadFile("testdata/fixtures.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var all []fixture
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func (f *fixtureTensor) dense(t *testing.T) *tensor.Dense {
	t.Helper()
	if f == nil {
		return nil
	}
	b, err := hex.DecodeString(f.Hex)
	if err != nil {
		t.Fatal(err)
	}
	if f.Dtype == "float32" {
		return newDense(tensor.Float32, f.Shape, elem.Decode(fuse.Float32, b))
	}
	return newDense(tensor.Float64, f.Shape, elem.Decode(fuse.Float64, b))
}

func (f *fixtureModule) module(t *testing.T) Module {
	t.Helper()
	o := f.Options
	conv := Conv{
		Weight: f.Weight.dense(t), Bias: f.Bias.dense(t),
		Stride: o.Stride, Padding: o.Padding, Dilation: o.Dilation, Groups: o.Groups,
	}
	transposed := ConvTranspose{
		Weight: conv.Weight, Bias: conv.Bias,
		Stride: o.Stride, Padding: o.Padding, OutputPadding: o.Output_padding, Dilation: o.Dilation, Groups: o.Groups,
	}
	norm := BatchNorm{Gamma: f.Gamma.dense(t), Beta: f.Beta.dense(t), Mean: f.Mean.dense(t), Var: f.Var.dense(t), Eps: o.Eps}
	switch f.Kind {
	case "Conv1d":
		return (*Conv1d)(&conv)
	case "Conv2d":
		return (*Conv2d)(&conv)
	case "Conv3d":
		return (*Conv3d)(&conv)
	case "ConvTranspose1d":
		return (*ConvTranspose1d)(&transposed)
	case "ConvTranspose2d":
		return (*ConvTranspose2d)(&transposed)
	case "ConvTranspose3d":
		return (*ConvTranspose3d)(&transposed)
	case "Linear":
		return &Linear{Weight: conv.Weight, Bias: conv.Bias}
	case "BatchNorm1d":
		return (*BatchNorm1d)(&norm)
	case "BatchNorm2d":
		return (*BatchNorm2d)(&norm)
	case "BatchNorm3d":
		return (*BatchNorm3d)(&norm)
	case "MaxPool2d":
		return &MaxPool2d{Kernel: o.Kernel_size, Stride: o.Stride, Padding: o.Padding}
	case "AvgPool2d":
		return &AvgPool2d{Kernel: o.Kernel_size, Stride: o.Stride, Padding: o.Padding}
	case "ReLU":
		return &ReLU{}
	case "Flatten":
		return &Flatten{}
	}
	t.Fatalf("no module of kind %q", f.Kind)
	return nil
}

// Forward computes what PyTorch computes, so that comparing outputs before and after proves something.
func TestForwardIsPyTorchs(t *testing.T) {
	for _, f := range readFixtures(t) {
		t.Run(f.Name, func(t *testing.T) {
			m := f.Module.module(t)
			if f.Norm != nil {
				m = NewSequential(m, f.Norm.module(t))
			}
			x := f.Input.dense(t)
			y, err := m.Forward(x)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := y.Shape(), tensor.Shape(f.Output.Shape); !got.Eq(want) || len(got) != len(want) {
				t.Fatalf("got shape %v, want %v", got, want)
			}
			compare(t, "output", forward(t, m, x), mustValues(t, f.Output.dense(t)), tolerances[x.Dtype()])
		})
	}
}

// The folded weights and biases are PyTorch's, and its fused model's output is ours.
func TestFoldIsPyTorchs(t *testing.T) {
	for _, f := range readFixtures(t) {
		if f.Norm == nil {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			x := f.Input.dense(t)
			out, plan := mustFuse(t, NewSequential(f.Module.module(t), f.Norm.module(t)), x, Options{})
			if len(plan.Skips) != 0 {
				t.Fatalf("skipped: %v", plan.Skips)
			}
			l, ok := layerOf(out)
			if !ok {
				t.Fatalf("a %T is left, want the layer alone", out)
			}
			// One division and one product from torch's, which uses the same formula for the scale.
			tol := map[tensor.Dtype]tolerance{tensor.Float64: {1e-14, 1e-14}, tensor.Float32: {1e-7, 1e-7}}[x.Dtype()]
			compare(t, "weight", mustValues(t, *l.weight), mustValues(t, f.Fused.Weight.dense(t)), tol)
			compare(t, "bias", mustValues(t, *l.bias), mustValues(t, f.Fused.Bias.dense(t)), tol)
			compare(t, "output", forward(t, out, x), mustValues(t, f.Output.dense(t)), tolerances[x.Dtype()])
		})
	}
}

func mustValues(t *testing.T, d *tensor.Dense) []float64 {
	t.Helper()
	v, err := values(d)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
