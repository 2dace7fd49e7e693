package nn

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/internal/atomicfile"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// SaveOptions says how [SaveFile] writes.
type SaveOptions struct {
	Force bool // replace an existing file
	Sync  bool // make the file durable before it gets its name

	// Rename gives the name in the file of what the network calls name; nil means that they are the same.
	Rename func(name string) string
}

// SaveFile is [Save] to the file at path, which appears whole or not at all.
func SaveFile(path string, m Module, o SaveOptions) error {
	s, err := newSaver(m, o)
	if err != nil {
		return fmt.Errorf("nn: %s: %w", path, err)
	}
	if err := s.writeFile(path); err != nil {
		return fmt.Errorf("nn: %w", err) // which names the file
	}
	return nil
}

// Save writes the tensors of a network as safetensors, by the names that [Load] finds them under, in the order
// of PyTorch's state_dict. The same network gives the same bytes. A tensor that is in several places is written
// for each: what PyTorch loads must have every name.
//
// The names are those of the network as it is. [FuseBN] puts the only child of a Sequential in its place, so a
// layer that was "0.0" may be "0" now.
func Save(w io.Writer, m Module, o SaveOptions) error {
	s, err := newSaver(m, o)
	if err == nil {
		err = s.write(w)
	}
	if err != nil {
		return fmt.Errorf("nn: %w", err)
	}
	return nil
}

// saver knows what is to be written.
type saver struct {
	options SaveOptions
	entries []safetensors.Entry // in the order of the header
	inFile  []int               // the entries in the order of their bytes
	data    []any               // a slice of elements for each entry
}

func newSaver(m Module, o SaveOptions) (*saver, error) {
	modules, err := stateOf(m)
	if err != nil {
		return nil, err
	}
	s := &saver{options: o}
	names := map[string]bool{}
	for _, own := range modules {
		for _, p := range own.params {
			t := p.tensor()
			if t == nil {
				continue
			}
			name := own.nameOf(p)
			if o.Rename != nil {
				name = o.Rename(name)
			}
			if names[name] {
				return nil, fmt.Errorf("two tensors are called %q", name)
			}
			names[name] = true
			if err := s.add(name, t); err != nil {
				return nil, fmt.Errorf("tensor %q: %w", name, err)
			}
		}
	}
	s.place()
	return s, nil
}

func (s *saver) add(name string, t *tensor.Dense) error {
	data, err := allElements(t)
	if err != nil {
		return err
	}
	s.entries = append(s.entries, safetensors.Entry{
		Name: name, DType: stored[t.Dtype()], Shape: t.Shape().Clone(), NBytes: int64(binary.Size(data)),
	})
	s.data = append(s.data, data)
	return nil
}

// allElements gives the elements of a tensor of any type that can be stored, in row-major order.
func allElements(t *tensor.Dense) (any, error) {
	switch name := stored[t.Dtype()]; {
	case name == "":
		return nil, fmt.Errorf("it holds %v, which safetensors does not", t.Dtype())
	case !t.IsNativelyAccessible():
		return nil, errForeign
	case len(t.Shape()) == 0:
		one := reflect.MakeSlice(reflect.SliceOf(t.Dtype().Type), 1, 1)
		one.Index(0).Set(reflect.ValueOf(t.ScalarValue()))
		return one.Interface(), nil
	case safetensors.Floats[name] != 0:
		return elements(t)
	case t.RequiresIterator() || !t.DataOrder().IsRowMajor():
		return nil, errStrides
	}
	return t.Data(), nil
}

// place puts the tensors side by side: the larger types first, as the reference implementation does, so that
// every element is aligned to its size.
func (s *saver) place() {
	for i := range s.entries {
		s.inFile = append(s.inFile, i)
	}
	bits := func(i int) int64 { return safetensors.ElemBits[s.entries[i].DType] }
	slices.SortStableFunc(s.inFile, func(a, b int) int { return int(bits(b) - bits(a)) })
	at := int64(0)
	for _, i := range s.inFile {
		s.entries[i].Off = at
		at += s.entries[i].NBytes
	}
}

func (s *saver) writeFile(path string) error {
	f, err := atomicfile.Create(path, 0o666, s.options.Force)
	if err != nil {
		return err
	}
	if err := s.write(io.NewOffsetWriter(f, 0)); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Commit(s.options.Sync)
}

func (s *saver) write(to io.Writer) error {
	w := bufio.NewWriterSize(to, chunkBytes)
	// PyTorch's libraries refuse a file that does not say so.
	w.Write(safetensors.EncodeHeader(s.entries, []safetensors.Metadatum{{Key: "format", Value: "pt"}}))
	for _, i := range s.inFile {
		if err := writeElements(w, reflect.ValueOf(s.data[i])); err != nil {
			return err
		}
	}
	return w.Flush()
}

// writeElements writes a slice piece by piece: as a whole it would be in memory twice.
func writeElements(w io.Writer, data reflect.Value) error {
	const piece = chunkBytes / 8 // elements
	for n := data.Len(); n > 0; n = data.Len() {
		k := min(n, piece)
		if err := binary.Write(w, binary.LittleEndian, data.Slice(0, k).Interface()); err != nil {
			return err
		}
		data = data.Slice(k, n)
	}
	return nil
}
