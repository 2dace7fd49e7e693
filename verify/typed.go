package verify

import (
	"encoding/binary"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// typedReader gives the numbers of float_data, double_data, int32_data, int64_data or uint64_data as raw_data would
// hold them. A number may be a field of its own or one of many in a packed field; both may be mixed.
type typedReader struct {
	f      *source
	at     []span // what is left of the TensorProto's pieces
	number protowire.Number
	fixed  bool // packed numbers lie as raw_data has them
	size   int
	packed span // what is left of a packed field
	ready  []byte
}

func newTypedReader(t *tensor) *typedReader {
	r := &typedReader{f: t.m.again(), at: append([]span(nil), t.at...), size: elemBytes(t.elem)}
	switch t.elem {
	case typeFloat:
		r.number, r.fixed = 4, true
	case typeDouble:
		r.number, r.fixed = 10, true
	case typeInt64:
		r.number = 7
	case typeUint32:
		r.number = 11
	default:
		r.number = 5 // halves, bools and small integers share it with int32
	}
	return r
}

// again is the same file with a window of its own.
func (f *source) again() *source { return &source{ReaderAt: f.ReaderAt, nBytes: f.nBytes} }

func (r *typedReader) Read(p []byte) (int, error) {
	for len(r.ready) == 0 {
		switch {
		case r.packed.len() > 0 && r.fixed:
			n, err := r.f.ReadAt(p[:min(int64(len(p)), r.packed.len())], r.packed.off)
			r.packed.off += int64(n)
			return n, err
		case r.packed.len() > 0:
			if err := r.nextVarint(); err != nil {
				return 0, err
			}
		case len(r.at) == 0:
			return 0, io.EOF
		case r.at[0].len() == 0:
			r.at = r.at[1:]
		default:
			if err := r.nextField(); err != nil {
				return 0, err
			}
		}
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

func (r *typedReader) nextVarint() error {
	b, err := r.f.peek(r.packed.off, int(min(headBytes, r.packed.len())))
	if err != nil {
		return err
	}
	x, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return protowire.ParseError(n)
	}
	r.packed.off += int64(n)
	r.give(x)
	return nil
}

func (r *typedReader) nextField() error {
	fd, err := r.f.fieldAt(r.at[0].off, r.at[0].end)
	if err != nil {
		return err
	}
	r.at[0].off = fd.whole.end
	switch {
	case fd.num != r.number:
	case fd.typ == protowire.BytesType:
		r.packed = fd.body
	default:
		r.give(fd.value)
	}
	return nil
}

func (r *typedReader) give(x uint64) {
	r.ready = binary.LittleEndian.AppendUint64(r.ready[:0], x)[:r.size]
}
