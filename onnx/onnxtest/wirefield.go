package onnxtest

import "google.golang.org/protobuf/encoding/protowire"

// wireField is one field of a message.
type wireField struct {
	number int
	typ    protowire.Type
	scalar uint64 // of a varint or a fixed field
	bytes  []byte // of a length-delimited field
	whole  []byte // with its tag
}

func (f wireField) int() int64     { return int64(f.scalar) }
func (f wireField) string() string { return string(f.bytes) }

// each visits the elements of a repeated scalar field: one, or many when it is packed.
func (f wireField) each(typ protowire.Type, visit func(uint64)) error {
	if f.typ != protowire.BytesType {
		visit(f.scalar)
		return nil
	}
	for b := f.bytes; len(b) > 0; {
		element := wireField{typ: typ}
		n := element.consume(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		visit(element.scalar)
		b = b[n:]
	}
	return nil
}

// consume reads a value of the field's type and gives its length, negative for an error.
func (f *wireField) consume(b []byte) (n int) {
	switch f.typ {
	case protowire.VarintType:
		f.scalar, n = protowire.ConsumeVarint(b)
	case protowire.Fixed64Type:
		f.scalar, n = protowire.ConsumeFixed64(b)
	case protowire.Fixed32Type:
		var x uint32
		x, n = protowire.ConsumeFixed32(b)
		f.scalar = uint64(x)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(b)
	default:
		n = protowire.ConsumeFieldValue(protowire.Number(f.number), f.typ, b)
	}
	return n
}

func eachField(b []byte, visit func(wireField) error) error {
	for len(b) > 0 {
		number, typ, nTag := protowire.ConsumeTag(b)
		if nTag < 0 {
			return protowire.ParseError(nTag)
		}
		f := wireField{number: int(number), typ: typ}
		n := f.consume(b[nTag:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		f.whole = b[:nTag+n]
		if err := visit(f); err != nil {
			return err
		}
		b = b[nTag+n:]
	}
	return nil
}

// appendParsed parses one element of a repeated message.
func appendParsed[T any](list *[]T, f wireField, parse func(*T, []byte) error) error {
	var element T
	if err := parse(&element, f.bytes); err != nil {
		return err
	}
	*list = append(*list, element)
	return nil
}
