package onnxtest

import (
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

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
