package onnxtest

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Wire says how a model is written where protobuf leaves a choice. The zero value is what the usual
// libraries write: fields by ascending number, each message in one piece.
type Wire struct {
	Order       Order
	SplitGraph  bool // the graph is two fields, which a reader must merge
	SplitTensor bool // so is the tensor of every attribute
}

// Order is the order of a message's fields.
type Order int

// The orders. Elements of one repeated field keep their order, as they must.
const (
	Ascending   Order = iota // by field number
	Descending               // by field number, from the last: initializers come before nodes
	Interleaved              // one of each field in turn: nodes between initializers
)

// Bytes writes the model as a ModelProto. External data are not part of it; see [Model.Files].
func (m *Model) Bytes() []byte {
	msg := newMessage(m.Wire)
	msg.int(1, m.IR)
	msg.string(2, m.Producer)
	msg.string(3, m.ProducerVersion)
	msg.string(4, m.Domain)
	msg.int(5, m.Version)
	msg.string(6, m.Doc)
	if m.Graph != nil {
		graph := msg.graph(m.Graph)
		if m.Wire.SplitGraph {
			first, second := graph.halves()
			msg.message(7, first)
			msg.message(7, second)
		} else {
			msg.message(7, graph)
		}
	}
	msg.opsets(8, m.Opsets)
	msg.entries(14, m.Metadata)
	for _, t := range m.TrainingInfo {
		msg.bytes(20, t)
	}
	for _, f := range m.Functions {
		msg.message(25, msg.function(f))
	}
	return append(msg.encode(), m.Unknown...)
}

// UnknownField encodes a field no ONNX message has, for the Unknown of a message.
func UnknownField(n int, text string) []byte {
	b := protowire.AppendTag(nil, protowire.Number(n), protowire.BytesType)
	return protowire.AppendString(b, text)
}

func (m *message) graph(g *Graph) *message {
	msg := newMessage(m.wire)
	for _, n := range g.Nodes {
		msg.message(1, msg.node(n))
	}
	msg.string(2, g.Name)
	for _, t := range g.Init {
		msg.message(5, msg.tensor(t))
	}
	msg.string(10, g.Doc)
	msg.values(11, g.Inputs)
	msg.values(12, g.Outputs)
	msg.values(13, g.ValueInfo)
	for _, a := range g.Annotations {
		annotation := newMessage(m.wire)
		annotation.string(1, a.Tensor)
		annotation.entries(2, a.Params)
		msg.message(14, annotation)
	}
	for _, t := range g.SparseInit {
		msg.message(15, msg.sparse(t))
	}
	msg.entries(16, g.Metadata)
	msg.unknown = g.Unknown
	return msg
}

func (m *message) node(n Node) *message {
	msg := newMessage(m.wire)
	msg.strings(1, n.In)
	msg.strings(2, n.Out)
	msg.string(3, n.Name)
	msg.string(4, n.Op)
	msg.attrs(5, n.Attrs)
	msg.string(6, n.Doc)
	msg.string(7, n.Domain)
	msg.string(8, n.Overload)
	msg.entries(9, n.Metadata)
	msg.unknown = n.Unknown
	return msg
}

func (m *message) attrs(n int, attrs []Attr) {
	for _, a := range attrs {
		m.message(n, m.attr(a))
	}
}

func (m *message) attr(a Attr) *message {
	msg := newMessage(m.wire)
	msg.string(1, a.Name)
	if a.Ref == "" {
		msg.attrValue(a)
	}
	msg.string(13, a.Doc)
	if !a.Untyped {
		msg.int(20, int64(a.Type))
	}
	msg.string(21, a.Ref)
	msg.unknown = a.Unknown
	return msg
}

// attrValue writes the field that the type names, a zero too.
func (m *message) attrValue(a Attr) {
	switch a.Type {
	case AttrFloat:
		m.fixed32(2, math.Float32bits(a.F))
	case AttrInt:
		m.varint(3, uint64(a.I))
	case AttrString:
		m.bytes(4, []byte(a.S))
	case AttrTensor:
		tensor := m.tensor(*a.T)
		if m.wire.SplitTensor {
			first, second := tensor.halves()
			m.message(5, first)
			tensor = second
		}
		m.message(5, tensor)
	case AttrGraph:
		m.message(6, m.graph(a.G))
	case AttrFloats:
		for _, f := range a.Floats {
			m.fixed32(7, math.Float32bits(f))
		}
	case AttrInts:
		for _, i := range a.Ints {
			m.varint(8, uint64(i))
		}
	case AttrStrings:
		m.strings(9, a.Strings)
	case AttrTensors:
		for _, t := range a.Tensors {
			m.message(10, m.tensor(t))
		}
	case AttrGraphs:
		for i := range a.Graphs {
			m.message(11, m.graph(&a.Graphs[i]))
		}
	case AttrSparse:
		m.message(22, m.sparse(*a.Sparse))
	}
}

func (m *message) values(n int, values []Value) {
	for _, v := range values {
		msg := newMessage(m.wire)
		msg.string(1, v.Name)
		if v.Elem != 0 {
			typ := newMessage(m.wire)
			typ.message(1, m.tensorType(v))
			msg.message(2, typ)
		}
		msg.string(3, v.Doc)
		m.message(n, msg)
	}
}

func (m *message) tensorType(v Value) *message {
	typ := newMessage(m.wire)
	typ.int(1, int64(v.Elem))
	if v.Unranked {
		return typ
	}
	shape := newMessage(m.wire)
	for _, d := range v.Dims {
		dim := newMessage(m.wire)
		switch {
		case d.Any:
		case d.Name != "":
			dim.string(2, d.Name)
		default:
			dim.varint(1, uint64(d.Size))
		}
		shape.message(1, dim)
	}
	typ.message(2, shape)
	return typ
}

func (m *message) opsets(n int, opsets []Opset) {
	for _, o := range opsets {
		msg := newMessage(m.wire)
		msg.string(1, o.Domain)
		msg.int(2, o.Version)
		m.message(n, msg)
	}
}

func (m *message) entries(n int, entries []Entry) {
	for _, e := range entries {
		msg := newMessage(m.wire)
		msg.string(1, e.Key)
		msg.string(2, e.Value)
		m.message(n, msg)
	}
}

func (m *message) function(f Function) *message {
	msg := newMessage(m.wire)
	msg.string(1, f.Name)
	msg.strings(4, f.In)
	msg.strings(5, f.Out)
	msg.strings(6, f.Attrs)
	for _, n := range f.Nodes {
		msg.message(7, msg.node(n))
	}
	msg.string(8, f.Doc)
	msg.opsets(9, f.Opsets)
	msg.string(10, f.Domain)
	msg.attrs(11, f.Defaults)
	msg.values(12, f.Values)
	msg.string(13, f.Overload)
	msg.entries(14, f.Metadata)
	msg.unknown = f.Unknown
	return msg
}
