// Package elem reads and writes single elements of a weight's bytes.
//
// In: little-endian bytes and their element type. Out: float64 values, or the other way round. Widening
// is exact; narrowing rounds once, to nearest, ties to even, and every NaN becomes the type's positive
// quiet NaN. There is no unsafe here and little speed: it is for biases, norm parameters and tests.
// Weights go through an engine.
package elem

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/half"
)

// The positive quiet NaNs of the wide types.
const (
	nan64 uint64 = 0x7ff8 << 48
	nan32 uint32 = 0x7fc0 << 16
)

// Load is the value of the first element of b, exactly.
func Load(dt fuse.DType, b []byte) float64 {
	switch dt {
	case fuse.Float64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case fuse.Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case fuse.Float16:
		return half.Float16ToFloat64(binary.LittleEndian.Uint16(b))
	case fuse.BFloat16:
		return half.BFloat16ToFloat64(binary.LittleEndian.Uint16(b))
	}
	panic("elem: " + dt.String() + " is not an element type")
}

// Store writes x, rounded once to the type, into the first element of b.
func Store(dt fuse.DType, b []byte, x float64) {
	switch dt {
	case fuse.Float64:
		u := math.Float64bits(x)
		if math.IsNaN(x) {
			u = nan64
		}
		binary.LittleEndian.PutUint64(b, u)
	case fuse.Float32:
		binary.LittleEndian.PutUint32(b, float32bits(x))
	case fuse.Float16:
		binary.LittleEndian.PutUint16(b, half.Float64ToFloat16(x))
	case fuse.BFloat16:
		binary.LittleEndian.PutUint16(b, half.Float64ToBFloat16(x))
	default:
		panic("elem: " + dt.String() + " is not an element type")
	}
}

// float32bits is x as float32.
func float32bits(x float64) uint32 {
	if math.IsNaN(x) {
		return nan32
	}
	return math.Float32bits(float32(x))
}

// Decode is every element of b, exactly. Trailing bytes that make no whole element are left out.
func Decode(dt fuse.DType, b []byte) []float64 { return DecodeInto(nil, dt, b) }

// DecodeInto is Decode into room, or into new memory where that is too small.
func DecodeInto(room []float64, dt fuse.DType, b []byte) []float64 {
	size := dt.Size()
	x := slices.Grow(room[:0], len(b)/size)[:len(b)/size]
	if dt == fuse.Float32 { // nearly all norm parameters are
		for i := range x {
			x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		}
		return x
	}
	for i := range x {
		x[i] = Load(dt, b[i*size:])
	}
	return x
}

// Encode is x in bytes, each element rounded once.
func Encode(dt fuse.DType, x []float64) []byte {
	size := dt.Size()
	b := make([]byte, len(x)*size)
	if dt == fuse.Float32 {
		for i, v := range x {
			binary.LittleEndian.PutUint32(b[4*i:], float32bits(v))
		}
		return b
	}
	for i, v := range x {
		Store(dt, b[i*size:], v)
	}
	return b
}

// Overflows reports whether x is finite and rounds to infinity in the type.
func Overflows(dt fuse.DType, x float64) bool {
	const inAll = 65504 // float16's largest
	if math.Abs(x) <= inAll || math.IsInf(x, 0) || math.IsNaN(x) {
		return false
	}
	var b [8]byte
	Store(dt, b[:], x)
	return math.IsInf(Load(dt, b[:]), 0)
}
