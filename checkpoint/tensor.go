package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/safetensors"
	"github.com/bnfuse/bnfuse/internal/stream"
)

// tensor is one named tensor of a checkpoint, and where its elements lie: little-endian, in the order of its
// shape.
type tensor struct {
	name   string
	dtype  string // as safetensors calls it
	shape  []int
	src    io.ReaderAt
	off    int64
	nBytes int64
	shared bool // other names stand for some of the same memory
}

// entry is the tensor in a header; its place there is yet to be known.
func (t *tensor) entry() safetensors.Entry {
	return safetensors.Entry{Name: t.name, DType: t.dtype, Shape: t.shape, NBytes: t.nBytes}
}

// weight is where its elements lie.
func (t *tensor) weight() stream.Weight {
	return stream.Weight{Src: t.src, Off: t.off, NBytes: t.nBytes}
}

// float is the type the engine knows, invalid for all that cannot be scaled.
func (t *tensor) float() fuse.DType { return safetensors.Floats[t.dtype] }

// values are all elements of a floating-point tensor.
func (t *tensor) values() ([]float64, error) { return t.valuesIn(&room{}) }

// room is memory for the elements of one tensor after the other.
type room struct {
	bytes  []byte
	values []float64
}

// valuesIn is values in memory that is used again.
func (t *tensor) valuesIn(r *room) ([]float64, error) {
	r.bytes = slices.Grow(r.bytes[:0], int(t.nBytes))
	b := r.bytes[:t.nBytes]
	if n, err := t.src.ReadAt(b, t.off); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("tensor %q: %w", t.name, err)
	}
	r.values = elem.DecodeInto(r.values, t.float(), b)
	return r.values, nil
}

// part is one file of a checkpoint.
type part struct {
	name     string // of a shard, relative to the index
	file     *os.File
	size     int64
	asIs     bool      // it is safetensors already
	tensors  []*tensor // in the order of the header
	metadata []safetensors.Metadatum
	warnings []string // what the output does not hold
}

// container is an opened checkpoint: one file, or the shards of an index.
type container struct {
	path     string
	parts    []*part
	index    *index // nil for a single file
	asIs     bool   // the files are safetensors already: with nothing to fold they are copied
	warnings []string

	byName  map[string]*tensor
	byShape map[string][]*tensor // by form; made when it is asked for
}

// newContainer names the tensors; a name in two parts is an error.
func newContainer(path string, parts ...*part) (*container, error) {
	c := &container{path: path, parts: parts, asIs: true, byName: map[string]*tensor{}}
	for _, p := range parts {
		c.asIs = c.asIs && p.asIs
		for _, w := range p.warnings {
			if p.name != "" {
				w = "shard " + p.name + ": " + w
			}
			c.warnings = append(c.warnings, w)
		}
		for _, t := range p.tensors {
			if c.byName[t.name] != nil {
				return c, fmt.Errorf("tensor %q is stored in two shards", t.name)
			}
			c.byName[t.name] = t
		}
	}
	return c, nil
}

func (c *container) nBytes() int64 {
	n := int64(0)
	for _, p := range c.parts {
		n += p.size
	}
	if c.index != nil {
		n += c.index.size
	}
	return n
}

// tensors lists all tensors in order.
func (c *container) tensors() []*tensor {
	var all []*tensor
	for _, p := range c.parts {
		all = append(all, p.tensors...)
	}
	return all
}

func (c *container) close() {
	for _, p := range c.parts {
		p.file.Close()
	}
}

// alike lists the other tensors of a tensor's type and shape.
func (c *container) alike(t *tensor) []*tensor {
	if c.byShape == nil {
		c.byShape = map[string][]*tensor{}
		for _, t := range c.tensors() {
			c.byShape[t.form()] = append(c.byShape[t.form()], t)
		}
	}
	return slices.DeleteFunc(slices.Clone(c.byShape[t.form()]), func(other *tensor) bool { return other == t })
}

// form is the tensor's type and shape.
func (t *tensor) form() string { return fmt.Sprint(t.dtype, t.shape) }

// sameBytes reports whether two tensors of one form have the same elements, bit for bit.
func sameBytes(a, b *tensor) (bool, error) {
	one, two := make([]byte, 64), make([]byte, 64) // most tensors differ at once
	for done := int64(0); done < a.nBytes; {
		n := min(int64(len(one)), a.nBytes-done)
		for t, to := range map[*tensor][]byte{a: one[:n], b: two[:n]} {
			if got, err := t.src.ReadAt(to, t.off+done); got < len(to) {
				return false, fmt.Errorf("tensor %q: %w", t.name, err)
			}
		}
		if !bytes.Equal(one[:n], two[:n]) {
			return false, nil
		}
		if done += n; len(one) < 64<<10 {
			one, two = make([]byte, 64<<10), make([]byte, 64<<10)
		}
	}
	return true, nil
}

// inFileOrder lists a part's tensors as their bytes lie.
func inFileOrder(tensors []*tensor) []*tensor {
	list := slices.Clone(tensors)
	slices.SortStableFunc(list, func(a, b *tensor) int {
		if a.off != b.off {
			if a.off < b.off {
				return -1
			}
			return 1
		}
		return int(min(a.nBytes, 1) - min(b.nBytes, 1)) // an empty tensor before the one that begins there
	})
	return list
}
