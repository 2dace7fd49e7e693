package verify

import (
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// source is a file that is read by ranges: messages are walked field by field through a small window,
// and a field of many bytes is stepped over unless somebody asks for it.
type source struct {
	io.ReaderAt
	nBytes int64
	window []byte
	at     int64 // of the window
}

// span is a range of bytes.
type span struct{ off, end int64 }

func (s span) len() int64 { return s.end - s.off }

// The window starts at a multiple of half its size, so that it serves who goes backwards, too.
const (
	windowBytes = 64 << 10
	peekBytes   = windowBytes / 2 // the most that peek gives
)

// peek returns up to n bytes from off on, fewer where the file ends. They are good until the next call.
func (f *source) peek(off int64, n int) ([]byte, error) {
	want := min(int64(n), f.nBytes-off)
	if off < f.at || off+want > f.at+int64(len(f.window)) {
		if cap(f.window) == 0 {
			f.window = make([]byte, windowBytes)
		}
		f.at = off / peekBytes * peekBytes
		f.window = f.window[:min(windowBytes, f.nBytes-f.at)]
		if _, err := f.ReadAt(f.window, f.at); err != nil {
			f.window = f.window[:0]
			return nil, err
		}
	}
	return f.window[off-f.at:][:want], nil
}

// bytes reads a range that must be small.
func (f *source) bytes(s span) ([]byte, error) {
	const most = 16 << 20
	if s.len() > most {
		return nil, fmt.Errorf("a field of %d bytes where a small one was expected", s.len())
	}
	b := make([]byte, s.len())
	if s.len() <= peekBytes {
		w, err := f.peek(s.off, len(b))
		copy(b, w)
		return b, err
	}
	_, err := f.ReadAt(b, s.off)
	return b, err
}

func (f *source) section(s span) *io.SectionReader { return io.NewSectionReader(f, s.off, s.len()) }

// field is one field of a message.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	value uint64 // of a varint or a fixed field
	body  span   // of a field of bytes
	whole span   // with its tag
}

// longest tag and scalar: two varints
const headBytes = 20

// fields visits the fields of a message.
func (f *source) fields(message span, visit func(field) error) error {
	for at := message.off; at < message.end; {
		fd, err := f.fieldAt(at, message.end)
		if err != nil {
			return fmt.Errorf("at byte %d: %w", at, err)
		}
		if err := visit(fd); err != nil {
			return err
		}
		at = fd.whole.end
	}
	return nil
}

func (f *source) fieldAt(at, end int64) (field, error) {
	b, err := f.peek(at, int(min(headBytes, end-at)))
	if err != nil {
		return field{}, err
	}
	num, typ, nTag := protowire.ConsumeTag(b)
	if nTag < 0 {
		return field{}, protowire.ParseError(nTag)
	}
	fd := field{num: num, typ: typ, whole: span{off: at}}
	b = b[nTag:]
	n := 0
	switch typ {
	case protowire.VarintType:
		fd.value, n = protowire.ConsumeVarint(b)
	case protowire.Fixed64Type:
		fd.value, n = protowire.ConsumeFixed64(b)
	case protowire.Fixed32Type:
		var x uint32
		x, n = protowire.ConsumeFixed32(b)
		fd.value = uint64(x)
	case protowire.BytesType:
		var size uint64
		size, n = protowire.ConsumeVarint(b)
		if n >= 0 {
			fd.body.off = at + int64(nTag+n)
			if size > uint64(end-fd.body.off) {
				return fd, fmt.Errorf("field %d has %d bytes, and %d are left: the file is cut or damaged", num, size, end-fd.body.off)
			}
			fd.body.end = fd.body.off + int64(size)
		}
	default:
		return fd, fmt.Errorf("field %d has wire type %d", num, typ)
	}
	if n < 0 {
		return fd, protowire.ParseError(n)
	}
	fd.whole.end = at + int64(nTag+n) + fd.body.len()
	return fd, nil
}

// varints visits the numbers of a repeated varint field: one, or many where it is packed.
func (f *source) varints(fd field, visit func(uint64) error) error {
	if fd.typ == protowire.VarintType {
		return visit(fd.value)
	}
	for at := fd.body.off; at < fd.body.end; {
		b, err := f.peek(at, int(min(headBytes, fd.body.end-at)))
		if err != nil {
			return err
		}
		x, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := visit(x); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}
