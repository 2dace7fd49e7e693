package nn

import (
	"fmt"

	"gorgonia.org/tensor"
)

// ConvTranspose holds what [ConvTranspose1d], [ConvTranspose2d] and [ConvTranspose3d] have in common.
type ConvTranspose struct {
	Weight *tensor.Dense `nn:"weight"`        // [Cin, Cout/Groups, k…]
	Bias   *tensor.Dense `nn:"bias,optional"` // [Cout], or nil

	// One value an axis, or one for all; nil means 1, 0, 0 and 1.
	Stride, Padding, OutputPadding, Dilation []int

	Groups int // 0 means 1
}

// ConvTranspose1d is a transposed convolution over one axis: Weight is [Cin, Cout/Groups, k].
type ConvTranspose1d ConvTranspose

// ConvTranspose2d is a transposed convolution over two axes: Weight is [Cin, Cout/Groups, kH, kW].
type ConvTranspose2d ConvTranspose

// ConvTranspose3d is a transposed convolution over three axes: Weight is [Cin, Cout/Groups, kD, kH, kW].
type ConvTranspose3d ConvTranspose

// Forward convolves x [N, Cin, L].
func (c *ConvTranspose1d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return (*ConvTranspose)(c).forward("ConvTranspose1d", 1, x)
}

// Forward convolves x [N, Cin, H, W].
func (c *ConvTranspose2d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return (*ConvTranspose)(c).forward("ConvTranspose2d", 2, x)
}

// Forward convolves x [N, Cin, D, H, W].
func (c *ConvTranspose3d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return (*ConvTranspose)(c).forward("ConvTranspose3d", 3, x)
}

func (c *ConvTranspose) forward(kind string, axes int, x *tensor.Dense) (*tensor.Dense, error) {
	y, err := c.convolve(axes, x)
	if err != nil {
		return nil, fmt.Errorf("nn: %s: %w", kind, err)
	}
	return newDense(x.Dtype(), y.shape, y.values), nil
}

// convolve spreads each input element over the outputs its kernel covers. The kernel stands on the
// output as an ordinary convolution's does on its input, and the input says how much it counts there.
func (c *ConvTranspose) convolve(axes int, x *tensor.Dense) (array, error) {
	in, err := input(x, 2+axes)
	if err != nil {
		return array{}, err
	}
	groups := groupsOf(c.Groups)
	if groups < 1 {
		return array{}, fmt.Errorf("%d groups, want 1 or more", groups)
	}
	w, b, err := parameters(c.Weight, c.Bias, 2+axes, func(shape []int) int { return groups * shape[1] })
	if err != nil {
		return array{}, err
	}
	if w.shape[0]%groups != 0 || len(in.shape) != 2+axes || in.shape[1] != w.shape[0] {
		return array{}, fmt.Errorf("weight %v in %d groups does not suit input %v", w.shape, groups, in.shape)
	}
	win, err := newWindow(w.shape[2:], c.Stride, c.Padding, c.Dilation)
	if err != nil {
		return array{}, err
	}
	positions := in.shape[2:]
	size, err := c.outputSize(win, positions)
	if err != nil {
		return array{}, err
	}
	batch, ins, outs := in.shape[0], w.shape[0], w.shape[1] // outs: output channels of one group
	nIn, nOut, nKernel := product(positions), product(size), product(w.shape[2:])
	y := array{append([]int{batch, len(b)}, size...), make([]float64, batch*len(b)*nOut)}
	for i := range y.values {
		y.values[i] = b[i/nOut%len(b)]
	}
	for at, place := make([]int, axes), 0; ; place++ {
		taps := win.taps(at, size)
		for n := range batch {
			for i := range ins {
				first := i / (ins / groups) * outs // the group's first output channel
				v := in.values[(n*ins+i)*nIn+place]
				for o := range outs {
					wi, yi := (i*outs+o)*nKernel, (n*len(b)+first+o)*nOut
					for _, t := range taps {
						y.values[yi+t.signal] += v * w.values[wi+t.kernel]
					}
				}
			}
		}
		if !advance(at, positions) {
			return y, nil
		}
	}
}

// outputSize is the size of the signal on which the kernel has that many positions. With a stride several
// sizes qualify; OutputPadding chooses among them.
func (c *ConvTranspose) outputSize(w window, positions []int) ([]int, error) {
	extra, err := perAxis("output padding", c.OutputPadding, len(positions), 0, 0)
	if err != nil {
		return nil, err
	}
	size := make([]int, len(positions))
	for i, n := range positions {
		if extra[i] >= max(w.stride[i], w.dilation[i]) {
			return nil, fmt.Errorf("output padding %v is not smaller than stride %v or dilation %v", extra, w.stride, w.dilation)
		}
		size[i] = (n-1)*w.stride[i] - 2*w.padding[i] + w.reach(i) + extra[i]
		if size[i] < 1 {
			return nil, fmt.Errorf("padding %v leaves nothing of the output", w.padding)
		}
	}
	return size, nil
}
