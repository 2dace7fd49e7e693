package state

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxHeader is the bound that the format sets.
const maxHeader = 100_000_000

// readSafetensors reads the header of a safetensors file:
//
//	uint64 length | {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …} | data
//
// The data are the tensors', one behind the other.
func readSafetensors(f *os.File, size int64) (*Part, error) {
	var length [8]byte
	if _, err := f.ReadAt(length[:], 0); err != nil {
		return nil, fmt.Errorf("not a checkpoint, or a cut one: %w", unexpected(err))
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > size-8 {
		return nil, fmt.Errorf("not a checkpoint, or a cut one: a header of %d bytes in a file of %d", n, size)
	}
	header := make([]byte, n)
	if _, err := f.ReadAt(header, 8); err != nil && n > 0 {
		return nil, unexpected(err)
	}
	p := &Part{Metadata: map[string]string{}}
	var at []int64 // where each tensor begins
	err := object(header, func(name string, value json.RawMessage) error {
		if name == "__metadata__" {
			return object(value, func(key string, value json.RawMessage) error {
				var err error
				p.Metadata[key], err = text(value)
				return err
			})
		}
		t, off, err := tensorOf(name, value)
		p.Tensors, at = append(p.Tensors, t), append(at, off)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	base := 8 + int64(n)
	for i, t := range p.Tensors {
		t.open = func() io.Reader { return io.NewSectionReader(f, base+at[i], t.NBytes) }
	}
	return p, covered(p.Tensors, at, size-base)
}

// tensorOf reads what the header says of a tensor.
func tensorOf(name string, value json.RawMessage) (*Tensor, int64, error) {
	t := &Tensor{Name: name}
	var offsets []int64
	fields := 0
	err := object(value, func(key string, value json.RawMessage) error {
		fields++
		switch key {
		case "dtype":
			var err error
			t.DType, err = text(value)
			return err
		case "shape":
			return json.Unmarshal(value, &t.Shape)
		case "data_offsets":
			return json.Unmarshal(value, &offsets)
		}
		return errors.New("no field of a tensor")
	})
	if err != nil {
		return t, 0, err
	}
	n, ok := count(t.Shape)
	if fields != 3 || t.Shape == nil || len(offsets) != 2 || offsets[0] < 0 || offsets[1] < offsets[0] || !ok {
		return t, 0, fmt.Errorf("%s is no description of a tensor", value)
	}
	t.NBytes = offsets[1] - offsets[0]
	if bits, known := bitsOf[t.DType]; known && (t.NBytes > 1<<60 || n*bits != 8*t.NBytes) {
		return t, 0, fmt.Errorf("%s %v in %d bytes", t.DType, t.Shape, t.NBytes)
	}
	return t, offsets[0], nil
}

// covered wants tensors to share no byte and to leave none out.
func covered(tensors []*Tensor, at []int64, nBytes int64) error {
	order := make([]int, len(tensors))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(at[i], at[j]), cmp.Compare(tensors[i].NBytes, tensors[j].NBytes))
	})
	end := int64(0)
	for _, i := range order {
		if at[i] != end {
			return fmt.Errorf("tensor %q begins at byte %d, and the one before it ends at %d", tensors[i].Name, at[i], end)
		}
		end += tensors[i].NBytes
	}
	if end != nBytes {
		return fmt.Errorf("the tensors have %d bytes, the file has %d for them", end, nBytes)
	}
	return nil
}

// unexpected makes the end of a file an error wherever it comes.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
