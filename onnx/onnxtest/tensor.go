package onnxtest

import (
	"encoding/binary"
	"fmt"
	"math"
)

// ElemType is TensorProto.DataType.
type ElemType int32

// The element types that tests need.
const (
	Float32  ElemType = 1
	Uint8    ElemType = 2
	Int8     ElemType = 3
	Uint16   ElemType = 4
	Int16    ElemType = 5
	Int32    ElemType = 6
	Int64    ElemType = 7
	Text     ElemType = 8
	Bool     ElemType = 9
	Float16  ElemType = 10
	Float64  ElemType = 11
	Uint32   ElemType = 12
	Uint64   ElemType = 13
	BFloat16 ElemType = 16
)

// Size is the size of an element in raw_data, in bytes; 0 for strings.
func (e ElemType) Size() int {
	switch e {
	case Uint8, Int8, Bool:
		return 1
	case Uint16, Int16, Float16, BFloat16:
		return 2
	case Float32, Int32, Uint32:
		return 4
	case Float64, Int64, Uint64:
		return 8
	}
	return 0
}

// IsFloat reports whether the elements are floating-point numbers.
func (e ElemType) IsFloat() bool {
	return e == Float32 || e == Float64 || e == Float16 || e == BFloat16
}

// Tensor is a TensorProto. Its elements are in Data, rounded to Elem when they are written; integers
// beyond 2⁵³ and NaN payloads are in Bits instead. Strings are in Text.
type Tensor struct {
	Name     string
	Elem     ElemType
	Dims     []int64
	Data     []float64
	Bits     []uint64 // the elements as they lie in memory, in place of Data
	Text     []string
	Encoding Encoding
	External External // for the encoding InFile
	Doc      string
	Unknown  []byte
}

// Encoding is where a tensor's elements are in its message.
type Encoding int

// The encodings.
const (
	Raw      Encoding = iota // raw_data
	Packed                   // float_data and so on, one packed field
	Unpacked                 // float_data and so on, a field for each element
	Mixed                    // float_data and so on: a packed field, then single ones, then a packed one
	InFile                   // an external file
)

// External is where an external tensor's elements are. Entries are written in place of the other
// fields where they are given, for entries no exporter writes.
type External struct {
	Location string
	Offset   int64
	NoOffset bool // no offset entry, which means 0
	NoLength bool // no length entry, which means to the end of the file
	Entries  []Entry
}

// NewTensor makes a tensor in raw_data.
func NewTensor(name string, elem ElemType, dims []int64, data ...float64) Tensor {
	return Tensor{Name: name, Elem: elem, Dims: dims, Data: data}
}

// In gives the tensor in another encoding.
func (t Tensor) In(e Encoding) Tensor {
	t.Encoding = e
	return t
}

// InFile gives the tensor in an external file.
func (t Tensor) InFile(location string, offset int64) Tensor {
	t.Encoding, t.External = InFile, External{Location: location, Offset: offset}
	return t
}

// NumElem is the number of elements that Dims gives.
func (t Tensor) NumElem() int {
	n := 1
	for _, d := range t.Dims {
		n *= int(d)
	}
	return n
}

// RawBytes is the tensor's elements as raw_data or a file holds them: little-endian, no padding.
func (t Tensor) RawBytes() []byte {
	var b []byte
	for _, bits := range t.elemBits() {
		switch t.Elem.Size() {
		case 1:
			b = append(b, byte(bits))
		case 2:
			b = binary.LittleEndian.AppendUint16(b, uint16(bits))
		case 4:
			b = binary.LittleEndian.AppendUint32(b, uint32(bits))
		case 8:
			b = binary.LittleEndian.AppendUint64(b, bits)
		default:
			panic(fmt.Sprintf("onnxtest: tensor %q: no raw form of element type %d", t.Name, t.Elem))
		}
	}
	return b
}

func (t Tensor) elemBits() []uint64 {
	if t.Bits != nil {
		return t.Bits
	}
	bits := make([]uint64, len(t.Data))
	for i, x := range t.Data {
		bits[i] = t.Elem.bits(x)
	}
	return bits
}

// bits rounds x to the type, to nearest even, and gives it as it lies in memory, zero-extended.
func (e ElemType) bits(x float64) uint64 {
	switch e {
	case Float64:
		return math.Float64bits(x)
	case Float32:
		return uint64(math.Float32bits(float32(x)))
	case Float16:
		return uint64(narrow(x, 10, 5))
	case BFloat16:
		return uint64(narrow(x, 7, 8))
	case Uint64:
		return uint64(x)
	}
	mask := ^uint64(0) >> (64 - 8*max(e.Size(), 1))
	return uint64(int64(x)) & mask
}

// value is the number that bits mean.
func (e ElemType) value(bits uint64) float64 {
	switch e {
	case Float64:
		return math.Float64frombits(bits)
	case Float32:
		return float64(math.Float32frombits(uint32(bits)))
	case Float16:
		return widen(uint16(bits), 10, 5)
	case BFloat16:
		return float64(math.Float32frombits(uint32(bits) << 16))
	case Int8:
		return float64(int8(bits))
	case Int16:
		return float64(int16(bits))
	case Int32:
		return float64(int32(bits))
	case Int64:
		return float64(int64(bits))
	}
	return float64(bits)
}

// SparseTensor is a SparseTensorProto.
type SparseTensor struct {
	Values  Tensor
	Indices Tensor
	Dims    []int64
}
