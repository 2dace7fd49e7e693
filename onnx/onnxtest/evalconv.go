package onnxtest

// window is how a kernel moves over the spatial axes of a tensor.
type window struct {
	in, kernel, strides, dilations []int
	begin, end                     []int // padding
	out                            []int // positions of the kernel
}

// window reads the attributes that convolutions and pools share.
func (c *call) window(in, kernel []int) window {
	n := len(in)
	w := window{in: in, kernel: kernel}
	w.strides, w.dilations = c.intsOr("strides", n, 1), c.intsOr("dilations", n, 1)
	pads := c.intsOr("pads", 2*n, 0)
	w.begin, w.end = pads[:n], pads[n:]
	w.out = make([]int, n)
	autoPad := c.text("auto_pad", "NOTSET")
	for i := range n {
		reach := (kernel[i]-1)*w.dilations[i] + 1
		switch autoPad {
		case "VALID":
			w.begin[i], w.end[i] = 0, 0
		case "SAME_UPPER", "SAME_LOWER":
			same := (in[i] + w.strides[i] - 1) / w.strides[i]
			total := max(0, (same-1)*w.strides[i]+reach-in[i])
			w.begin[i] = total / 2
			if autoPad == "SAME_LOWER" {
				w.begin[i] = total - total/2
			}
			w.end[i] = total - w.begin[i]
		}
		room := in[i] + w.begin[i] + w.end[i] - reach
		if room < 0 {
			failf("a kernel of %d does not fit into %d", reach, in[i])
		}
		w.out[i] = room/w.strides[i] + 1
		if c.int("ceil_mode", 0) == 1 && room%w.strides[i] != 0 && w.out[i]*w.strides[i] < in[i]+w.begin[i] {
			w.out[i]++ // a last window that starts inside counts though it ends outside
		}
	}
	return w
}

// tap is a place in the kernel and the place of the tensor under it, both in memory order.
type tap struct{ kernel, in int }

// taps are the places the kernel touches at a position, without those in the padding.
func (w window) taps(position []int) []tap {
	var taps []tap
	at := make([]int, len(position))
next:
	for k, index := range indices(w.kernel) {
		for i := range at {
			at[i] = position[i]*w.strides[i] + index[i]*w.dilations[i] - w.begin[i]
			if at[i] < 0 || at[i] >= w.in[i] {
				continue next
			}
		}
		taps = append(taps, tap{k, offset(w.in, at)})
	}
	return taps
}

// conv is Conv of any rank: x [N, C, in…], w [M, C/g, k…], b [M].
func (c *call) conv() *Array {
	x, w, b := c.need(0), c.need(1), c.maybe(2)
	c.checkConv(x, w)
	group := c.int("group", 1)
	win := c.window(x.Dims[2:], w.Dims[2:])
	batch, channels, outputs, inGroup := x.Dims[0], x.Dims[1], w.Dims[0], w.Dims[1]
	if channels != inGroup*group || outputs%group != 0 {
		failf("input %v, weight %v, group %d", x.Dims, w.Dims, group)
	}
	nIn, nKernel, nOut := numElem(win.in), numElem(win.kernel), numElem(win.out)
	out := zeros(x.Elem, append([]int{batch, outputs}, win.out...))
	for p, position := range indices(win.out) {
		taps := win.taps(position)
		for n := range batch {
			for m := range outputs {
				firstIn := n*channels + m/(outputs/group)*inGroup
				total := biasAt(b, m)
				for k := range inGroup {
					from, weights := x.Data[(firstIn+k)*nIn:], w.Data[(m*inGroup+k)*nKernel:]
					for _, t := range taps {
						total += from[t.in] * weights[t.kernel]
					}
				}
				out.Data[(n*outputs+m)*nOut+p] = total
			}
		}
	}
	return out
}

// convTranspose is ConvTranspose: x [N, C, in…], w [C, M/g, k…], b [M]. It sends every element of x
// where a convolution over the output would have taken it from.
func (c *call) convTranspose() *Array {
	x, w, b := c.need(0), c.need(1), c.maybe(2)
	c.checkConv(x, w)
	group := c.int("group", 1)
	win := c.transposedWindow(x.Dims[2:], w.Dims[2:])
	batch, channels, outGroup := x.Dims[0], x.Dims[1], w.Dims[1]
	if channels != w.Dims[0] || channels%group != 0 {
		failf("input %v, weight %v, group %d", x.Dims, w.Dims, group)
	}
	outputs := outGroup * group
	nIn, nKernel, nOut := numElem(win.out), numElem(win.kernel), numElem(win.in)
	out := zeros(x.Elem, append([]int{batch, outputs}, win.in...))
	for i := range out.Data {
		out.Data[i] = biasAt(b, i/nOut%outputs)
	}
	for p, position := range indices(win.out) {
		taps := win.taps(position)
		for n := range batch {
			for k := range channels {
				firstOut := n*outputs + k/(channels/group)*outGroup
				for m := range outGroup {
					to, weights := out.Data[(firstOut+m)*nOut:], w.Data[(k*outGroup+m)*nKernel:]
					for _, t := range taps {
						to[t.in] += x.Data[(n*channels+k)*nIn+p] * weights[t.kernel]
					}
				}
			}
		}
	}
	return out
}

// transposedWindow is the window of the convolution that this one transposes: its in is our output.
func (c *call) transposedWindow(in, kernel []int) window {
	n := len(in)
	w := window{kernel: kernel, out: in, in: make([]int, n)}
	w.strides, w.dilations = c.intsOr("strides", n, 1), c.intsOr("dilations", n, 1)
	pads, extra := c.intsOr("pads", 2*n, 0), c.intsOr("output_padding", n, 0)
	w.begin, w.end = pads[:n], pads[n:]
	wanted, hasShape := c.intsAttr("output_shape")
	autoPad := c.text("auto_pad", "NOTSET")
	for i := range n {
		full := w.strides[i]*(in[i]-1) + extra[i] + (kernel[i]-1)*w.dilations[i] + 1
		switch {
		case hasShape:
			w.in[i] = wanted[len(wanted)-n+i]
		case autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER":
			w.in[i] = in[i] * w.strides[i]
		case autoPad == "VALID":
			w.begin[i], w.in[i] = 0, full
			continue
		default:
			w.in[i] = full - w.begin[i] - w.end[i]
			continue
		}
		total := max(0, full-w.in[i])
		w.begin[i] = total - total/2
		if autoPad == "SAME_UPPER" {
			w.begin[i] = total / 2
		}
	}
	return w
}

func (c *call) checkConv(x, w *Array) {
	if len(x.Dims) < 3 || len(w.Dims) != len(x.Dims) {
		failf("input %v and weight %v do not suit a convolution", x.Dims, w.Dims)
	}
	if kernel, ok := c.intsAttr("kernel_shape"); ok {
		for i, k := range kernel {
			if k != w.Dims[2+i] {
				failf("kernel_shape %v, weight %v", kernel, w.Dims)
			}
		}
	}
}

// biasAt is element i of an optional bias.
func biasAt(b *Array, i int) float64 {
	if b == nil {
		return 0
	}
	return b.Data[i]
}
