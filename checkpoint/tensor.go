package checkpoint

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/regular"
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
	if err := t.readAt(b, 0); err != nil {
		return nil, err
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

	byName map[string]*tensor
	byHead map[string][]*tensor // those that may be twins; made when the first is asked for
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
			if !utf8.ValidString(t.name) {
				return c, fmt.Errorf("the name %q of a tensor is not UTF-8, which safetensors need", t.name)
			}
			if t.name == "__metadata__" {
				return c, fmt.Errorf("tensor %q: safetensors mean something else by that name", t.name)
			}
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

// headBytes of two tensors tell most of them apart.
const headBytes = 64

// twin finds another tensor of t's type, shape and bytes among those that may be one; nil for none. Which may be is
// asked once for each tensor.
func (c *container) twin(t *tensor, may func(*tensor) bool) (*tensor, error) {
	if c.byHead == nil {
		c.byHead = map[string][]*tensor{}
		for _, other := range c.tensors() {
			if !may(other) {
				continue
			}
			head, err := other.head()
			if err != nil {
				return nil, err
			}
			c.byHead[head] = append(c.byHead[head], other)
		}
	}
	head, err := t.head()
	if err != nil {
		return nil, err
	}
	for _, other := range c.byHead[head] {
		if other == t {
			continue
		}
		if same, err := sameBytes(other, t); same || err != nil {
			return other, err
		}
	}
	return nil, nil
}

// head is the tensor's type and shape, and how its bytes begin.
func (t *tensor) head() (string, error) {
	b := make([]byte, min(headBytes, t.nBytes))
	err := t.readAt(b, 0)
	return fmt.Sprint(t.dtype, t.shape) + string(b), err
}

// sameBytes reports whether two tensors of one type and shape have the same elements, bit for bit.
func sameBytes(a, b *tensor) (bool, error) {
	one, two := make([]byte, 64<<10), make([]byte, 64<<10)
	for done := int64(0); done < a.nBytes; done += int64(len(one)) {
		n := min(int64(len(one)), a.nBytes-done)
		if err := cmp.Or(a.readAt(one[:n], done), b.readAt(two[:n], done)); err != nil {
			return false, err
		}
		if !bytes.Equal(one[:n], two[:n]) {
			return false, nil
		}
	}
	return true, nil
}

// readAt reads the tensor's bytes from off on.
func (t *tensor) readAt(b []byte, off int64) error {
	if err := regular.ReadAt(t.src, b, t.off+off); err != nil {
		return fmt.Errorf("tensor %q: %w", t.name, err)
	}
	return nil
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
