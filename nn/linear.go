package nn

import (
	"fmt"

	"gorgonia.org/tensor"
)

// Linear is y = x·Wᵀ + b.
type Linear struct {
	Weight *tensor.Dense `nn:"weight"`        // [out, in]
	Bias   *tensor.Dense `nn:"bias,optional"` // [out], or nil
}

// Forward takes x [N, in]. More axes are refused: a norm behind the layer would then be over another axis
// than the one it is folded on.
func (l *Linear) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	y, err := l.multiply(x)
	if err != nil {
		return nil, fmt.Errorf("nn: Linear: %w", err)
	}
	return newDense(x.Dtype(), y.shape, y.values), nil
}

func (l *Linear) multiply(x *tensor.Dense) (array, error) {
	in, err := input(x, 2)
	if err != nil {
		return array{}, err
	}
	w, b, err := parameters(l.Weight, l.Bias, 2, func(shape []int) int { return shape[0] })
	if err != nil {
		return array{}, err
	}
	outs, ins := w.shape[0], w.shape[1]
	if len(in.shape) != 2 || in.shape[1] != ins {
		return array{}, fmt.Errorf("weight %v does not suit input %v", w.shape, in.shape)
	}
	y := array{[]int{in.shape[0], outs}, make([]float64, in.shape[0]*outs)}
	for i := range y.values {
		n, o := i/outs, i%outs
		sum := 0.0
		for k := range ins {
			sum += w.values[o*ins+k] * in.values[n*ins+k]
		}
		y.values[i] = sum + b[o]
	}
	return y, nil
}
