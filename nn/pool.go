package nn

import (
	"fmt"
	"math"

	"gorgonia.org/tensor"
)

// MaxPool2d takes the largest element under its kernel.
type MaxPool2d struct {
	// One value an axis, or one for both. Stride nil means Kernel, Padding nil means 0.
	Kernel, Stride, Padding []int
}

// AvgPool2d takes the mean of the elements under its kernel; padding counts as zeros.
type AvgPool2d struct {
	// One value an axis, or one for both. Stride nil means Kernel, Padding nil means 0.
	Kernel, Stride, Padding []int
}

// Forward pools x [N, C, H, W].
func (p *MaxPool2d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return pool2d("MaxPool2d", p.Kernel, p.Stride, p.Padding, x, func(under []float64, _ int) float64 {
		y := math.Inf(-1)
		for _, v := range under {
			y = max(y, v)
		}
		return y
	})
}

// Forward pools x [N, C, H, W].
func (p *AvgPool2d) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return pool2d("AvgPool2d", p.Kernel, p.Stride, p.Padding, x, func(under []float64, nKernel int) float64 {
		sum := 0.0
		for _, v := range under {
			sum += v
		}
		return sum / float64(nKernel)
	})
}

// pool2d reduces what lies under the kernel, padding left out, to one element for each position.
func pool2d(kind string, kernel, stride, padding []int, x *tensor.Dense, reduce func(under []float64, nKernel int) float64) (*tensor.Dense, error) {
	in, err := input(x, 4)
	if err == nil && len(in.shape) != 4 {
		err = fmt.Errorf("input %v has %d axes, want 4", in.shape, len(in.shape))
	}
	if err != nil {
		return nil, fmt.Errorf("nn: %s: %w", kind, err)
	}
	size := in.shape[2:]
	win, positions, err := poolWindow(kernel, stride, padding, size)
	if err != nil {
		return nil, fmt.Errorf("nn: %s: %w", kind, err)
	}
	planes, nIn, nOut := in.shape[0]*in.shape[1], product(size), product(positions)
	out := make([]float64, planes*nOut)
	for at, place := make([]int, 2), 0; ; place++ {
		taps := win.taps(at, size)
		under := make([]float64, len(taps))
		for plane := range planes {
			for i, t := range taps {
				under[i] = in.values[plane*nIn+t.signal]
			}
			out[plane*nOut+place] = reduce(under, product(win.kernel))
		}
		if !advance(at, positions) {
			return newDense(x.Dtype(), append([]int{in.shape[0], in.shape[1]}, positions...), out), nil
		}
	}
}

func poolWindow(kernel, stride, padding, size []int) (win window, positions []int, err error) {
	if kernel, err = perAxis("kernel", kernel, 2, 0, 1); err != nil {
		return win, nil, err
	}
	if stride == nil {
		stride = kernel
	}
	if win, err = newWindow(kernel, stride, padding, nil); err != nil {
		return win, nil, err
	}
	for i, p := range win.padding {
		if 2*p > kernel[i] {
			return win, nil, fmt.Errorf("padding %v is more than half of kernel %v", win.padding, kernel)
		}
	}
	positions, err = win.positions(size)
	return win, positions, err
}
