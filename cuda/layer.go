//go:build cuda && cgo

package cuda

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"gorgonia.org/cu"
)

// Layer is a layer whose weight, bias and norms lie in device memory.
type Layer struct {
	Name   string // for messages
	Layout fuse.Layout
	Shape  []int // the weight's, as stored
	Groups int   // 0 means 1
	DType  fuse.DType
	Weight cu.DevicePtr

	Bias      cu.DevicePtr // [outputs]; 0 for none
	NewBias   cu.DevicePtr // [outputs], where the new bias goes; 0 for in place of Bias
	BiasDType fuse.DType   // 0 means DType

	After  *Norm // reads the layer's output; nil for none
	Before *Norm // feeds the layer's input; nil for none

	// Padded says that the layer surrounds its input with zeros. Then, as with every transposed convolution,
	// a norm before it can be folded only if it shifts nothing.
	Padded bool
}

// Norm is a batch normalization whose parameters lie in device memory, one value a channel.
type Norm struct {
	Gamma, Beta cu.DevicePtr // 0 for all ones, all zeros
	Mean, Var   cu.DevicePtr
	DType       fuse.DType // of the four; 0 means Float32
	Eps         float64
}

// Result is what folding a layer did, or would do.
type Result struct {
	Overflows     int // finite weights that are finite no more
	Vanished      int // weights that became zero, though neither they nor their scales were
	BiasOverflows int // finite biases that are finite no more

	// RefusedChannels counts the channels of norms whose map is not finite, whose variance plus epsilon is
	// not positive, or that shift the input of a layer which takes in no shift. If there is one, the whole
	// layer stays as it is.
	RefusedChannels int
}

// Exact reports that the layer was folded and no value left its type's range.
func (r Result) Exact() bool {
	return r.Overflows == 0 && r.BiasOverflows == 0 && r.RefusedChannels == 0
}

var (
	errNoNorm    = errors.New("no norm to fold: After and Before are nil")
	errNoWeight  = errors.New("no weight: the pointer is 0, or the shape has no elements")
	errAlignment = errors.New("the weight is not aligned to its element type")
	errNoBias    = errors.New("nowhere to write the new bias: set Bias or NewBias")
	errNormStats = errors.New("a norm needs Mean and Var")
	errDType     = errors.New("not an element type")
	errLayout    = errors.New("not a layout")
	errOutput    = errors.New("an output has more than 2³⁰ weights, which the kernels do not sum up")
	errDimension = errors.New("a dimension of the weight is 2³¹ or more, which the kernels do not count")
)

// withDefaults is the layer with its zero values filled in, and what is wrong with it.
func (l Layer) withDefaults() (Layer, error) {
	if l.Groups == 0 {
		l.Groups = 1
	}
	if l.BiasDType == 0 {
		l.BiasDType = l.DType
	}
	if l.NewBias == 0 {
		l.NewBias = l.Bias
	}
	elems, _ := fuse.NumElems(l.Shape)
	switch {
	case !l.DType.Valid() || !l.BiasDType.Valid():
		return l, errDType
	case l.Layout > fuse.MatMul:
		return l, errLayout
	case l.After == nil && l.Before == nil:
		return l, errNoNorm
	case l.Weight == 0 || elems == 0:
		return l, errNoWeight
	case slices.ContainsFunc(l.Shape, func(n int) bool { return n > math.MaxInt32 }):
		return l, errDimension
	case int(l.Weight)%l.DType.Size() != 0:
		return l, errAlignment
	case l.NewBias == 0 && (l.After != nil || l.sums()):
		return l, errNoBias
	}
	for _, n := range []*Norm{l.After, l.Before} {
		switch {
		case n == nil:
		case n.DType != 0 && !n.DType.Valid():
			return l, errDType
		case n.Mean == 0 || n.Var == 0:
			return l, errNormStats
		}
	}
	return l, nil
}

// sums says that a norm before the layer leaves Σ W·t in the bias.
func (l Layer) sums() bool {
	return l.Before != nil && !l.Padded && l.Layout != fuse.ConvTranspose
}

// view is the layer's weight as a norm in a direction sees it.
func (l Layer) view(d fuse.Direction) (fuse.View, error) { return l.Layout.View(d, l.Shape, l.Groups) }

func (l Layer) wrap(err error) error { return fmt.Errorf("cuda: layer %q: %w", l.Name, err) }
