package onnx

import (
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// layer is a Conv, ConvTranspose, Gemm or MatMul whose weight is known.
type layer struct {
	node   int32
	kind   string
	layout fuse.Layout
	groups int
	weight *storage
	dtype  fuse.DType
	in     axis // of the input the norm before it would feed
	out    axis // of its output
	padded bool // a convolution whose window leaves the input
	moved  bool // Gemm with transA: its input's channels are not the last axis

	bias     *constant // nil for none
	biasSlot int       // the input that takes it; -1: MatMul has none
	beta     float64   // Gemm's factor of the bias
	add      int32     // MatMul: the Add that serves as its bias; -1 for none

	alpha  float64       // Gemm's factor of the product
	views  [2]fuse.View  // of the stored weight, by direction
	noView *fuse.Refusal // why there is none for a norm before

	fold fuse.Fold
}

// layerAt returns the layer a node is, nil for a node that is none. The refusal says why a layer cannot
// be changed.
func (m *model) layerAt(n int32) (*layer, *fuse.Refusal) {
	if l, ok := m.layers[n]; ok {
		return l, nil
	}
	var l *layer
	var r *fuse.Refusal
	switch op := m.op(n); op {
	case "Conv", "ConvTranspose":
		l, r = m.convLayer(n, op)
	case "Gemm":
		l, r = m.gemmLayer(n)
	case "MatMul":
		l, r = m.matMulLayer(n)
	}
	if l != nil && r == nil {
		m.layers[n] = l
	}
	return l, r
}

// newLayer resolves the weight, input 1 of every layer.
func (m *model) newLayer(n int32, kind string, layout fuse.Layout, groups int) (*layer, *fuse.Refusal) {
	l := &layer{node: n, kind: kind, layout: layout, groups: groups, biasSlot: -1, alpha: 1, beta: 1, add: -1}
	in := m.in(n)
	if len(in) < 2 || len(m.out(n)) != 1 || m.out(n)[0] < 0 || in[0] < 0 {
		return l, fuse.Refuse(fuse.ReasonUnsupportedOp, "%d inputs and %d outputs", len(in), len(m.out(n)))
	}
	s, r := m.stored(in[1])
	if r != nil {
		return l, r
	}
	l.weight, l.dtype = s, floatType(s.tensor.dataType)
	l.views[fuse.Before], l.noView = s.view(layout, fuse.Before, groups)
	l.views[fuse.After], r = s.view(layout, fuse.After, groups)
	return l, r
}

// setBias takes input slot as the bias, if it is there.
func (m *model) setBias(l *layer, slot int) *fuse.Refusal {
	l.biasSlot = slot
	in := m.in(l.node)
	if slot >= len(in) || in[slot] < 0 {
		return nil
	}
	if r := m.shadowed(in[slot]); r != nil {
		return r
	}
	k, r := m.constant(in[slot], fuse.ReasonBias)
	if r != nil {
		return r
	}
	if floatType(k.dataType) != l.dtype {
		return fuse.Refuse(fuse.ReasonBias, "weight and bias have ONNX element types %d and %d", l.weight.tensor.dataType, k.dataType)
	}
	l.bias = k
	return nil
}

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

// gemmLayer reads
//
//	Gemm(A, B, C?) → α·A·B + β·C    B [in, out], or [out, in] with transB = 1
//
// The output is [M, out]; the input is [M, in] unless transA = 1.
func (m *model) gemmLayer(n int32) (*layer, *fuse.Refusal) {
	as := m.attrs(n)
	transA, ok1 := as.int("transA", 0)
	transB, ok2 := as.int("transB", 0)
	alpha, ok3 := as.float("alpha", 1)
	beta, ok4 := as.float("beta", 1)
	spread, ok5 := as.int("broadcast", 0)
	bad := &layer{node: n, kind: "Gemm"}
	if as.err != nil || !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
		return bad, fuse.Refuse(fuse.ReasonUnknownAttr, "an attribute has another type (%v)", as.err)
	}
	if name := as.unknown("transA", "transB", "alpha", "beta", "broadcast"); name != "" {
		return bad, fuse.Refuse(fuse.ReasonUnknownAttr, "attribute %q", name)
	}
	layout := fuse.MatMul
	if transB != 0 {
		layout = fuse.Linear
	}
	l, r := m.newLayer(n, "Gemm", layout, 1)
	if r != nil {
		return l, r
	}
	l.in = axis{rank: 2, fromEnd: 0, channels: l.views[fuse.Before].NumChannels()}
	l.out = axis{rank: 2, fromEnd: 0, channels: l.views[fuse.After].NumChannels()}
	l.moved, l.alpha, l.beta = transA != 0, alpha, beta
	if r := m.setBias(l, 2); r != nil {
		return l, r
	}
	if l.bias == nil {
		if m.opset(n) < 7 {
			return l, fuse.Refuse(fuse.ReasonBias, "C is missing, which opset %d does not allow", m.opset(n))
		}
		return l, nil
	}
	c := l.bias.dims
	wide := len(c) > 0 && c[len(c)-1] != 1
	if len(c) > 2 || wide && c[len(c)-1] != l.out.channels {
		return l, fuse.Refuse(fuse.ReasonBias, "C is %v, the output has %d columns", c, l.out.channels)
	}
	if m.opset(n) < 7 && spread != 1 && len(c) < 2 {
		return l, fuse.Refuse(fuse.ReasonBroadcast, "C is %v and broadcast is not set", c)
	}
	if l.rows()*l.out.channels > maxConstElems {
		return l, fuse.Refuse(fuse.ReasonBias, "C would have %d × %d values", l.rows(), l.out.channels)
	}
	return l, nil
}

