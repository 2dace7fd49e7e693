package nn

import (
	"fmt"

	"gorgonia.org/tensor"
)

// array is a tensor widened to float64 for Forward, in row-major order.
type array struct {
	shape  []int
	values []float64
}

// input reads a tensor of at least minRank axes.
func input(x *tensor.Dense, minRank int) (array, error) {
	v, err := values(x)
	if err != nil {
		return array{}, fmt.Errorf("input: %w", err)
	}
	if x.Dims() < minRank {
		return array{}, fmt.Errorf("input %v has %d axes, want %d or more", []int(x.Shape()), x.Dims(), minRank)
	}
	return array{x.Shape().Clone(), v}, nil
}

// parameters reads a layer's weight, of that rank, and its bias [channels], zeros for none.
func parameters(weight, bias *tensor.Dense, rank int, channels func(shape []int) int) (w array, b []float64, err error) {
	if w.values, err = values(weight); err != nil {
		return array{}, nil, fmt.Errorf("weight: %w", err)
	}
	w.shape = weight.Shape().Clone()
	if len(w.shape) != rank {
		return array{}, nil, fmt.Errorf("weight %v has %d axes, want %d", w.shape, len(w.shape), rank)
	}
	n := channels(w.shape)
	if bias == nil {
		return w, make([]float64, n), nil
	}
	if b, err = vector(bias); err != nil {
		return array{}, nil, fmt.Errorf("bias: %w", err)
	}
	if len(b) != n {
		return array{}, nil, fmt.Errorf("weight %v has %d output channels, bias has %d", w.shape, n, len(b))
	}
	return w, b, nil
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
