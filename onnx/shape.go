package onnx

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// shape is what is known of a value's shape. Axes are less than zero where only the rank is known: see firstSymbol.
type shape struct {
	dims  []int
	known bool // the rank is
}

func ranked(rank int) shape {
	s := shape{dims: make([]int, rank), known: true}
	for i := range s.dims {
		s.dims[i] = -1
	}
	return s
}

// at is axis i of a shape, -1 where unknown.
func (s shape) at(i int) int {
	if !s.known || i < 0 || i >= len(s.dims) {
		return -1
	}
	return s.dims[i]
}

// shape finds out what it can about v's shape: from initializers, graph inputs, value_info and graph
// outputs, and by inference over common operators. What is stated and what follows must agree, as nobody checks
// value_info when a model runs. It works off a stack, as chains can be long.
func (m *model) shape(v int32) shape {
	if v < 0 {
		return shape{}
	}
	if m.shapes == nil {
		m.shapes, m.lists, m.unranked = map[int32]shape{}, map[int32][]int{}, map[place]int{}
	}
	stack := []int32{v}
	waiting := map[int32]bool{}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		if _, done := m.shapes[top]; done {
			stack = stack[:len(stack)-1]
			continue
		}
		if m.values[top].producer < 0 {
			m.shapes[top] = m.symbolic(m.declared(top))
			continue
		}
		pushed := false
		if !waiting[top] {
			waiting[top] = true
			for _, in := range m.in(m.values[top].producer) {
				if in < 0 {
					continue
				}
				if _, done := m.shapes[in]; !done && !waiting[in] {
					stack = append(stack, in)
					pushed = true
				}
			}
		}
		if !pushed {
			m.shapes[top] = m.symbolic(m.computedShape(top))
		}
	}
	return m.shapes[v]
}

// computedShape is what is known of a value that a node computes; what its elements are is noted, if it is a list of
// sizes.
func (m *model) computedShape(v int32) shape {
	s := m.declared(v).and(m.infer(v))
	n := m.values[v].producer
	if list := m.inferList(n); list != nil && m.out(n)[0] == v {
		m.lists[v] = list
		if len(s.dims) == 1 {
			s.dims = []int{len(list)}
		}
	}
	return s
}

// and joins what two sources say of a shape. Where they contradict each other neither is to be trusted.
func (s shape) and(t shape) shape {
	switch {
	case !s.known:
		return t
	case !t.known:
		return s
	case len(s.dims) != len(t.dims):
		return shape{}
	}
	joined := shape{dims: slices.Clone(s.dims), known: true}
	for i, d := range t.dims {
		switch {
		case joined.dims[i] < 0:
			joined.dims[i] = d
		case d >= 0 && d != joined.dims[i]:
			return ranked(len(s.dims))
		}
	}
	return joined
}

// declared is a shape the file states. That of a body's input is not: what comes in from the graph around it
// has the shape it has.
func (m *model) declared(v int32) shape {
	val := &m.values[v]
	if val.tensor >= 0 && m.checkFixed(v) == nil { // or whoever runs the model may give another of the input's shape
		t, err := m.initializer(val.tensor)
		if err != nil {
			return shape{}
		}
		return shape{dims: t.dims, known: true}
	}
	if val.info < 0 || val.flags&isInput != 0 && val.graph != 0 || val.producer >= 0 && m.callerShapes(val.producer) {
		return shape{}
	}
	return m.typeShape(m.infos[val.info].body())
}

// callerShapes reports whether whoever runs the model may choose the shape of what node n computes: an initializer that
// says it may be overridden. Shape inference goes by the initializer all the same.
func (m *model) callerShapes(n int32) bool {
	switch m.op(n) {
	case "Reshape", "Expand", "Squeeze", "Unsqueeze", "Slice", "Tile", "Pad", "Resize", "Upsample", "Split":
		return slices.ContainsFunc(m.in(n), func(v int32) bool {
			return v >= 0 && m.values[v].tensor >= 0 && m.checkFixed(v) != nil
		})
	}
	return false
}

// typeShape reads ValueInfoProto.type.tensor_type.shape.
func (m *model) typeShape(info span) shape {
	s := shape{}
	path := []protowire.Number{infoTypeField, typeTensorField, typeShapeField}
	var descend func(at span, level int)
	descend = func(at span, level int) {
		c := m.lookup.cursor(at)
		for c.next() {
			if level == len(path) {
				if c.num == shapeDimField && c.typ == protowire.BytesType && len(s.dims) < maxRank {
					s.dims = append(s.dims, m.dimension(c.body))
				}
			} else if c.num == path[level] && c.typ == protowire.BytesType {
				s.known = s.known || level == len(path)-1
				descend(c.body, level+1)
			}
		}
		if c.err != nil {
			s.known = false
		}
	}
	descend(info, 0)
	return s
}

// dimension reads TensorShapeProto.Dimension: its dim_value, or -1.
func (m *model) dimension(at span) int {
	c := m.lookup.cursor(at)
	d := -1
	for c.next() {
		if c.num == dimValueField && c.typ == protowire.VarintType && int64(c.value) >= 0 {
			d = int(c.value)
		}
	}
	return d
}

// infer derives the shape of v from the operator that computes it and the shapes of its inputs, which
// are known or given up on by now.
func (m *model) infer(v int32) shape {
	n := m.values[v].producer
	if m.adds[n] != nil {
		return m.shapes[m.in(n)[0]]
	}
	op := m.op(n)
	if op != "Constant" && m.isConstant(v) {
		if k, r := m.constant(v, ""); r == nil {
			return shape{dims: k.dims, known: true}
		}
	}
	rule := shapeRules[op]
	if rule == nil || v != m.out(n)[0] && op != "Split" {
		return shape{}
	}
	as := m.attrs(n)
	if as.err != nil {
		return shape{}
	}
	x := shape{}
	if in := m.in(n); len(in) > 0 && in[0] >= 0 {
		x = m.shapes[in[0]]
	}
	s := rule(shapeArgs{m: m, node: n, as: &as, x: x})
	if as.err != nil {
		return shape{}
	}
	return s
}