// rows is the number of rows of the bias: 1, but for a Gemm whose C is [M, 1] or [M, N].
func (l *layer) rows() int {
	if l.bias == nil || len(l.bias.dims) < 2 {
		return 1
	}
	return l.bias.dims[0]
}

// biasRow is row r of the bias over the output channels, β applied; nil where there is no bias.
func (l *layer) biasRow(r int) []float64 {
	if l.bias == nil {
		return nil
	}
	row := make([]float64, l.out.channels)
	columns := 1
	if d := l.bias.dims; len(d) > 0 {
		columns = d[len(d)-1]
	}
	for i := range row {
		if columns == 1 {
			row[i] = l.bias.f[r]
		} else {
			row[i] = l.bias.f[r*columns+i]
		}
		if l.beta != 1 {
			row[i] *= l.beta
		}
	}
	return row
}

// newBias is the bias after the fold, row after row; contracted is Σ W·t of the norms before, nil for
// none. It is overwritten.
func (l *layer) newBias(contracted []float64) []float64 {
	var b []float64
	if l.alpha != 1 {
		for o := range contracted {
			contracted[o] *= l.alpha
		}
	}
	for r := range l.rows() {
		b = append(b, l.fold.Bias(l.biasRow(r), contracted, l.out.channels)...)
	}
	return b
}

// newBiasDims is the shape of the new bias: [N], or the rank the old one had.
func (l *layer) newBiasDims() []int {
	if l.bias != nil && len(l.bias.dims) == 2 {
		return []int{l.bias.dims[0], l.out.channels}
	}
	return []int{l.out.channels}
}

// matMulLayer reads
//
//	MatMul(X, W) → Y    W [in, out]; channels are the last axis of X and Y
//
// X can have any rank; where it is known, so is Y's.
func (m *model) matMulLayer(n int32) (*layer, *fuse.Refusal) {
	if in := m.in(n); len(in) != 2 || in[1] < 0 || !m.reachesConstant(in[1]) {
		return nil, nil // attention multiplies activations
	}
	l, r := m.newLayer(n, "MatMul", fuse.MatMul, 1)
	if r != nil {
		return l, r
	}
	rank := -1
	if x := m.shape(m.in(n)[0]); x.known {
		rank = len(x.dims)
	} else if y := m.shape(m.out(n)[0]); y.known {
		rank = len(y.dims)
	}
	l.in = axis{rank: rank, fromEnd: 0, channels: l.views[fuse.Before].NumChannels()}
	l.out = axis{rank: rank, fromEnd: 0, channels: l.views[fuse.After].NumChannels()}
	return l, nil
}

