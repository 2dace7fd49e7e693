package onnxtest

import (
	"math"
	"slices"
	"strconv"

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

func (m *message) tensor(t Tensor) *message {
	msg := newMessage(m.wire)
	for _, d := range t.Dims {
		msg.varint(1, uint64(d))
	}
	msg.int(2, int64(t.Elem))
	msg.string(8, t.Name)
	msg.string(12, t.Doc)
	switch {
	case t.Elem == Text:
		msg.strings(6, t.Text)
	case t.Encoding == Raw:
		msg.bytes(9, t.RawBytes())
	case t.Encoding == InFile:
		msg.entries(13, t.External.entries(t.NumElem()*t.Elem.Size()))
		msg.int(14, 1)
	default:
		msg.typedData(t)
	}
	msg.unknown = t.Unknown
	return msg
}

func (e External) entries(nBytes int) []Entry {
	if e.Entries != nil {
		return e.Entries
	}
	entries := []Entry{{"location", e.Location}}
	if !e.NoOffset {
		entries = append(entries, Entry{"offset", strconv.FormatInt(e.Offset, 10)})
	}
	if !e.NoLength {
		entries = append(entries, Entry{"length", strconv.Itoa(nBytes)})
	}
	return entries
}

// typedData writes the elements to the field that suits their type.
func (m *message) typedData(t Tensor) {
	bits := t.elemBits()
	packed := func(bits []uint64) {
		var b []byte
		for _, x := range bits {
			b = t.appendElem(b, x)
		}
		m.bytes(t.dataField(), b)
	}
	single := func(bits []uint64) {
		for _, x := range bits {
			b := protowire.AppendTag(nil, protowire.Number(t.dataField()), t.dataType())
			m.add(t.dataField(), t.appendElem(b, x))
		}
	}
	switch n := len(bits); t.Encoding {
	case Packed:
		packed(bits)
	case Unpacked:
		single(bits)
	case Mixed:
		packed(bits[:n/3])
		single(bits[n/3 : 2*n/3])
		packed(bits[2*n/3:])
	}
}

// dataField is the number of the field that holds elements of this type.
func (t Tensor) dataField() int {
	switch t.Elem {
	case Float32:
		return 4
	case Float64:
		return 10
	case Int64:
		return 7
	case Uint32, Uint64:
		return 11
	}
	return 5 // int32_data, the half types as bits
}

func (t Tensor) dataType() protowire.Type {
	switch t.dataField() {
	case 4:
		return protowire.Fixed32Type
	case 10:
		return protowire.Fixed64Type
	}
	return protowire.VarintType
}

func (t Tensor) appendElem(b []byte, bits uint64) []byte {
	switch t.dataType() {
	case protowire.Fixed32Type:
		return protowire.AppendFixed32(b, uint32(bits))
	case protowire.Fixed64Type:
		return protowire.AppendFixed64(b, bits)
	}
	switch t.Elem {
	case Int8, Int16, Int32:
		bits = uint64(int64(t.Elem.value(bits))) // a negative number is ten bytes
	}
	return protowire.AppendVarint(b, bits)
}

func (m *message) sparse(t SparseTensor) *message {
	msg := newMessage(m.wire)
	msg.message(1, msg.tensor(t.Values))
	msg.message(2, msg.tensor(t.Indices))
	for _, d := range t.Dims {
		msg.varint(3, uint64(d))
	}
	return msg
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

// message collects the fields of a protobuf message, so that they can be written in any order.
type message struct {
	wire    Wire
	fields  []field
	unknown []byte
}

type field struct {
	number int
	bytes  []byte // with its tag
}

func newMessage(w Wire) *message { return &message{wire: w} }

func (m *message) add(n int, encoded []byte) { m.fields = append(m.fields, field{n, encoded}) }

func (m *message) varint(n int, x uint64) {
	b := protowire.AppendTag(nil, protowire.Number(n), protowire.VarintType)
	m.add(n, protowire.AppendVarint(b, x))
}

func (m *message) fixed32(n int, x uint32) {
	b := protowire.AppendTag(nil, protowire.Number(n), protowire.Fixed32Type)
	m.add(n, protowire.AppendFixed32(b, x))
}

func (m *message) bytes(n int, x []byte) {
	b := protowire.AppendTag(nil, protowire.Number(n), protowire.BytesType)
	m.add(n, protowire.AppendBytes(b, x))
}

func (m *message) message(n int, sub *message) { m.bytes(n, sub.encode()) }

// int leaves out a zero, as a singular field that was never set is.
func (m *message) int(n int, x int64) {
	if x != 0 {
		m.varint(n, uint64(x))
	}
}

// string leaves out an empty string.
func (m *message) string(n int, s string) {
	if s != "" {
		m.bytes(n, []byte(s))
	}
}

// strings keeps empty strings: in a node they stand for an input that is not given.
func (m *message) strings(n int, list []string) {
	for _, s := range list {
		m.bytes(n, []byte(s))
	}
}

func (m *message) encode() []byte {
	var b []byte
	for _, f := range m.ordered() {
		b = append(b, f.bytes...)
	}
	return append(b, m.unknown...)
}

func (m *message) ordered() []field {
	fields := slices.Clone(m.fields)
	switch m.wire.Order {
	case Ascending:
		slices.SortStableFunc(fields, func(a, b field) int { return a.number - b.number })
	case Descending:
		slices.SortStableFunc(fields, func(a, b field) int { return b.number - a.number })
	case Interleaved:
		turn := make(map[int]int)
		rank := make(map[*byte]int) // how many fields of the same number come first
		for _, f := range fields {
			rank[&f.bytes[0]] = turn[f.number]
			turn[f.number]++
		}
		slices.SortStableFunc(fields, func(a, b field) int {
			return rank[&a.bytes[0]] - rank[&b.bytes[0]]
		})
	}
	return fields
}

// halves cuts the message in two that merge to it.
func (m *message) halves() (first, second *message) {
	fields := m.ordered()
	half := len(fields) / 2
	first = &message{wire: m.wire, fields: fields[:half]}
	second = &message{wire: m.wire, fields: fields[half:], unknown: m.unknown}
	return first, second
}
