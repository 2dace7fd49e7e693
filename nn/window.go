package nn

import "fmt"

// window says where a kernel lies on its signal, one value a spatial axis.
type window struct {
	kernel, stride, padding, dilation []int
}

// newWindow fills in the defaults: 1, for the padding 0.
func newWindow(kernel, stride, padding, dilation []int) (w window, err error) {
	w.kernel = kernel
	axes := len(kernel)
	if w.stride, err = perAxis("stride", stride, axes, 1, 1); err != nil {
		return w, err
	}
	if w.padding, err = perAxis("padding", padding, axes, 0, 0); err != nil {
		return w, err
	}
	w.dilation, err = perAxis("dilation", dilation, axes, 1, 1)
	return w, err
}

// perAxis gives an option a value for each axis, all at least least: nil stands for def on each, a single value for
// that value on each.
func perAxis(name string, option []int, axes, def, least int) ([]int, error) {
	if len(option) > 1 && len(option) != axes {
		return nil, fmt.Errorf("%s %v has %d values for %d axes", name, option, len(option), axes)
	}
	out := make([]int, axes)
	for i := range out {
		switch len(option) {
		case 0:
			out[i] = def
		case 1:
			out[i] = option[0]
		default:
			out[i] = option[i]
		}
		if out[i] < least {
			return nil, fmt.Errorf("%s %v has a value below %d", name, option, least)
		}
	}
	return out, nil
}

// reach is how many elements of an axis the kernel covers, gaps included.
func (w window) reach(axis int) int { return w.dilation[axis]*(w.kernel[axis]-1) + 1 }

// positions is how many places the kernel has on each axis of a signal of that size.
func (w window) positions(size []int) ([]int, error) {
	out := make([]int, len(size))
	for i, n := range size {
		room := n + 2*w.padding[i] - w.reach(i)
		if room < 0 {
			return nil, fmt.Errorf("a kernel of %v does not fit on %v with padding %v", w.kernel, size, w.padding)
		}
		out[i] = room/w.stride[i] + 1
	}
	return out, nil
}

// tap is one element of the kernel and the element of the signal under it, as indices in row-major order.
type tap struct {
	kernel, signal int
}

// taps lists what the kernel covers when it stands at a position, without what lies in the padding.
func (w window) taps(position, size []int) []tap {
	var out []tap
	for k, kernel := make([]int, len(w.kernel)), 0; ; kernel++ {
		signal, inside := 0, true
		for i, n := range size {
			at := position[i]*w.stride[i] - w.padding[i] + k[i]*w.dilation[i]
			inside = inside && at >= 0 && at < n
			signal = signal*n + at
		}
		if inside {
			out = append(out, tap{kernel, signal})
		}
		if !advance(k, w.kernel) {
			return out
		}
	}
}
