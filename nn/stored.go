package nn

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"slices"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/regular"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// stored are the element types of gorgonia tensors, as safetensors calls them.
var stored = map[tensor.Dtype]string{
	tensor.Float64: "F64", tensor.Float32: "F32",
	tensor.Int64: "I64", tensor.Int32: "I32", tensor.Int16: "I16", tensor.Int8: "I8",
	tensor.Uint64: "U64", tensor.Uint32: "U32", tensor.Uint16: "U16", tensor.Uint8: "U8", tensor.Bool: "BOOL",
}

// held gives the element types of stored tensors the gorgonia type that holds each of their values.
var held = map[string]tensor.Dtype{"F16": tensor.Float32, "BF16": tensor.Float32}

func init() {
	for dt, name := range stored {
		held[name] = dt
	}
}

// located is a tensor of a file.
type located struct {
	safetensors.Entry
	file io.ReaderAt
}

const chunkBytes = 1 << 20 // read or written at once

// read makes a tensor of the stored one, of a type that can hold it.
func (l *located) read(to tensor.Dtype) (*tensor.Dense, error) {
	size := int(safetensors.ElemBits[l.DType] / 8)
	n := int(l.NBytes) / size
	out := reflect.MakeSlice(reflect.SliceOf(to.Type), n, n)
	buf := make([]byte, min(chunkBytes, n*size))
	for done := 0; done < n; {
		buf = buf[:min(len(buf), (n-done)*size)]
		if err := regular.ReadAt(l.file, buf, l.Off+int64(done*size)); err != nil {
			return nil, err
		}
		next := done + len(buf)/size
		if err := l.decode(out.Slice(done, next).Interface(), buf); err != nil {
			return nil, err
		}
		done = next
	}
	if len(l.Shape) == 0 {
		return tensor.New(tensor.FromScalar(out.Index(0).Interface())), nil
	}
	return tensor.New(tensor.WithShape(l.Shape...), tensor.WithBacking(out.Interface())), nil
}

// decode reads elements from bytes. Only a float64 that becomes a float32 is rounded, and must stay finite.
func (l *located) decode(out any, b []byte) error {
	if f32, ok := out.([]float32); ok && l.DType != "F32" {
		for i, x := range elem.Decode(safetensors.Floats[l.DType], b) {
			if elem.Overflows(fuse.Float32, x) {
				return fmt.Errorf("%v would be infinite in float32", x)
			}
			f32[i] = float32(x)
		}
		return nil
	}
	if f64, ok := out.([]float64); ok && l.DType != "F64" {
		copy(f64, elem.Decode(safetensors.Floats[l.DType], b))
		return nil
	}
	_, err := binary.Decode(b, binary.LittleEndian, out)
	return err
}

// checkType wants a type that holds every value of the stored tensor, or with round one that float64 may be
// rounded to.
func (l *located) checkType(to tensor.Dtype, round bool) error {
	isFloat := to == tensor.Float64 || to == tensor.Float32
	switch {
	case held[l.DType].Type == nil:
		return fmt.Errorf("no tensor of gorgonia holds %s", l.DType)
	case l.NBytes == 0:
		return fmt.Errorf("it has shape %v, and no tensor of gorgonia is empty", l.Shape)
	case to == held[l.DType] || to == tensor.Float64 && safetensors.Floats[l.DType] != 0:
		return nil
	case l.DType == "F64" && isFloat && round:
		return nil
	case l.DType == "F64" && isFloat:
		return ErrRound
	}
	return fmt.Errorf("the file has %s, the network %v", l.DType, to)
}

// checkEqual wants two tensors to be equal, bit for bit.
func (l *located) checkEqual(other *located) error {
	equal := l.DType == other.DType && slices.Equal(l.Shape, other.Shape)
	a, b := make([]byte, chunkBytes), make([]byte, chunkBytes)
	for done := int64(0); equal && done < l.NBytes; done += int64(len(a)) {
		n := min(l.NBytes-done, chunkBytes)
		a, b = a[:n], b[:n]
		if err := cmp.Or(regular.ReadAt(l.file, a, l.Off+done), regular.ReadAt(other.file, b, other.Off+done)); err != nil {
			return err
		}
		equal = bytes.Equal(a, b)
	}
	if !equal {
		return fmt.Errorf("in the network it is one tensor with %q, in the file it is another", l.Name)
	}
	return nil
}
