package nn

import (
	"fmt"
	"math"
	"reflect"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
)

// Norm is a batch normalization: at inference it computes y = γ·(x − μ)/√(σ² + ε) + β for each channel,
// and the channels are its input's second axis. A type of your own that has this method is folded too, unless it has it
// from a norm that it embeds: its Forward may do something else. It keeps the norm in a field with a name, then.
type Norm interface {
	Module

	// Params gives the inference parameters. The error is a [*fuse.Refusal] where the norm has none:
	// it is in training mode, or normalizes by the batch.
	Params() (fuse.Norm, error)
}

// asNorm is the module as a norm, if it is one.
func asNorm(m Module) (Norm, bool) {
	n, ok := m.(Norm)
	return n, ok && !embedsNorm(reflect.TypeOf(m))
}

var normType = reflect.TypeFor[Norm]()

// embedsNorm reports whether a type, not of this package, has the methods of a norm in it.
func embedsNorm(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() == normType.PkgPath() {
		return false
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous && (f.Type.Implements(normType) || reflect.PointerTo(f.Type).Implements(normType)) {
			return true
		}
	}
	return false
}

// BatchNorm holds what [BatchNorm1d], [BatchNorm2d], [BatchNorm3d] and [SyncBatchNorm] have in common.
type BatchNorm struct {
	Gamma *tensor.Dense `nn:"weight,optional"` // [C]; nil means ones
	Beta  *tensor.Dense `nn:"bias,optional"`   // [C]; nil means zeros
	Mean  *tensor.Dense `nn:"running_mean"`    // [C]; nil means no running statistics: it normalizes by the batch
	Var   *tensor.Dense `nn:"running_var"`     // [C]; as Mean

	// Batches, a scalar of type int64, is how many batches Mean and Var are made of. Nothing here reads it: it
	// is there to be loaded and saved. Nil means unknown.
	Batches *tensor.Dense `nn:"num_batches_tracked,optional"`

	Eps      float64 // as it stands: PyTorch's default is 1e-5, and 0 means 0
	Training bool    // normalizes by the batch; Forward does not update Mean and Var
}

// BatchNorm1d takes [N, C] or [N, C, L].
type BatchNorm1d BatchNorm

// BatchNorm2d takes [N, C, H, W].
type BatchNorm2d BatchNorm

// BatchNorm3d takes [N, C, D, H, W].
type BatchNorm3d BatchNorm

// SyncBatchNorm takes [N, C, …]. At inference nothing is left to synchronize.
type SyncBatchNorm BatchNorm

// FrozenBatchNorm2d is a norm of constants, as torchvision's detection models have. It takes [N, C, H, W].
type FrozenBatchNorm2d struct {
	Gamma *tensor.Dense `nn:"weight,optional"` // [C]; nil means ones
	Beta  *tensor.Dense `nn:"bias,optional"`   // [C]; nil means zeros
	Mean  *tensor.Dense `nn:"running_mean"`    // [C]
	Var   *tensor.Dense `nn:"running_var"`     // [C]

	Eps float64 // as it stands; torchvision's default is 1e-5
}

// Params implements [Norm].
func (n *BatchNorm1d) Params() (fuse.Norm, error) { return (*BatchNorm)(n).params() }

// Params implements [Norm].
func (n *BatchNorm2d) Params() (fuse.Norm, error) { return (*BatchNorm)(n).params() }

// Params implements [Norm].
func (n *BatchNorm3d) Params() (fuse.Norm, error) { return (*BatchNorm)(n).params() }

// Params implements [Norm].
func (n *SyncBatchNorm) Params() (fuse.Norm, error) { return (*BatchNorm)(n).params() }

// Params implements [Norm].
func (n *FrozenBatchNorm2d) Params() (fuse.Norm, error) { return n.batchNorm().params() }

// Forward normalizes x [N, C] or [N, C, L].
func (n *BatchNorm1d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return (*BatchNorm)(n).forward(n, x)
}

// Forward normalizes x [N, C, H, W].
func (n *BatchNorm2d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return (*BatchNorm)(n).forward(n, x)
}

// Forward normalizes x [N, C, D, H, W].
func (n *BatchNorm3d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return (*BatchNorm)(n).forward(n, x)
}

