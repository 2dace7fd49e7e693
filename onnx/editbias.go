package onnx

import (
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// bias gives the layer its new bias: in place of the old one, as a new tensor, or, behind a MatMul, in
// an Add.
func (e *editor) bias(l *layer) error {
	contracts := l.fold.Before.HasShift()
	if !contracts && !l.fold.After.HasShift() {
		none := l.bias == nil && l.add < 0
		unchanged := l.bias != nil && factor(fuse.View{}, l.fold.After).Scale == nil
		if none || unchanged {
			return nil
		}
	}
	var data []byte
	if contracts {
		data = make([]byte, l.rows()*l.out.channels*l.dtype.Size())
		w, err := e.sourceOf(l)
		if err != nil {
			return err
		}
		e.contractions = append(e.contractions, &contraction{layer: l, weight: w, bytes: data})
	} else {
		data = elem.Encode(l.dtype, l.newBias(nil))
	}
	if l.kind == "MatMul" && l.add < 0 {
		e.insertAdd(l, data)
		return nil
	}
	n, slot := l.node, l.biasSlot
	if l.add >= 0 {
		n = l.add
	}
	if l.beta != 1 { // it is in the new bias
		e.dropBeta[l.node], e.nodes[l.node].dirty = true, true
	}
	old := int32(-1)
	if in := e.in(n); slot < len(in) {
		old = in[slot]
	}
	if old >= 0 && e.replaceBias(old, l, data) {
		return nil
	}
	base := e.name(l.weight.root)
	v := e.newTensor(n, e.nodes[n].graph, e.unique(biasName(base)), l.weight.tensor.dataType, l.newBiasDims(), chunk{bytes: data}, false)
	e.nodes[n].dirty = true
	if in := e.in(n); slot < len(in) {
		in[slot] = v
	} else {
		e.extra[n] = v
	}
	e.release(old)
	return nil
}

// replaceBias writes the bias where the old one is stored, if nobody else reads it there.
func (e *editor) replaceBias(v int32, l *layer, data []byte) bool {
	s, r := e.stored(v)
	if r != nil || len(s.path) > 0 || !e.exclusive(s) || s.tensor.elems*l.dtype.Size() != len(data) || floatType(s.tensor.dataType) != l.dtype {
		return false
	}
	if d := s.tensor.dims; l.out.channels > 1 && d[len(d)-1] != l.out.channels { // a column, of a C that nobody reads for β is 0
		return false
	}
	return e.inPlace(s.root, &s.tensor, chunk{bytes: data})
}

// biasName follows the exporters: conv.weight has conv.bias.
func biasName(weight string) string {
	const suffix = "weight"
	if n := len(weight) - len(suffix); n > 0 && weight[n:] == suffix && (weight[n-1] == '.' || weight[n-1] == '_') {
		return weight[:n] + "bias"
	}
	return weight + "_bias"
}

// insertAdd puts an Add behind a MatMul: MatMul(X, W) → Add(·, b).
func (e *editor) insertAdd(l *layer, data []byte) {
	g := e.nodes[l.node].graph
	b := e.newTensor(l.node, g, e.unique(biasName(e.name(l.weight.root))), l.weight.tensor.dataType, l.newBiasDims(), chunk{bytes: data}, false)
	out := e.out(l.node)
	y := out[0]
	product := e.newValue(g, e.unique(e.name(y)+"_product"))
	out[0] = product
	e.nodes[l.node].dirty = true
	add := e.addNode(product, b, y, l.node)
	at := e.nodes[l.node].field.end
	e.insert(at, e.frameOf(g, l.node), nested(e.nodeNumber(g), []chunk{{bytes: add}}))
}
