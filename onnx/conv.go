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
	groups, okGroups := as.int("group", 1)
	bad := &layer{node: n, kind: op}
	if as.err != nil || !okGroups {
		return bad, fuse.Refuse(fuse.ReasonUnknownAttr, "group has another type (%v)", as.err)
	}
	if groups < 1 || groups > 1<<31-1 {
		return bad, fuse.Refuse(fuse.ReasonLayerShape, "%d groups", groups)
	}
	if name := as.unknown("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides", "output_padding", "output_shape"); name != "" {
		return bad, fuse.Refuse(fuse.ReasonUnknownAttr, "attribute %q", name)
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
	if l.padded, r = padded(&as); r != nil {
		return l, r
	}
	if r := m.setBias(l, 2); r != nil {
		return l, r
	}
	if l.bias != nil && (len(l.bias.dims) != 1 || len(l.bias.f) != l.out.channels) {
		return l, fuse.Refuse(fuse.ReasonBias, "the bias is %v, the layer has %d output channels", l.bias.dims, l.out.channels)
	}
	return l, nil
}

// padded reports whether a convolution reads zeros around its input.
func padded(as *attributes) (bool, *fuse.Refusal) {
	auto, ok := as.string("auto_pad", "NOTSET")
	pads, ok2 := as.ints("pads")
	if !ok || !ok2 {
		return false, fuse.Refuse(fuse.ReasonUnknownAttr, "auto_pad or pads has another type")
	}
	switch auto {
	case "NOTSET", "":
		return slices.ContainsFunc(pads, func(p int64) bool { return p != 0 }), nil
	case "VALID":
		return false, nil
	default:
		return true, nil
	}
}
