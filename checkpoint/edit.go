package checkpoint

import (
	"slices"

	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/safetensors"
	"github.com/bnfuse/bnfuse/internal/stream"
)

// editor turns a plan into changes of tensors.
type editor struct {
	*planner
	edits  map[*tensor]edit
	added  map[*tensor][]byte // by weight, the bias that its layer gets
	scales map[*layer]*stream.Scale
}

// edit is what becomes of a tensor.
type edit struct {
	drop  bool
	scale *stream.Scale
	bytes []byte // instead of the old ones
}

// fold changes the tensors of a layer and of the norms folded into it. contracted is Σ W·t, nil for none.
func (e *editor) fold(l *layer, contracted []float64) {
	if s := l.scaleOf(l.fold); s != nil {
		e.scales[l] = s
		e.edits[l.weight] = edit{scale: s}
	}
	for _, n := range slices.Concat(l.norms[:]...) {
		if e.keepNorms {
			e.neutralize(n)
		} else {
			e.drop(n)
		}
	}
	bias := l.fold.Bias(l.b, contracted, l.outputs())
	holder := e.holder(l, nil)
	if holder != l.bias && l.bias != nil {
		e.fill(l.bias, 0)
	}
	switch {
	case holder != nil:
		e.edits[holder] = edit{bytes: elem.Encode(holder.float(), bias)}
	case !e.keepNorms:
		e.added[l.weight] = elem.Encode(l.biasType(nil), bias)
	}
}

// drop takes a norm out.
func (e *editor) drop(n *norm) {
	for _, t := range append(n.params(), n.tracked) {
		if t != nil {
			e.edits[t] = edit{drop: true}
		}
	}
}

// neutralize leaves a norm that does nothing.
func (e *editor) neutralize(n *norm) {
	e.fill(n.mean, 0)
	e.fill(n.variance, neutralVariance(n.variance.float(), n.eps))
	if n.gamma != nil {
		e.fill(n.gamma, 1)
	}
	if n.beta != nil {
		e.fill(n.beta, 0)
	}
}

// fill sets every element of a small tensor.
func (e *editor) fill(t *tensor, x float64) {
	values := slices.Repeat([]float64{x}, int(t.nBytes)/t.float().Size())
	e.edits[t] = edit{bytes: elem.Encode(t.float(), values)}
}

// content is a tensor of the output and where its bytes come from.
type content struct {
	safetensors.Entry
	tensor *tensor // nil for a new one
	bytes  []byte  // nil for the tensor's own
	scale  *stream.Scale
}

// contents lists what a part holds after the fold, in the order of its header. A new bias stands behind its
// weight.
func (e *editor) contents(p *part) []*content {
	var list []*content
	for _, t := range p.tensors {
		ed := e.edits[t]
		if !ed.drop {
			list = append(list, &content{Entry: t.entry(), tensor: t, bytes: ed.bytes, scale: ed.scale})
		}
		if b := e.added[t]; b != nil {
			module, _ := moduleOf(t.name, "weight")
			n := len(b) / t.float().Size()
			list = append(list, &content{Entry: safetensors.Entry{Name: dotted(module, "bias"), DType: t.dtype, Shape: []int{n}, NBytes: int64(len(b))}, bytes: b})
		}
	}
	return list
}

// place gives every tensor its place in the file: in the order in which the input has them, or where an
// element would then not be aligned to its size, the larger types first, as the reference implementation
// does.
func place(list []*content, inFile []*tensor) []*content {
	rank := make(map[*tensor]int, len(inFile))
	for i, t := range inFile {
		rank[t] = i
	}
	ordered := slices.Clone(list)
	key := func(c *content) int { return 2 * rank[c.tensor] }
	weightOf := map[*content]int{} // a new bias goes with the weight before it in the list
	for i, c := range list {
		if c.tensor == nil {
			weightOf[c] = 2*rank[list[i-1].tensor] + 1
		}
	}
	slices.SortStableFunc(ordered, func(a, b *content) int {
		ka, kb := key(a), key(b)
		if a.tensor == nil {
			ka = weightOf[a]
		}
		if b.tensor == nil {
			kb = weightOf[b]
		}
		return ka - kb
	})
	if !assign(ordered) {
		slices.SortStableFunc(ordered, func(a, b *content) int { return int(safetensors.ElemBits[b.DType] - safetensors.ElemBits[a.DType]) })
		assign(ordered)
	}
	return ordered
}

// assign puts the tensors side by side and reports whether all elements are aligned.
func assign(list []*content) bool {
	at, aligned := int64(0), true
	for _, c := range list {
		c.Off = at
		at += c.NBytes
		if size := safetensors.ElemBits[c.DType] / 8; size > 1 && c.Off%size != 0 {
			aligned = false
		}
	}
	return aligned
}
