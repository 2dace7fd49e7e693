package onnx

import (
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
	if l := m.layers[n]; l != nil {
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
	for _, op := range [...]string{"Add", "Constant", "Transpose"} { // which the output may need anew
		if m.hidden(op) {
			return l, fuse.Refuse(fuse.ReasonForeign, "%s is a function of the model's own", op)
		}
	}
	in := m.in(n)
	if len(in) < 2 || len(in) > 3 || len(m.out(n)) != 1 || m.out(n)[0] < 0 || in[0] < 0 {
		return l, fuse.Refuse(fuse.ReasonUnsupportedOp, "%d inputs and %d outputs, want 2 or 3 and 1", len(in), len(m.out(n)))
	}
	s, r := m.stored(in[1])
	if r != nil {
		return l, r
	}
	if r = l.setWeight(s); r != nil && m.useValue(l) {
		r = nil
	}
	return l, r
}

// setWeight gives the layer its weight; it is refused where no view fits a norm after.
func (l *layer) setWeight(s *storage) (r *fuse.Refusal) {
	l.weight, l.dtype = s, floatType(s.tensor.dataType)
	l.views[fuse.Before], l.noView = s.view(l.layout, fuse.Before, l.groups)
	l.views[fuse.After], r = s.view(l.layout, fuse.After, l.groups)
	return r
}

// useValue takes a small weight that is stored transposed by its value, in the layer's own order of axes: every
// fold is possible there. It reports whether it could.
func (m *model) useValue(l *layer) bool {
	if l.weight.perm == nil {
		return false
	}
	s, r := m.computed(&storage{value: l.weight.value})
	return r == nil && l.setWeight(s) == nil
}

// setBias takes input slot as the bias, if it is there.
func (m *model) setBias(l *layer, slot int) *fuse.Refusal {
	l.biasSlot = slot
	in := m.in(l.node)
	if slot >= len(in) || in[slot] < 0 {
		return nil
	}
	if r := m.checkNameUnique(in[slot]); r != nil {
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

// rows is the number of rows of the bias: 1, but for a Gemm whose C is [M, 1] or [M, N].
func (l *layer) rows() int {
	if l.bias == nil || len(l.bias.dims) < 2 {
		return 1
	}
	return l.bias.dims[0]
}

// biasRow is row r of the bias over the output channels, β applied; nil where there is no bias. It is not to
// be written to.
func (l *layer) biasRow(r int) []float64 {
	if l.bias == nil {
		return nil
	}
	columns := 1
	if d := l.bias.dims; len(d) > 0 {
		columns = d[len(d)-1]
	}
	if columns == l.out.channels && l.beta == 1 {
		return l.bias.f[r*columns:][:columns]
	}
	row := make([]float64, l.out.channels)
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
	if l.alpha != 1 {
		for o := range contracted {
			contracted[o] *= l.alpha
		}
	}
	if l.rows() == 1 {
		return l.fold.Bias(l.biasRow(0), contracted, l.out.channels)
	}
	var b []float64
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

// then composes two maps; the refusal is package fuse's.
func then(a, next fuse.Affine) (fuse.Affine, *fuse.Refusal) {
	out, err := a.Then(next)
	if err != nil {
		return a, refusal(err)
	}
	return out, nil
}
