package nn

import (
	"errors"
	"math"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// fold is one layer of the built-in kinds and the norms that go into it.
type fold struct {
	layer  layer
	view   fuse.View
	weight weight
	bias   []float64 // [Cout], nil for none
	norms  fuse.Fold
	name   string // the layer's, for people

	careful bool      // look at the weights before norms that could make one infinite
	peaks   []float64 // [Cout]: the largest finite |W| of each channel; made when first needed

	overflows int // finite weights that are infinite now; set by scale
	vanished  int // weights that became zero though neither they nor their scales were; set by scale
}

// newFold reads a layer. careful has it look at the weights for every norm, where else the engine tells that one
// became infinite. The error is a [*fuse.Refusal] where its weight cannot be scaled.
func newFold(m Module, careful bool) (*fold, error) {
	l, ok := layerOf(m)
	if !ok {
		return nil, fuse.Refuse(fuse.ReasonUnsupportedOp, "%T is not a layer of package nn", m)
	}
	f := &fold{layer: l, careful: careful}
	var err error
	if f.weight, err = weightOf(*l.weight); err != nil {
		return nil, err
	}
	shape := (*l.weight).Shape()
	if want := 2 + l.axes; len(shape) != want {
		return nil, fuse.Refuse(fuse.ReasonLayerShape, "weight %v has %d axes, want %d", []int(shape), len(shape), want)
	}
	if f.view, err = l.layout.View(fuse.After, shape, l.groups); err != nil {
		return nil, fuse.Refuse(fuse.ReasonLayerShape, "%v", err)
	}
	if *l.bias == nil {
		return f, nil
	}
	if f.bias, err = vector(*l.bias); err != nil {
		return nil, fuse.Refuse(fuse.ReasonBias, "bias: %v", err)
	}
	if len(f.bias) != f.view.NumChannels() {
		return nil, fuse.Refuse(fuse.ReasonLayerShape, "weight %v has %d output channels, bias has %d",
			[]int(shape), f.view.NumChannels(), len(f.bias))
	}
	return f, nil
}

// affineOf is the map a norm computes. The error is a [*fuse.Refusal].
func affineOf(n Norm) (fuse.Affine, error) {
	p, err := n.Params()
	var refusal *fuse.Refusal
	switch {
	case errors.As(err, &refusal):
		return fuse.Affine{}, refusal
	case err != nil:
		return fuse.Affine{}, fuse.Refuse(fuse.ReasonNormParams, "%v", err)
	}
	return p.Affine()
}

// add folds one more norm, whose own map is given. The error is a [*fuse.Refusal], and leaves the fold as
// it was.
func (f *fold) add(norm Norm, own fuse.Affine) error {
	if !takesAxes(norm, f.layer.axes) {
		return fuse.Refuse(fuse.ReasonAxis, "a %s does not take the layer's output of %d axes", kindOf(norm), 2+f.layer.axes)
	}
	if own.Channels() != f.view.NumChannels() {
		return fuse.Refuse(fuse.ReasonChannels, "weight %v has %d output channels, norm has %d",
			[]int((*f.layer.weight).Shape()), f.view.NumChannels(), own.Channels())
	}
	norms := f.norms
	if err := norms.Add(fuse.After, own); err != nil {
		return err
	}
	if err := f.checkOverflow(norms); err != nil {
		return err
	}
	f.norms = norms
	return nil
}

// checkOverflow refuses norms that would make a finite weight or bias infinite. Rounding is monotonic, so
// the largest weight of a channel answers for all.
func (f *fold) checkOverflow(norms fuse.Fold) error {
	for c, s := range norms.After.Scale {
		if !f.careful || math.Abs(s) <= 1 {
			continue
		}
		if f.peaks == nil {
			f.peaks = f.weight.peaks(f.view)
		}
		if infinite(f.weight.dtype(), s*f.peaks[c]) {
			return fuse.Refuse(fuse.ReasonOverflow, "channel %d: a weight of %v times %v is infinite in %v",
				c, f.peaks[c], s, f.weight.dtype())
		}
	}
	dt := dtypeOf(f.biasLike())
	for c, b := range norms.Bias(f.bias, nil, f.view.NumChannels()) {
		if f.bias != nil && (math.IsInf(f.bias[c], 0) || math.IsNaN(f.bias[c])) {
			continue
		}
		if infinite(dt, b) {
			return fuse.Refuse(fuse.ReasonOverflow, "channel %d: the bias %v is infinite in %v", c, b, dt)
		}
	}
	return nil
}

func infinite(dt fuse.DType, x float64) bool { return math.IsInf(x, 0) || elem.Overflows(dt, x) }

// biasLike is the tensor whose element type the new bias takes: the old one, or the weight.
func (f *fold) biasLike() *tensor.Dense {
	if f.bias != nil {
		return *f.layer.bias
	}
	return *f.layer.weight
}

// write puts the new tensors into the layer. It cannot fail: everything was checked before.
func (f *fold) write() {
	bias := f.norms.Bias(f.bias, nil, f.view.NumChannels())
	*f.layer.bias = newDense(f.biasLike().Dtype(), []int{len(bias)}, bias)
	*f.layer.weight = f.weight.scaled((*f.layer.weight).Shape())
}
