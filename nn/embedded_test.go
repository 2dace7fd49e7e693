package nn_test

import (
	"errors"
	"math"
	"testing"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/nn"
)

// tripled embeds a norm, whose Params it has for that, and does something else.
type tripled struct{ nn.BatchNorm2d }

func (n *tripled) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	y, err := n.BatchNorm2d.Forward(x)
	if err != nil {
		return nil, err
	}
	return y.MulScalar(float32(3), true)
}

func TestEmbeddedNormStays(t *testing.T) {
	of := func(shape ...int) *tensor.Dense {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(tensor.Range(tensor.Float32, 1, 1+tensor.Shape(shape).TotalSize())))
	}
	norm := &tripled{nn.BatchNorm2d{Gamma: of(2), Beta: of(2), Mean: of(2), Var: of(2), Eps: 1e-5}}
	_, plan, err := nn.FuseBN(nn.NewSequential(&nn.Conv2d{Weight: of(2, 1, 1, 1)}, norm), nn.Options{Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Steps) != 0 {
		t.Errorf("folded as what it embeds: %+v", plan.Steps)
	}
	if _, err := nn.FusePair(&nn.Conv2d{Weight: of(2, 1, 1, 1)}, norm); !errors.As(err, new(*fuse.Refusal)) {
		t.Errorf("FusePair: %v", err)
	}
}

// byNumber is a module with a map that may have a key which is not found again.
type byNumber struct {
	Blocks map[float64]nn.Module
}

func (b *byNumber) Forward(x *tensor.Dense) (*tensor.Dense, error) { return x, nil }

func TestCopyOfMapWithNaN(t *testing.T) {
	m := &byNumber{map[float64]nn.Module{math.NaN(): &nn.Identity{}}}
	if _, _, err := nn.FuseBN(m, nn.Options{Copy: true}); err == nil {
		t.Error("it is copied, or loses an entry")
	}
}
