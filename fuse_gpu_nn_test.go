package bnfuse

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/nn"
)

// A network in memory is staged to the device and back by the same calls as a file, and gets the bits
// of the CPU. Its convolution is larger than a slab.
func TestCUDAFoldsNetworksInMemory(t *testing.T) {
	e := openForTest(t)
	fold := func(engine fuse.Engine) []any {
		r := rand.New(rand.NewPCG(1, 2))
		model := nn.NewSequential(
			&nn.Conv2d{Weight: randomDense[float32](r, 512, 1024, 3, 3)},
			randomNorm[float32](r, 512),
			nn.NewSequential(
				&nn.ConvTranspose2d{Weight: randomDense[float32](r, 512, 3, 2, 2), Bias: randomDense[float32](r, 6), Groups: 2},
				randomNorm[float32](r, 6)),
			&nn.Flatten{},
			&nn.Linear{Weight: randomDense[float64](r, 7, 96)},
			(*nn.BatchNorm1d)(randomNorm[float64](r, 7)),
		)
		conv, up, fc := model.Child("0").(*nn.Conv2d), model.Child("2").(*nn.Sequential).Child("0").(*nn.ConvTranspose2d), model.Child("4").(*nn.Linear)
		_, plan, err := nn.FuseBN(model, nn.Options{Engine: engine})
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Steps) != 3 {
			t.Fatalf("%d of 3 norms folded: %+v", len(plan.Steps), plan.Skips)
		}
		return []any{conv.Weight.Data(), conv.Bias.Data(), up.Weight.Data(), up.Bias.Data(), fc.Weight.Data(), fc.Bias.Data()}
	}
	want, got := fold(nil), fold(e)
	for i, name := range []string{"Conv2d weight", "Conv2d bias", "ConvTranspose2d weight", "ConvTranspose2d bias", "Linear weight", "Linear bias"} {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("%s differs from the CPU's", name)
		}
	}
}

func randomDense[T float32 | float64](r *rand.Rand, shape ...int) *tensor.Dense {
	x := make([]T, tensor.Shape(shape).TotalSize())
	for i := range x {
		x[i] = T(r.NormFloat64())
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))
}

func randomNorm[T float32 | float64](r *rand.Rand, channels int) *nn.BatchNorm2d {
	variance := make([]T, channels)
	for i := range variance {
		variance[i] = T(0.1 + r.Float64())
	}
	return &nn.BatchNorm2d{Gamma: randomDense[T](r, channels), Beta: randomDense[T](r, channels), Mean: randomDense[T](r, channels),
		Var: tensor.New(tensor.WithShape(channels), tensor.WithBacking(variance)), Eps: 1e-5}
}
