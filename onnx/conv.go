package onnx

import (
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// convLayer reads
//
//	Conv(X, W, B?) → Y             W [Cout, Cin/g, k…]
//	ConvTranspose(X, W, B?) → Y    W [Cin, Cout/g, k…]
//
// Channels are axis 1 of both X and Y, and X has W's rank.
func (m *model) convLayer(n int32, op string) (*layer, *fuse.Refusal) {
	as := m.attrs(n)
	as.only("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides", "output_padding", "output_shape")
	groups := as.int("group", 1)
	autoPad, pads := as.string("auto_pad", "NOTSET"), as.ints("pads")
	bad := &layer{node: n, kind: op}
	if r := as.refusal(); r != nil {
		return bad, r
	}
	if groups < 1 || groups > 1<<31-1 {
		return bad, fuse.Refuse(fuse.ReasonLayerShape, "%d groups, want 1 or more", groups)
	}
	layout := fuse.Conv
	if op == "ConvTranspose" {
		layout = fuse.ConvTranspose
	}
	l, r := m.newLayer(n, op, layout, int(groups))
	if r != nil {
		return l, r
	}
	rank, d := len(l.weight.dims), l.weight.dims
	l.in = axis{rank: rank, fromEnd: rank - 2, channels: l.views[fuse.Before].NumChannels()}
	l.out = axis{rank: rank, fromEnd: rank - 2, channels: l.views[fuse.After].NumChannels()}
	if layout == fuse.Conv && l.groups > 1 && l.in.channels != d[1]*l.groups {
		return l, fuse.Refuse(fuse.ReasonLayerShape, "weight %v in %d groups", d, l.groups)
	}
	l.padded = padded(autoPad, pads, d[2:])
	if r := m.setBias(l, 2); r != nil {
		return l, r
	}
	if l.bias != nil && (len(l.bias.dims) != 1 || len(l.bias.f) != l.out.channels) {
		return l, fuse.Refuse(fuse.ReasonBias, "the bias is %v, the layer has %d output channels", l.bias.dims, l.out.channels)
	}
	return l, nil
}

// padded reports whether a convolution may read zeros around its input. A kernel of one tap never needs
// the padding that SAME_UPPER and SAME_LOWER add.
func padded(autoPad string, pads []int64, kernel []int) bool {
	switch autoPad {
	case "NOTSET", "", "VALID": // beside VALID the operator allows no pads, and runtimes differ
		return slices.ContainsFunc(pads, func(p int64) bool { return p != 0 })
	default:
		return product(kernel) != 1
	}
}
