//go:build cuda && cgo

package cuda

import (
	"math"
	"unsafe"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/kernels"
	"gorgonia.org/cu"
)

// The kernels' tables, field for field as in kernels/*.cuh and *.cu: every field has eight bytes.

// factor is struct Factor: a scale, and where the first element of the segment stands in its view.
type factor struct {
	scale                                cu.DevicePtr
	outer, channels, inner               int64
	atGroup, atOuter, atChannel, atInner int64
}

// segment is struct Segment.
type segment struct {
	data                    cu.DevicePtr
	elems, dtype, firstTile int64
	after, before           factor
}

// counts is struct Counts.
type counts struct{ overflows, vanished uint64 }

// terms is struct Terms.
type terms struct {
	shift                  cu.DevicePtr
	outer, channels, inner int64
}

// contraction is struct Contraction.
type contraction struct {
	data                           cu.DevicePtr
	elems, first, dtype, firstTile int64
	terms                          terms
	perInner, firstOutput, outputs int64
	lanes                          cu.DevicePtr
}

// newFactor places element first of a tensor in a view. scale points to the scales of all its channels.
//
// The kernels count with 31 bits, while a segment has at most 2³⁰ elements: it meets one boundary at most of an axis
// that is longer, and only how far off that is counts.
func newFactor(scale cu.DevicePtr, v fuse.View, first int) factor {
	row := first / v.Inner
	block := row / v.Channels
	outer, atOuter := within31Bits(v.Outer, block%v.Outer)
	inner, atInner := within31Bits(v.Inner, first%v.Inner)
	return factor{
		scale: scale,
		outer: outer, channels: int64(v.Channels), inner: inner,
		atGroup: int64(block / v.Outer), atOuter: atOuter,
		atChannel: int64(row % v.Channels), atInner: atInner,
	}
}

// within31Bits shortens an axis at its front.
func within31Bits(size, at int) (shortSize, shortAt int64) {
	cut := max(0, size-math.MaxInt32)
	return int64(size - cut), int64(max(0, at-cut))
}

// scaleTiles is how many tiles a segment has: they are counted from the vector that holds its first element.
func scaleTiles(data cu.DevicePtr, elems int, dtype fuse.DType) int {
	nBytes := int(data%fuse.SegmentAlign) + elems*dtype.Size()
	return (nBytes + kernels.TileBytes - 1) / kernels.TileBytes
}

// arena lays values out in a buffer, one behind the other, all of eight-byte fields.
type arena struct{ nBytes int }

// reserve is where the next nBytes go.
func (a *arena) reserve(nBytes int) (offset int) {
	offset = a.nBytes
	a.nBytes += nBytes
	return offset
}

// view is n values of a type at an offset in memory.
func view[T any](memory []byte, offset, n int) []T {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&memory[offset])), n)
}

func sizeOf[T any]() int { return int(unsafe.Sizeof(*new(T))) }
