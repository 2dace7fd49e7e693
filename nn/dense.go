package nn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// Why a tensor's elements cannot be read.
var (
	errNoTensor  = errors.New("it is nil, empty or a scalar")
	errForeign   = errors.New("its memory is not Go's")
	errMasked    = errors.New("it is masked")
	errStrides   = errors.New("its strides do not suit its shape and data")
	errNotFloats = errors.New("only float32 and float64 are supported")
)

// float is what a gorgonia tensor holds that can be scaled.
type float interface{ float32 | float64 }

// elements gives d's elements in row-major order of its shape, as a []float32 or a []float64: the
// tensor's own memory where that is the order they lie in, else a copy. The caller must not write to it.
func elements(d *tensor.Dense) (any, error) {
	if d == nil || d.Dtype().Type == nil || len(d.Shape()) == 0 {
		return nil, errNoTensor
	}
	if !d.IsNativelyAccessible() {
		return nil, errForeign
	}
	if d.IsMasked() {
		return nil, errMasked
	}
	switch data := d.Data().(type) {
	case []float32:
		return rowMajor(data, d)
	case []float64:
		return rowMajor(data, d)
	}
	return nil, fmt.Errorf("it holds %v: %w", d.Dtype(), errNotFloats)
}

func rowMajor[T float](data []T, d *tensor.Dense) ([]T, error) {
	shape := d.Shape()
	strides, err := fullStrides(shape, d.Strides())
	if err != nil {
		return nil, err
	}
	last, inOrder, step := 0, true, 1 // last is the furthest element's place in data
	for i := len(shape) - 1; i >= 0; i-- {
		last += (shape[i] - 1) * strides[i]
		inOrder = inOrder && (shape[i] == 1 || strides[i] == step)
		step *= shape[i]
	}
	if last >= len(data) {
		return nil, errStrides
	}
	if inOrder {
		return data[:step], nil
	}
	out := make([]T, 0, step)
	for at := make([]int, len(shape)); ; {
		place := 0
		for i := range at {
			place += at[i] * strides[i]
		}
		out = append(out, data[place])
		if !advance(at, shape) {
			return out, nil
		}
	}
}

// fullStrides gives every axis a stride. Gorgonia leaves some out of a vector-like column-major tensor's.
func fullStrides(shape tensor.Shape, strides []int) ([]int, error) {
	if slices.ContainsFunc(shape, func(n int) bool { return n < 1 }) {
		return nil, errNoTensor
	}
	if slices.ContainsFunc(strides, func(n int) bool { return n < 0 }) {
		return nil, errStrides
	}
	if len(strides) == len(shape) {
		return strides, nil
	}
	long := 0 // axes with more than one element
	full := make([]int, len(shape))
	for i, n := range shape {
		if n > 1 {
			long++
			full[i] = 1
			if len(strides) > 0 {
				full[i] = strides[0]
			}
		}
	}
	if long > 1 {
		return nil, errStrides
	}
	return full, nil
}

// advance moves an index to its successor in row-major order and reports whether there is one.
func advance(at, shape []int) bool {
	for i := len(at) - 1; i >= 0; i-- {
		if at[i]++; at[i] < shape[i] {
			return true
		}
		at[i] = 0
	}
	return false
}

// values gives d's elements as float64, exactly, in a slice of the caller's own.
func values(d *tensor.Dense) ([]float64, error) {
	data, err := elements(d)
	if err != nil {
		return nil, err
	}
	if f64, ok := data.([]float64); ok {
		return slices.Clone(f64), nil
	}
	f32 := data.([]float32)
	out := make([]float64, len(f32))
	for i, x := range f32 {
		out[i] = float64(x)
	}
	return out, nil
}

// vector gives the elements of a tensor of rank 1.
func vector(d *tensor.Dense) ([]float64, error) {
	x, err := values(d)
	if err == nil && d.Dims() != 1 {
		err = fmt.Errorf("its shape is %v, want one axis", []int(d.Shape()))
	}
	return x, err
}

// dtypeOf is the element type of a tensor that elements can read.
func dtypeOf(d *tensor.Dense) fuse.DType {
	if d.Dtype() == tensor.Float64 {
		return fuse.Float64
	}
	return fuse.Float32
}

// newDense makes a tensor of shape and element type dt, each value rounded once.
func newDense(dt tensor.Dtype, shape []int, x []float64) *tensor.Dense {
	if dt == tensor.Float64 {
		return backed(shape, round[float64](fuse.Float64, x))
	}
	return backed(shape, round[float32](fuse.Float32, x))
}

func round[T float](dt fuse.DType, x []float64) []T {
	out := make([]T, len(x))
	b := elem.Encode(dt, x)
	if _, err := binary.Decode(b, binary.LittleEndian, out); err != nil {
		panic("nn: elem.Encode gave too few bytes: " + err.Error())
	}
	return out
}

func backed[T float](shape []int, x []T) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))
}