// reachesConstant reports whether a weight may be found behind v.
func (m *model) reachesConstant(v int32) bool {
	for range maxConstDepth {
		val := &m.values[v]
		if val.tensor >= 0 || val.flags&(isInput|isSparse) != 0 {
			return true
		}
		if val.producer < 0 {
			return false
		}
		op := m.op(val.producer)
		if op == "Constant" || op == "ConstantOfShape" || op == "DequantizeLinear" {
			return true
		}
		if constantOps[op] == nil || len(m.in(val.producer)) == 0 || m.in(val.producer)[0] < 0 {
			return false
		}
		v = m.in(val.producer)[0]
	}
	return false
}

// behind returns the node that computes v, in the graph of node n, looking through Identity and Dropout;
// -1 for none. The refusal says what else sees the tensors on the way.
func (m *model) behind(v, n int32) (int32, *fuse.Refusal) {
	shared := m.sharedOutput(v)
	for range maxConstDepth {
		p := m.values[v].producer
		if p < 0 || m.nodes[p].graph != m.nodes[n].graph {
			break
		}
		if op := m.op(p); op != "Identity" && op != "Dropout" {
			return p, shared
		}
		if in := m.in(p); len(in) == 0 || in[0] < 0 || m.out(p)[0] != v {
			break
		}
		v = m.in(p)[0]
		if shared == nil {
			shared = m.inference(p)
		}
		if shared == nil {
			shared = m.sharedOutput(v)
		}
	}
	return -1, nil
}

// addBias looks whether node n is the Add that serves a MatMul as its bias:
//
//	MatMul(X, W) → (Identity | Dropout)* → Add(·, b)    b a constant over the last axis
//
// The tensors on the way must have no other reader. It is nil for a node that is no such Add; the refusal
// says why one cannot take another bias.
func (m *model) addBias(n int32) (*layer, *fuse.Refusal) {
	if m.op(n) != "Add" {
		return nil, nil
	}
	nm, r := m.writtenNorm(n, "Add")
	if nm == nil || nm.x < 0 {
		return nil, nil
	}
	p, shared := m.behind(nm.x, n)
	if p < 0 || m.op(p) != "MatMul" {
		return nil, nil
	}
	l, lr := m.layerAt(p)
	if l == nil || lr != nil || l.add == n {
		return l, lr
	}
	if l.add >= 0 {
		return nil, nil
	}
	if r != nil {
		return l, r
	}
	if shared != nil {
		return l, shared
	}
	c, r := nm.perChannel(l.out)
	if r != nil {
		return l, r
	}
	if floatType(nm.k.dataType) != l.dtype || nm.legacy && len(nm.k.f) != len(c) {
		return l, fuse.Refuse(fuse.ReasonBias, "the bias is %v of ONNX element type %d", nm.k.dims, nm.k.dataType)
	}
	l.add, l.biasSlot = n, 1
	if nm.kFirst {
		l.biasSlot = 0
	}
	if l.fold.After.Scale != nil { // norms between the MatMul and the Add are folded: it adds to their shift
		one := slices.Repeat([]float64{1}, len(c))
		if l.fold.After, r = then(l.fold.After, fuse.Affine{Scale: one, Shift: c}); r != nil {
			return l, r
		}
		return l, nil
	}
	l.bias = &constant{dataType: nm.k.dataType, dims: []int{len(c)}, f: c}
	return l, nil
}

// then composes two maps; the refusal is package fuse's.
func then(a, next fuse.Affine) (fuse.Affine, *fuse.Refusal) {
	out, err := a.Then(next)
	if err != nil {
		return a, refusal(err)
	}
	return out, nil
}
