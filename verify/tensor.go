package verify

import (
	"bufio"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

// Element types of a TensorProto.
const (
	typeFloat    = 1
	typeUint8    = 2
	typeInt8     = 3
	typeUint16   = 4
	typeInt16    = 5
	typeInt32    = 6
	typeInt64    = 7
	typeBool     = 9
	typeFloat16  = 10
	typeDouble   = 11
	typeUint32   = 12
	typeBFloat16 = 16
)

// Fields of a TensorProto.
const (
	tensorDims     = 1
	tensorType     = 2
	tensorName     = 8
	tensorRaw      = 9
	tensorExternal = 13
	tensorLocation = 14
)

// tensor is a stored tensor whose data stay in the file.
type tensor struct {
	m        *model
	at       []span // the TensorProto; protobuf merges a message that comes in pieces
	name     string
	elem     int32
	dims     []int
	raw      *span
	external *external
	sparse   bool // a SparseTensorProto, which is only ever compared

	state *state.Tensor // of a checkpoint, where the data are then
	made  *array        // no file has it
}

// external is where data outside the model file lie.
type external struct {
	location string
	off, len int64 // len -1: to the end
}

// maxElems is more elements than a file can hold.
const maxElems = 1 << 50

func (m *model) parseTensor(at ...span) (*tensor, error) {
	t := &tensor{m: m, at: at}
	outside := false
	for _, s := range at {
		err := m.fields(s, func(fd field) (err error) {
			switch fd.num {
			case tensorDims:
				err = m.varints(fd, func(x uint64) error {
					if x > maxElems || len(t.dims) >= maxRank {
						return fmt.Errorf("dims[%d] is %d", len(t.dims), int64(x))
					}
					t.dims = append(t.dims, int(x))
					return nil
				})
			case tensorType:
				t.elem = int32(fd.value)
			case tensorName:
				t.name, err = m.text(fd)
			case tensorRaw:
				if fd.typ == protowire.BytesType {
					t.raw = &fd.body
				}
			case tensorLocation:
				outside = fd.value == 1
			case tensorExternal:
				if t.external == nil {
					t.external = &external{len: -1}
				}
				err = t.parseExternal(fd.body)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.name, err)
		}
	}
	if !outside {
		t.external = nil
	} else if t.external == nil {
		return nil, fmt.Errorf("tensor %q: its data are external, and nothing says where", t.name)
	}
	return t, nil
}

// parseExternal reads a StringStringEntryProto of external_data.
func (t *tensor) parseExternal(at span) error {
	var key, value string
	err := t.m.fields(at, func(fd field) (err error) {
		switch fd.num {
		case 1:
			key, err = t.m.text(fd)
		case 2:
			value, err = t.m.text(fd)
		}
		return err
	})
	if err != nil {
		return err
	}
	switch key {
	case "location":
		t.external.location = value
	case "offset":
		t.external.off, err = strconv.ParseInt(value, 10, 64)
	case "length":
		if t.external.len, err = strconv.ParseInt(value, 10, 64); t.external.len == 0 {
			t.external.len = -1 // as onnx reads it
		}
	}
	if err == nil && (t.external.off < 0 || t.external.len < -1) {
		err = fmt.Errorf("external %s is %s", key, value)
	}
	return err
}

// nElem is the number of elements, -1 if it is out of range.
func (t *tensor) nElem() int { return product(t.dims) }

// product multiplies dims; -1 where one is not known or the result is out of range.
func product(dims []int) int {
	n := 1
	for _, d := range dims {
		hi, lo := bits.Mul64(uint64(n), uint64(max(d, 0)))
		if d < 0 || hi != 0 || lo > maxElems {
			return -1
		}
		n = int(lo)
	}
	return n
}

// elemBytes is the size of an element in raw data, 0 for types that are only ever compared.
func elemBytes(elem int32) int {
	if f := formatOf(elem); f != nil {
		return f.nBytes
	}
	return intFormats[elem].nBytes
}

// data streams the elements as they would lie in raw_data, after checking that there are as many as the
// dims say where the file tells.
func (t *tensor) data() (io.Reader, error) {
	size, n := elemBytes(t.elem), t.nElem()
	if size == 0 || n < 0 || t.sparse {
		return nil, fmt.Errorf("tensor %q of element type %d and dims %v is not read as numbers", t.name, t.elem, t.dims)
	}
	nBytes := int64(n) * int64(size)
	switch {
	case t.state != nil:
		return t.state.Reader(), nil
	case t.made != nil:
		return &arrayReader{t.made.f}, nil
	case t.external != nil:
		return t.m.openExternal(t.external, nBytes)
	case t.raw != nil:
		if t.raw.len() != nBytes {
			return nil, fmt.Errorf("tensor %q: dims %v need %d bytes, raw_data has %d", t.name, t.dims, nBytes, t.raw.len())
		}
		return t.m.section(*t.raw), nil
	}
	return bufio.NewReaderSize(newTypedReader(t), windowBytes), nil
}

// same is sameTensor, with a memory: many ask for the same tensors.
func (c *checker) same(b, a *tensor) bool {
	pair := [2]*tensor{b, a}
	if same, known := c.equal[pair]; known {
		return same
	}
	same, err := sameTensor(b, a)
	if err != nil {
		c.failed(err)
	}
	c.equal[pair] = same
	return same
}

// sameTensor reports whether two tensors say and hold the same: every field but where external data
// lie, and the data.
func sameTensor(b, a *tensor) (bool, error) {
	if b.elem != a.elem || b.sparse != a.sparse || !slices.Equal(b.dims, a.dims) || (b.external == nil) != (a.external == nil) {
		return false, nil
	}
	switch {
	case b.state != nil && a.state != nil:
		if b.state.DType != a.state.DType || b.state.NBytes != a.state.NBytes {
			return false, nil
		}
		return sameStream(b.state.Reader(), a.state.Reader())
	case b.made != nil && a.made != nil:
		return sameArray(b.made, a.made), nil
	}
	if a.external == nil {
		return sameStream(b.proto(), a.proto())
	}
	same, err := sameFields(b.m, b.at, a.m, a.at, func(num protowire.Number) bool { return num == tensorExternal })
	if err != nil || !same {
		return same, err
	}
	rb, err := b.data()
	if err != nil {
		return false, err
	}
	ra, err := a.data()
	if err != nil {
		return false, err
	}
	return sameStream(rb, ra)
}

// proto streams the TensorProto itself.
func (t *tensor) proto() io.Reader {
	var pieces []io.Reader
	for _, s := range t.at {
		pieces = append(pieces, t.m.section(s))
	}
	return io.MultiReader(pieces...)
}
