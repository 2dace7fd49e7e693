package fuse

import "fmt"

// DType is the element type of a weight. Only floating-point weights can be scaled.
type DType uint8

// The element types an engine scales. The zero value is none of them.
const (
	Float64  DType = iota + 1
	Float32        // IEEE 754 binary32
	Float16        // IEEE 754 binary16
	BFloat16       // the upper half of a binary32
)

var dtypes = [...]struct {
	name   string
	nBytes int
}{Float64: {"float64", 8}, Float32: {"float32", 4}, Float16: {"float16", 2}, BFloat16: {"bfloat16", 2}}

// Valid reports whether d is one of the four types above.
func (d DType) Valid() bool { return d >= Float64 && d <= BFloat16 }

// Size is the size of one element in bytes; 0 for an invalid type.
func (d DType) Size() int {
	if !d.Valid() {
		return 0
	}
	return dtypes[d].nBytes
}

func (d DType) String() string {
	if !d.Valid() {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].name
}
