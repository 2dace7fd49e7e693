package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/bnfuse/bnfuse/fuse"
	"google.golang.org/protobuf/encoding/protowire"
)

// Element types of TensorProto.data_type that the package looks at.
const (
	typeFloat      = 1
	typeUint8      = 2
	typeInt8       = 3
	typeUint16     = 4
	typeInt16      = 5
	typeInt32      = 6
	typeInt64      = 7
	typeString     = 8
	typeBool       = 9
	typeFloat16    = 10
	typeDouble     = 11
	typeUint32     = 12
	typeUint64     = 13
	typeComplex64  = 14
	typeComplex128 = 15
	typeBFloat16   = 16
)

// Field numbers of TensorProto.
const (
	tensorDims     = 1
	tensorType     = 2
	tensorSegment  = 3
	tensorFloats   = 4
	tensorInt32s   = 5
	tensorStrings  = 6
	tensorInt64s   = 7
	tensorName     = 8
	tensorRaw      = 9
	tensorDoubles  = 10
	tensorUint64s  = 11
	tensorExternal = 13
	tensorLocation = 14
)

// elemBits is the size of an element in raw_data, by data_type; 0 for types without one.
var elemBits = [...]int64{
	1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16,
	17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2,
}

// typedField is the typed data field an element type uses, and how many values it takes per element;
// 0 values: not checked (types narrower than a byte share values).
func typedField(dataType int32) (num protowire.Number, perElem int64) {
	switch dataType {
	case typeFloat:
		return tensorFloats, 1
	case typeComplex64:
		return tensorFloats, 2
	case typeDouble:
		return tensorDoubles, 1
	case typeComplex128:
		return tensorDoubles, 2
	case typeInt64:
		return tensorInt64s, 1
	case typeUint32, typeUint64:
		return tensorUint64s, 1
	case typeString:
		return tensorStrings, 1
	case 21, 22, 23, 25, 26: // narrower than a byte
		return tensorInt32s, 0
	default:
		return tensorInt32s, 1
	}
}

// floatType maps an ONNX element type to the engine's; invalid for all that cannot be scaled.
func floatType(dataType int32) fuse.DType {
	switch dataType {
	case typeFloat:
		return fuse.Float32
	case typeDouble:
		return fuse.Float64
	case typeFloat16:
		return fuse.Float16
	case typeBFloat16:
		return fuse.BFloat16
	}
	return 0
}

// tensor is a TensorProto's header: what it is and where its data lie.
type tensor struct {
	nameAt   span
	dataType int32
	flat     bool // data are raw_data, or a single packed float_data or double_data
	dims     []int
	elems    int
	f        *file
	at       []span // the TensorProto; several where the message is split over fields

	data     span      // little-endian elements in one piece, where flat
	external *external // where the data lie in another file
	odd      string    // why the data cannot be used at all
}

// external is TensorProto.external_data.
type external struct {
	location       string
	offset, length int64 // length < 0: not given
}

// parseTensor reads a TensorProto's header and checks that its data agree with its dims.
func parseTensor(f *file, at ...span) (tensor, error) {
	var t tensor
	err := t.read(f, at...)
	return t, err
}

// name reads the tensor's name again; few ask for it.
func (t *tensor) name() string {
	if t.f == nil {
		return ""
	}
	name, _ := t.f.text(t.nameAt)
	return name
}

// read is parseTensor into room that is used again.
func (t *tensor) read(f *file, at ...span) error {
	*t = tensor{f: f, at: append(t.at[:0], at...), dims: t.dims[:0]}
	if err := t.parse(f); err != nil {
		return fmt.Errorf("tensor %q: %w", t.name(), err)
	}
	return nil
}

// stored is how a TensorProto holds its values: as raw_data, in a typed field, or in another file.
type stored struct {
	hasRaw   bool
	counts   [tensorUint64s + 1]int64 // values in each typed field
	chunks   [tensorUint64s + 1]int   // wire fields of each: 1 where its values lie in one piece
	last     [tensorUint64s + 1]span  // the last of these
	location uint64
	entries  []span // of external_data
}

const outside = 1 // a data_location

func (t *tensor) parse(f *file) error {
	var in stored
	for _, s := range t.at {
		c := f.cursor(s)
		for c.next() {
			if err := t.parseField(c, &in); err != nil {
				return err
			}
		}
		if c.err != nil {
			return c.err
		}
	}
	elems, ok := fuse.NumElems(t.dims)
	if !ok {
		return fmt.Errorf("dims %v are negative or overflow", t.dims)
	}
	t.elems = elems
	switch known := t.dataType > 0 && int(t.dataType) < len(elemBits); {
	case in.location == outside:
		return t.parseExternal(f, in.entries)
	case t.odd != "":
		return nil
	case !known:
		t.odd = fmt.Sprintf("element type %d is unknown", t.dataType)
		return nil
	}
	field, perElem := typedField(t.dataType)
	if in.hasRaw && (t.data.len() > 0 || in.counts[field] == 0) {
		return t.checkRaw(in.counts[field])
	}
	want := perElem * int64(t.elems)
	if perElem > 0 && in.counts[field] != want {
		return fmt.Errorf("dims %v need %d values, found %d", t.dims, want, in.counts[field])
	}
	t.data = in.last[field]
	t.flat = in.chunks[field] == 1 && (t.dataType == typeFloat || t.dataType == typeDouble)
	return nil
}