// Forward normalizes x [N, C, …].
func (n *SyncBatchNorm) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return (*BatchNorm)(n).forward(n, x)
}

// Forward normalizes x [N, C, H, W].
func (n *FrozenBatchNorm2d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return n.batchNorm().forward(n, x)
}

func (n *FrozenBatchNorm2d) batchNorm() *BatchNorm {
	return &BatchNorm{Gamma: n.Gamma, Beta: n.Beta, Mean: n.Mean, Var: n.Var, Eps: n.Eps}
}

// takesAxes reports whether the norm takes inputs with that many axes after [N, C].
func takesAxes(n Norm, axes int) bool {
	switch n.(type) {
	case *BatchNorm1d:
		return axes <= 1
	case *BatchNorm2d, *FrozenBatchNorm2d:
		return axes == 2
	case *BatchNorm3d:
		return axes == 3
	}
	return true
}

func (n *BatchNorm) params() (fuse.Norm, error) {
	if n.Training {
		return fuse.Norm{}, fuse.Refuse(fuse.ReasonTraining, "it normalizes by the batch")
	}
	if n.Mean == nil || n.Var == nil {
		return fuse.Norm{}, fuse.Refuse(fuse.ReasonNormParams, "it has no running statistics and normalizes by the batch")
	}
	p := fuse.Norm{Eps: n.Eps}
	for _, f := range [...]struct {
		name string
		from *tensor.Dense
		to   *[]float64
	}{{"gamma", n.Gamma, &p.Gamma}, {"beta", n.Beta, &p.Beta}, {"mean", n.Mean, &p.Mean}, {"variance", n.Var, &p.Var}} {
		if f.from == nil {
			continue
		}
		var err error
		if *f.to, err = vector(f.from); err != nil {
			return fuse.Norm{}, fuse.Refuse(fuse.ReasonNormParams, "its %s cannot be read: %v", f.name, err)
		}
	}
	return p, nil
}

// forward computes (x − μ)/√(σ² + ε)·γ + β as it is written: nothing that folding does is in it.
func (n *BatchNorm) forward(as Norm, x *tensor.Dense) (*tensor.Dense, error) {
	in, err := input(x, 2)
	if err == nil && !takesAxes(as, len(in.shape)-2) {
		err = fmt.Errorf("input %v has the wrong number of axes", in.shape)
	}
	if err != nil {
		return nil, fmt.Errorf("nn: %s: %w", kindOf(as), err)
	}
	channels, inner := in.shape[1], product(in.shape[2:])
	stored := *n
	if n.Training || n.Mean == nil || n.Var == nil {
		mean, variance := batchStatistics(in.values, channels, inner)
		stored.Mean = newDense(tensor.Float64, []int{channels}, mean)
		stored.Var = newDense(tensor.Float64, []int{channels}, variance)
		stored.Training = false
	}
	p, err := stored.params()
	if err != nil {
		return nil, fmt.Errorf("nn: %s: %w", kindOf(as), err)
	}
	for _, v := range [][]float64{p.Gamma, p.Beta, p.Mean, p.Var} {
		if v != nil && len(v) != channels {
			return nil, fmt.Errorf("nn: %s: input %v has %d channels, the norm has %d", kindOf(as), in.shape, channels, len(v))
		}
	}
	out := make([]float64, len(in.values))
	for i, v := range in.values {
		c := i / inner % channels
		y := (v - p.Mean[c]) / math.Sqrt(p.Var[c]+n.Eps)
		if p.Gamma != nil {
			y *= p.Gamma[c]
		}
		if p.Beta != nil {
			y += p.Beta[c]
		}
		out[i] = y
	}
	return newDense(x.Dtype(), in.shape, out), nil
}

// batchStatistics gives the mean and the biased variance of each channel of x [N][channels][inner].
func batchStatistics(x []float64, channels, inner int) (mean, variance []float64) {
	mean, variance = make([]float64, channels), make([]float64, channels)
	n := float64(len(x) / channels)
	for i, v := range x {
		mean[i/inner%channels] += v / n
	}
	for i, v := range x {
		d := v - mean[i/inner%channels]
		variance[i/inner%channels] += d * d / n
	}
	return mean, variance
}
