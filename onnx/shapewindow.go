package onnx

// maxSize bounds the sizes that a shape is computed from.
const maxSize = 1 << 31

// convShape is [N, Cout, …] of a Conv or ConvTranspose.
func convShape(a shapeArgs) shape {
	w := a.input(1)
	if !w.known || len(w.dims) < 3 {
		return shape{}
	}
	s := ranked(len(w.dims))
	s.dims[0] = a.x.at(0)
	if a.m.op(a.node) == "Conv" {
		s.dims[1] = w.dims[0]
		return a.slide(s, w.dims[2:])
	}
	if g := a.as.int("group", 1); w.dims[1] >= 0 && g > 0 && g < maxSize {
		s.dims[1] = w.dims[1] * int(g)
	}
	return a.spread(s, w.dims[2:])
}

// poolShape is [N, C, …] of a pooling.
func poolShape(a shapeArgs) shape {
	s := spatialShape(a)
	var kernel []int
	for _, k := range a.as.ints("kernel_shape") {
		kernel = append(kernel, int(k))
	}
	if a.as.int("ceil_mode", 0) != 0 {
		return s
	}
	return a.slide(s, kernel)
}

// globalPoolShape is [N, C, 1, …].
func globalPoolShape(a shapeArgs) shape {
	s := spatialShape(a)
	for i := 2; i < len(s.dims); i++ {
		s.dims[i] = 1
	}
	return s
}

// spatialShape is [N, C, …] with other sizes behind the first two.
func spatialShape(a shapeArgs) shape {
	if !a.x.known {
		return shape{}
	}
	s := ranked(len(a.x.dims))
	copy(s.dims, a.x.dims[:min(2, len(a.x.dims))])
	return s
}

// slide fills in the sizes behind the first two: how many places a kernel has along each. What is not known stays so.
// The formulas are those of the operators Conv and MaxPool in ONNX's Operators.md.
func (a shapeArgs) slide(s shape, kernel []int) shape {
	autoPad := a.as.string("auto_pad", "NOTSET")
	for i, w := range a.windows(kernel, s) {
		switch span := w.n + w.pads - (w.kernel-1)*w.dilation - 1; {
		case !w.known:
		case autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER":
			s.dims[2+i] = (w.n + w.stride - 1) / w.stride
		case span >= 0:
			s.dims[2+i] = span/w.stride + 1
		}
	}
	return s
}

// spread is slide for a ConvTranspose. Where automatic padding or a wanted shape decides, sizes stay unknown.
func (a shapeArgs) spread(s shape, kernel []int) shape {
	autoPad := a.as.string("auto_pad", "NOTSET")
	if autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER" || a.as.get("output_shape") != nil {
		return s
	}
	for i, w := range a.windows(kernel, s) {
		if size := (w.n-1)*w.stride + w.outputPadding + (w.kernel-1)*w.dilation + 1 - w.pads; w.known && size >= 0 {
			s.dims[2+i] = size
		}
	}
	return s
}

// window is a kernel along one axis of n elements.
type window struct {
	known                                            bool
	n, kernel, stride, dilation, pads, outputPadding int
}

// windows are the axes behind the first two of the result s; nil where the kernel has another number of axes.
func (a shapeArgs) windows(kernel []int, s shape) []window {
	if len(kernel) != len(s.dims)-2 || len(a.x.dims) != len(s.dims) {
		return nil
	}
	pads := a.as.ints("pads")
	switch a.as.string("auto_pad", "NOTSET") {
	case "NOTSET", "":
	case "VALID", "SAME_UPPER", "SAME_LOWER":
		if pads != nil {
			return nil // the operators allow one or the other, and runtimes differ
		}
	default:
		return nil
	}
	strides, dilations, output := a.as.ints("strides"), a.as.ints("dilations"), a.as.ints("output_padding")
	all := make([]window, len(kernel))
	for i, k := range kernel {
		w := window{known: true, n: a.x.dims[2+i], kernel: k}
		size := func(list []int64, i, least int) int { // least where there is no list
			if len(list) == 0 {
				return least
			}
			if i >= len(list) || list[i] < int64(least) || list[i] > maxSize {
				w.known = false
				return least
			}
			return int(list[i])
		}
		w.stride, w.dilation, w.outputPadding = size(strides, i, 1), size(dilations, i, 1), size(output, i, 0)
		w.pads = size(pads, i, 0) + size(pads, i+len(kernel), 0)
		w.known = w.known && w.n >= 0 && w.n <= maxSize && k >= 1 && k <= maxSize
		all[i] = w
	}
	return all
}
