// Package state reads checkpoints for package verify: safetensors, also sharded, and PyTorch's files of
// either format. It gives the tensors by name, each as a stream of little-endian elements in the order of
// its shape, and reads none of them by itself.
//
// It is package verify's own, apart from the reader that folds, so that a mistake of one is not made by
// both. A checkpoint is distrusted here too: lengths are checked against the file before anything is
// allocated, and of a pickle only known opcodes and names are read; nothing in it is ever called.
package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Kind is a format of checkpoints.
type Kind string

// The formats. An index names the files that the tensors of a checkpoint are spread over.
const (
	Safetensors Kind = "safetensors"
	Index       Kind = "index"
	PyTorch     Kind = "pytorch"
)

// The endings of the name of an index: of safetensors, and of torch.save's files.
const (
	IndexSuffix    = ".safetensors.index.json"
	BinIndexSuffix = ".bin.index.json"
)

// Dict is a checkpoint: tensors by name.
type Dict struct {
	Kind    Kind
	Pickled bool // PyTorch wrote it, or its shards
	Tensors map[string]*Tensor
	Order   []string // of the names
	Parts   []*Part

	// Of an index: its members but the map of names to files, as "metadata.format", each with its JSON.
	Members map[string]string

	files []*os.File
}

// Part is one file of a checkpoint.
type Part struct {
	Name     string            // of a shard
	Metadata map[string]string // of a safetensors header
	Tensors  []*Tensor
}

// Tensor is one tensor, its elements still in the file.
type Tensor struct {
	Name   string
	DType  string // as safetensors calls it
	Shape  []int
	NBytes int64
	Shared bool // other names stand for some of the same memory
	Part   *Part

	open func() io.Reader
}

// Reader streams the elements.
func (t *Tensor) Reader() io.Reader { return t.open() }

// Of tells the format of the file at path; "" for what is no checkpoint.
func Of(path string) (Kind, error) {
	f, _, err := openFile(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return kindOf(path, f)
}

func kindOf(path string, f *os.File) (Kind, error) {
	head := make([]byte, 9)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	head = head[:n]
	switch {
	case strings.HasSuffix(path, IndexSuffix), strings.HasSuffix(path, BinIndexSuffix):
		return Index, nil
	case n == 9 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= maxHeader:
		return Safetensors, nil
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), n > 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5:
		return PyTorch, nil
	}
	return "", nil
}

// Open reads what a checkpoint says of its tensors.
func Open(path string) (*Dict, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	d := &Dict{Tensors: map[string]*Tensor{}, files: []*os.File{f}}
	if err := d.read(path, f, size); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dict) read(path string, f *os.File, size int64) (err error) {
	if d.Kind, err = kindOf(path, f); err != nil {
		return err
	}
	switch d.Kind {
	case Index:
		return d.readIndex(path, f, size)
	case PyTorch:
		d.Pickled = true
	}
	p, err := d.readPart(f, size)
	if err != nil {
		return err
	}
	return d.add(p)
}

func (d *Dict) readPart(f *os.File, size int64) (*Part, error) {
	if !d.Pickled {
		return readSafetensors(f, size)
	}
	tensors, err := readTorch(f, size)
	if err != nil {
		return nil, err
	}
	return &Part{Tensors: tensors}, nil
}

// add takes in the tensors of a file.
func (d *Dict) add(p *Part) error {
	d.Parts = append(d.Parts, p)
	for _, t := range p.Tensors {
		if d.Tensors[t.Name] != nil {
			return fmt.Errorf("two tensors are named %q", t.Name)
		}
		t.Part = p
		d.Tensors[t.Name] = t
		d.Order = append(d.Order, t.Name)
	}
	return nil
}

// NBytes is the size of all tensors.
func (d *Dict) NBytes() (n int64) {
	for _, t := range d.Tensors {
		n += t.NBytes
	}
	return n
}

// Close closes the files.
func (d *Dict) Close() {
	for _, f := range d.files {
		f.Close()
	}
}

func openFile(path string) (*os.File, int64, error) {
	info, err := os.Stat(path) // before opening: to open a named pipe would wait for its writer
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err // the caller knows the path
		}
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// bitsOf is the size of an element. Of a type that is not here only the bytes are compared.
var bitsOf = map[string]int64{
	"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
	"I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}

// maxElems is more elements than a file can hold.
const maxElems = 1 << 50

// count multiplies a shape; false where the product is out of range.
func count(shape []int) (int64, bool) {
	n := int64(1)
	for _, d := range shape {
		switch {
		case d < 0 || d > maxElems:
			return 0, false
		case d == 0:
			n = 0
		case n > maxElems/int64(d):
			return 0, false
		default:
			n *= int64(d)
		}
	}
	return n, true
}
