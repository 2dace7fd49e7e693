package nn

import (
	"encoding/binary"
	"errors"
	"math"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
)

// weight is a layer's weight in row-major order, on its way through an engine's slabs.
type weight interface {
	dtype() fuse.DType
	len() int
	peaks(v fuse.View) []float64             // the largest finite |W| of each channel
	begin()                                  // makes room for the new elements
	load(slab []byte, first, n int) error    // writes elements first … first+n−1 into the slab
	store(slab []byte, first, n int) error   // reads them back, scaled
	scaled(shape tensor.Shape) *tensor.Dense // the new weight, once every element is stored
}

// weightOf reads a weight. The error is a [*fuse.Refusal].
func weightOf(d *tensor.Dense) (weight, error) {
	data, err := elements(d)
	switch {
	case errors.Is(err, errNotFloats):
		return nil, fuse.Refuse(fuse.ReasonDType, "weight: %v", err)
	case err != nil:
		return nil, fuse.Refuse(fuse.ReasonWeight, "weight: %v", err)
	}
	if f64, ok := data.([]float64); ok {
		return &weightIn[float64]{dtypeOf(d), f64, nil}, nil
	}
	return &weightIn[float32]{dtypeOf(d), data.([]float32), nil}, nil
}

// weightIn keeps the old elements, which it never writes to, apart from the new ones.
type weightIn[T float] struct {
	dt       fuse.DType
	old, new []T
}

func (w *weightIn[T]) dtype() fuse.DType { return w.dt }

func (w *weightIn[T]) len() int { return len(w.old) }

func (w *weightIn[T]) peaks(v fuse.View) []float64 {
	peaks := make([]float64, v.NumChannels())
	for row := 0; row*v.Inner < len(w.old); row++ { // one channel's run of Inner elements
		c := v.Channel(row * v.Inner)
		for _, x := range w.old[row*v.Inner : (row+1)*v.Inner] {
			if a := math.Abs(float64(x)); a > peaks[c] && !math.IsInf(a, 0) {
				peaks[c] = a
			}
		}
	}
	return peaks
}

func (w *weightIn[T]) begin() { w.new = make([]T, len(w.old)) }

func (w *weightIn[T]) load(slab []byte, first, n int) error {
	from := w.old[first : first+n]
	if littleEndian {
		copy(slab, memory(from))
		return nil
	}
	_, err := binary.Encode(slab, binary.LittleEndian, from)
	return err
}

func (w *weightIn[T]) store(slab []byte, first, n int) error {
	to := w.new[first : first+n]
	if littleEndian {
		copy(memory(to), slab)
		return nil
	}
	_, err := binary.Decode(slab, binary.LittleEndian, to)
	return err
}

// littleEndian is whether this machine keeps numbers as slabs do. Package binary takes them one by one, which
// costs several times what scaling them does.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// memory is the memory that numbers lie in.
func memory[T float](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(T(0))))
}

func (w *weightIn[T]) scaled(shape tensor.Shape) *tensor.Dense { return backed(shape, w.new) }
