package nn

import (
	"fmt"

	"gorgonia.org/tensor"
)

// Conv holds what [Conv1d], [Conv2d] and [Conv3d] have in common. Padding is with zeros.
type Conv struct {
	Weight *tensor.Dense `nn:"weight"`        // [Cout, Cin/Groups, k…]
	Bias   *tensor.Dense `nn:"bias,optional"` // [Cout], or nil

	// One value an axis, or one for all; nil means 1, 0 and 1.
	Stride, Padding, Dilation []int

	Groups int // 0 means 1
}

// Conv1d is a convolution over one axis: Weight is [Cout, Cin/Groups, k].
type Conv1d Conv

// Conv2d is a convolution over two axes: Weight is [Cout, Cin/Groups, kH, kW].
type Conv2d Conv

// Conv3d is a convolution over three axes: Weight is [Cout, Cin/Groups, kD, kH, kW].
type Conv3d Conv

// Forward convolves x [N, Cin, L].
func (c *Conv1d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return (*Conv)(c).forward("Conv1d", 1, x)
}

// Forward convolves x [N, Cin, H, W].
func (c *Conv2d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return (*Conv)(c).forward("Conv2d", 2, x)
}

// Forward convolves x [N, Cin, D, H, W].
func (c *Conv3d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return (*Conv)(c).forward("Conv3d", 3, x)
}

func (c *Conv) forward(kind string, axes int, x *tensor.Dense) (*tensor.Dense, error) {
	y, err := c.convolve(axes, x)
	if err != nil {
		return nil, fmt.Errorf("nn: %s: %w", kind, err)
	}
	return newDense(x.Dtype(), y.shape, y.values), nil
}

func (c *Conv) convolve(axes int, x *tensor.Dense) (array, error) {
	in, err := input(x, 2+axes)
	if err != nil {
		return array{}, err
	}
	groups := groupsOf(c.Groups)
	if groups < 1 {
		return array{}, fmt.Errorf("%d groups, want 1 or more", groups)
	}
	w, b, err := parameters(c.Weight, c.Bias, 2+axes, func(shape []int) int { return shape[0] })
	if err != nil {
		return array{}, err
	}
	if w.shape[0]%groups != 0 || len(in.shape) != 2+axes || in.shape[1] != groups*w.shape[1] {
		return array{}, fmt.Errorf("weight %v in %d groups does not suit input %v", w.shape, groups, in.shape)
	}
	win, err := newWindow(w.shape[2:], c.Stride, c.Padding, c.Dilation)
	if err != nil {
		return array{}, err
	}
	size := in.shape[2:]
	positions, err := win.positions(size)
	if err != nil {
		return array{}, err
	}
	batch, outs, ins := in.shape[0], w.shape[0], w.shape[1] // ins: input channels of one group
	nIn, nOut, nKernel := product(size), product(positions), product(w.shape[2:])
	y := array{append([]int{batch, outs}, positions...), make([]float64, batch*outs*nOut)}
	for at, place := make([]int, axes), 0; ; place++ {
		taps := win.taps(at, size)
		for n := range batch {
			for o := range outs {
				first := o / (outs / groups) * ins // the group's first input channel
				sum := 0.0
				for i := range ins {
					wi, xi := (o*ins+i)*nKernel, (n*in.shape[1]+first+i)*nIn
					for _, t := range taps {
						sum += w.values[wi+t.kernel] * in.values[xi+t.signal]
					}
				}
				y.values[(n*outs+o)*nOut+place] = sum + b[o]
			}
		}
		if !advance(at, positions) {
			return y, nil
		}
	}
}
