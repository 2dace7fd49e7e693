package nn

import (
	"fmt"

	"gorgonia.org/tensor"
)

// ReLU is y = max(x, 0).
type ReLU struct{}

// Forward takes x of any shape. NaN stays NaN.
func (*ReLU) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	in, err := input(x, 1)
	if err != nil {
		return nil, fmt.Errorf("nn: ReLU: %w", err)
	}
	for i, v := range in.values {
		in.values[i] = max(v, 0)
	}
	return newDense(x.Dtype(), in.shape, in.values), nil
}

// Identity is y = x.
type Identity struct{}

// Forward returns x.
func (*Identity) Forward(x *tensor.Dense) (*tensor.Dense, error) { return x, nil }

// Dropout does nothing at inference.
type Dropout struct {
	P float64 // the share of elements that training drops
}

// Forward returns x.
func (*Dropout) Forward(x *tensor.Dense) (*tensor.Dense, error) { return x, nil }

// Flatten makes [N, …] into [N, M].
type Flatten struct{}

// Forward takes x of at least one axis.
func (*Flatten) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	in, err := input(x, 1)
	if err != nil {
		return nil, fmt.Errorf("nn: Flatten: %w", err)
	}
	return newDense(x.Dtype(), []int{in.shape[0], product(in.shape[1:])}, in.values), nil
}
