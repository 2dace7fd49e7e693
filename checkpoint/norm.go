package checkpoint

import (
	"math"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// norm is a batch norm of the checkpoint.
type norm struct {
	name           string
	index          int
	gamma, beta    *tensor // nil for none
	mean, variance *tensor
	tracked        *tensor // num_batches_tracked, nil for none
	eps            float64 // NaN while nobody has said it
	affine         fuse.Affine
}

func newNorm(c *container, module string, index int) *norm {
	at := func(tensor string) *tensor { return c.byName[dotted(module, tensor)] }
	return &norm{name: module, index: index, gamma: at("weight"), beta: at("bias"), mean: at("running_mean"),
		variance: at("running_var"), tracked: at("num_batches_tracked"), eps: math.NaN()}
}

func (n *norm) channels() int {
	if len(n.mean.shape) != 1 {
		return 0
	}
	return n.mean.shape[0]
}

func (n *norm) info() fuse.NormInfo {
	return fuse.NormInfo{Name: n.name, Kind: "BatchNorm", Channels: n.channels(), Eps: n.eps, Index: n.index}
}

// params are the tensors the norm computes with.
func (n *norm) params() []*tensor {
	list := []*tensor{n.mean, n.variance}
	for _, t := range []*tensor{n.gamma, n.beta} {
		if t != nil {
			list = append(list, t)
		}
	}
	return list
}

// wanted is how many channels the norm of a pair must have, for a layer of so many inputs or outputs.
func (n *norm) wanted(p Pair, channels int) int {
	if own := n.channels(); p.Flattened && own > 0 && channels%own == 0 {
		return own
	}
	return channels
}

// load reads the parameters, into rooms, and makes them a map. channels is what the layer wants.
func (n *norm) load(channels int, rooms *[4]room) (*fuse.Refusal, error) {
	for _, t := range n.params() {
		if !t.float().Valid() || len(t.shape) != 1 {
			return fuse.Refuse(fuse.ReasonNormParams, "%q is %s %v, not a vector of floating-point numbers", t.name, t.dtype, t.shape), nil
		}
		if t.shape[0] != channels {
			return fuse.Refuse(fuse.ReasonChannels, "%q has %d channels, the layer %d", t.name, t.shape[0], channels), nil
		}
	}
	var values [4][]float64
	for i, t := range []*tensor{n.gamma, n.beta, n.mean, n.variance} {
		if t == nil {
			continue
		}
		var err error
		if values[i], err = t.valuesIn(&rooms[i]); err != nil {
			return nil, err
		}
	}
	a, err := fuse.Norm{Gamma: values[0], Beta: values[1], Mean: values[2], Var: values[3], Eps: n.eps}.Affine()
	if r, ok := err.(*fuse.Refusal); ok {
		return r, nil
	}
	n.affine = a
	return nil, err
}

// neutral reports whether the norm only adds its bias, as KeepNorms leaves it.
func (n *norm) neutral() (bool, error) {
	for _, t := range n.params() {
		if !t.float().Valid() {
			return false, nil
		}
		x, err := t.values()
		if err != nil {
			return false, err
		}
		want := 0.0
		switch t {
		case n.beta:
			continue
		case n.gamma:
			want = 1
		case n.variance:
			want = neutralVariance(t.float(), n.eps)
		}
		for _, v := range x {
			if v != want {
				return false, nil
			}
		}
	}
	return true, nil
}

// neutralVariance is the variance that makes √(σ² + ε) one, as near as the type comes to it.
func neutralVariance(dt fuse.DType, eps float64) float64 {
	return elem.Decode(dt, elem.Encode(dt, []float64{1 - eps}))[0]
}