// parseField takes one field of the TensorProto. What is wrong with its wire type, the cursor keeps.
func (t *tensor) parseField(c *cursor, in *stored) error {
	switch c.num {
	case tensorDims:
		c.varints(func(v uint64) { t.dims = append(t.dims, int(int64(v))) })
		if len(t.dims) > maxRank {
			return fmt.Errorf("more than %d dims", maxRank)
		}
	case tensorType:
		if t.dataType = int32(c.value); c.typ != protowire.VarintType {
			c.fail(fmt.Errorf("offset %d: data_type has wire type %d", c.tag, c.typ))
		}
	case tensorName:
		if c.message() {
			t.nameAt = c.body
		}
	case tensorSegment:
		if c.message() {
			t.odd = "it is a segment of a tensor"
		}
	case tensorRaw:
		if c.message() {
			in.hasRaw, t.data = true, c.body
		}
	case tensorFloats:
		return in.packed(c, 4)
	case tensorDoubles:
		return in.packed(c, 8)
	case tensorInt32s, tensorInt64s, tensorUint64s:
		c.varints(func(uint64) { in.counts[c.num]++ })
		in.chunks[c.num] += 2
	case tensorStrings:
		in.counts[c.num]++
	case tensorExternal:
		if c.message() {
			in.entries = append(in.entries, c.body)
		}
	case tensorLocation:
		in.location = c.value
	}
	return nil
}

// packed counts the values of a typed field, each width bytes wide.
func (in *stored) packed(c *cursor, width int64) error {
	if c.body.len()%width != 0 {
		return fmt.Errorf("offset %d: %d bytes of packed values of %d bytes each", c.tag, c.body.len(), width)
	}
	in.counts[c.num] += c.body.len() / width
	in.chunks[c.num]++
	if in.last[c.num] = c.body; c.typ != protowire.BytesType {
		in.chunks[c.num] = 2 // a single unpacked value is not a packed chunk
	}
	return nil
}

const maxRank = 64

func (t *tensor) checkRaw(typed int64) error {
	if typed > 0 {
		return fmt.Errorf("both raw_data (%d bytes) and %d typed values", t.data.len(), typed)
	}
	if t.dataType == typeString {
		return errors.New("raw_data in a tensor of strings")
	}
	want := (int64(t.elems)*elemBits[t.dataType] + 7) / 8
	if t.data.len() != want {
		return fmt.Errorf("dims %v need %d bytes, found %d", t.dims, want, t.data.len())
	}
	t.flat = true
	return nil
}

func (t *tensor) parseExternal(f *file, entries []span) error {
	e := &external{length: -1}
	for _, s := range entries {
		key, value, err := entry(f, s)
		if err != nil {
			return err
		}
		switch key {
		case "location":
			e.location = value
		case "offset":
			if e.offset, err = strconv.ParseInt(value, 10, 64); err != nil || e.offset < 0 {
				return fmt.Errorf("external offset %q is not a byte count", value)
			}
		case "length":
			if e.length, err = strconv.ParseInt(value, 10, 64); err != nil || e.length < 0 {
				return fmt.Errorf("external length %q is not a byte count", value)
			}
		}
	}
	if e.location == "" {
		return errors.New("external data without a location")
	}
	if t.dataType <= 0 || int(t.dataType) >= len(elemBits) || elemBits[t.dataType] == 0 {
		t.odd = fmt.Sprintf("element type %d cannot be stored outside", t.dataType)
		e.length = max(e.length, 0)
	} else if want := (int64(t.elems)*elemBits[t.dataType] + 7) / 8; e.length <= 0 { // 0 means to the end, as onnx reads it
		e.length = want
	} else if e.length != want {
		return fmt.Errorf("dims %v need %d bytes, external length is %d", t.dims, want, e.length)
	}
	if e.offset > math.MaxInt64-e.length {
		return fmt.Errorf("external offset %d and length %d overflow", e.offset, e.length)
	}
	t.external = e
	return nil
}

// entry reads a StringStringEntryProto.
func entry(f *file, s span) (key, value string, err error) {
	c := f.cursor(s)
	for c.next() {
		switch c.num {
		case entryKeyField:
			key = c.text()
		case entryValueField:
			value = c.text()
		}
	}
	return key, value, c.err
}

// decode streams the values of a tensor that is neither flat nor external into dst, as little-endian
// elements of its own type. It serves float_data, double_data and the half types of int32_data.
func (t *tensor) decode(dst io.Writer) error {
	f := t.f
	field, _ := typedField(t.dataType)
	size := floatType(t.dataType).Size()
	buf := make([]byte, 0, 32<<10)
	var err error
	put := func(bits uint64) {
		if err != nil {
			return
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], bits)
		if buf = append(buf, b[:size]...); len(buf)+8 > cap(buf) {
			_, err = dst.Write(buf)
			buf = buf[:0]
		}
	}
	for _, s := range t.at {
		c := f.cursor(s)
		for c.next() {
			switch {
			case c.num != field:
			case field == tensorInt32s:
				c.varints(put)
			case c.typ != protowire.BytesType:
				put(c.value)
			default:
				for at := c.body.off; at < c.body.end; at += int64(size) {
					b, verr := f.view(at, size)
					if verr != nil {
						return verr
					}
					var v [8]byte
					copy(v[:], b)
					put(binary.LittleEndian.Uint64(v[:]))
				}
			}
		}
		if c.err != nil {
			return c.err
		}
	}
	if err == nil {
		_, err = dst.Write(buf)
	}
	return err
}
