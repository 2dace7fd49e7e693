package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// span is a range of bytes of the model file.
type span struct{ off, end int64 }

func (s span) len() int64 { return s.end - s.off }

// file reads a model through one window, so that walking past gigabytes of weights touches only the
// pages that hold field headers. It is not safe for concurrent use.
type file struct {
	r       io.ReaderAt
	size    int64
	window  []byte // the bytes from offset at on
	at      int64
	nWindow int    // how many bytes the window may have
	nAhead  int    // how many the last read asked for
	buf     []byte // of the window, once something was read
}

// Window sizes: one for walking the whole file in order, one for looking single fields up again. Behind a
// jump, mostly past a weight, the window is small; it grows as the reading goes on.
const (
	walkWindow   = 64 << 10
	lookupWindow = 16 << 10
	jumpWindow   = 2 << 10
)

func newFile(r io.ReaderAt, size int64, window int) *file {
	if b, ok := r.(inMemory); ok {
		return &file{r: r, size: size, window: b, nWindow: len(b)}
	}
	return &file{r: r, size: size, nWindow: int(min(int64(window), size))}
}

// inMemory is a model that was read at once: a window on all of it.
type inMemory []byte

func (b inMemory) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// view returns up to n bytes at off, fewer only at the end of the file. They are valid until the next
// call. n must not pass the window's capacity.
func (f *file) view(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), f.size-off))
	if off >= f.at && off+int64(n) <= f.at+int64(len(f.window)) {
		return f.window[off-f.at:][:n], nil
	}
	if f.buf == nil {
		f.buf = make([]byte, f.nWindow)
	}
	f.nAhead = f.ahead(off)
	want := f.buf[:min(int64(max(f.nAhead, n)), f.size-off)]
	got, err := f.r.ReadAt(want, off)
	if got < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("offset %d: %w", off, err)
	}
	f.at, f.window = off, want[:got]
	return f.window[:n], nil
}

// prefetch reads a span at once where the window takes it all. An error shows when it is looked at.
func (f *file) prefetch(s span) {
	if s.len() <= int64(f.nWindow) {
		f.view(s.off, int(s.len()))
	}
}

// ahead is how many bytes to read from off on, in view of what was read last.
func (f *file) ahead(off int64) int {
	n := jumpWindow
	if end := f.at + int64(len(f.window)); off >= f.at && off <= end+int64(f.nAhead) {
		n = max(n, 2*f.nAhead)
	}
	return min(n, f.nWindow)
}

// maxBytes bounds what is ever held of one field: names, small tensors, a node without its tensors.
const maxBytes = 16 << 20

// bytes returns a copy of a span.
func (f *file) bytes(s span) ([]byte, error) {
	if s.len() > maxBytes {
		return nil, fmt.Errorf("offset %d: a field of %d bytes where at most %d can be held", s.off, s.len(), maxBytes)
	}
	out := make([]byte, s.len())
	if s.len() <= int64(f.nWindow) {
		b, err := f.view(s.off, len(out))
		copy(out, b)
		return out, err
	}
	if _, err := f.r.ReadAt(out, s.off); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("offset %d: %w", s.off, err)
	}
	return out, nil
}

// raw returns a span's bytes, valid until the next call of any method.
func (f *file) raw(s span) ([]byte, error) {
	if s.len() == 0 {
		return nil, nil
	}
	if s.len() <= int64(f.nWindow) {
		return f.view(s.off, int(s.len()))
	}
	return f.bytes(s)
}

// text returns a span as a string.
func (f *file) text(s span) (string, error) {
	b, err := f.raw(s)
	return string(b), err
}

// cursor walks the fields of one protobuf message without reading their payloads:
//
//	c := f.cursor(message)
//	for c.next() {
//		switch c.num { … }
//	}
//	return c.err
//
// Every length is checked against the enclosing message, which lies inside the file.
type cursor struct {
	f       *file
	at, end int64
	err     error

	num   protowire.Number
	typ   protowire.Type
	tag   int64  // where the field begins
	body  span   // the payload: of a length-delimited field, its content
	value uint64 // of a varint or fixed field
}

func (f *file) cursor(message span) *cursor { return &cursor{f: f, at: message.off, end: message.end} }

// field is the whole of the current field, header included.
func (c *cursor) field() span { return span{c.tag, c.body.end} }

// maxHeader is the longest header: a tag of up to five bytes and a varint of up to ten.
const maxHeader = 16

func (c *cursor) next() bool {
	if c.err != nil || c.at >= c.end {
		return false
	}
	b, err := c.f.view(c.at, int(min(maxHeader, c.end-c.at)))
	if err != nil {
		return c.fail(err)
	}
	tag, n := protowire.ConsumeVarint(b)
	if n < 0 || tag>>3 == 0 || tag>>3 > uint64(protowire.MaxValidNumber) {
		return c.fail(fmt.Errorf("offset %d: no protobuf field begins here", c.at))
	}
	c.num, c.typ, c.tag = protowire.Number(tag>>3), protowire.Type(tag&7), c.at
	body, size := c.at+int64(n), int64(0)
	switch b = b[n:]; c.typ {
	case protowire.VarintType:
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return c.fail(c.cut())
		}
		c.value, size = v, int64(n)
	case protowire.Fixed32Type:
		if size = 4; len(b) < 4 {
			return c.fail(c.cut())
		}
		c.value = uint64(binary.LittleEndian.Uint32(b))
	case protowire.Fixed64Type:
		if size = 8; len(b) < 8 {
			return c.fail(c.cut())
		}
		c.value = binary.LittleEndian.Uint64(b)
	case protowire.BytesType:
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return c.fail(c.cut())
		}
		body += int64(n)
		if v > uint64(c.end-body) {
			return c.fail(fmt.Errorf("offset %d: field %d is %d bytes long, but %d remain: the file is cut or damaged", c.tag, c.num, v, c.end-body))
		}
		size = int64(v)
	default:
		return c.fail(fmt.Errorf("offset %d: field %d has wire type %d, which ONNX does not use", c.tag, c.num, c.typ))
	}
	c.body = span{body, body + size}
	c.at = c.body.end
	return true
}

func (c *cursor) cut() error {
	return fmt.Errorf("offset %d: field %d is cut off", c.tag, c.num)
}

func (c *cursor) fail(err error) bool {
	c.err = err
	return false
}

// count tells how many of the fields that follow have a number. It reads on its own.
func (c *cursor) count(num protowire.Number) (n int) {
	for rest := *c; rest.next(); {
		if rest.num == num {
			n++
		}
	}
	return n
}

// message reports whether the current field is a length-delimited one, and records an error if not.
func (c *cursor) message() bool {
	if c.typ != protowire.BytesType {
		c.fail(fmt.Errorf("offset %d: field %d has wire type %d, not a length", c.tag, c.num, c.typ))
		return false
	}
	return true
}

// raw is the current field's content, valid until the file is read again.
func (c *cursor) raw() []byte {
	if !c.message() {
		return nil
	}
	b, err := c.f.raw(c.body)
	if err != nil {
		c.fail(err)
	}
	return b
}

// text is the current field's content as a string.
func (c *cursor) text() string { return string(c.raw()) }

// varints calls visit for each integer of a repeated field, packed or not.
func (c *cursor) varints(visit func(uint64)) {
	if c.typ == protowire.VarintType {
		visit(c.value)
		return
	}
	if !c.message() {
		return
	}
	for at := c.body.off; at < c.body.end; {
		b, err := c.f.view(at, int(min(binary.MaxVarintLen64, c.body.end-at)))
		if err != nil {
			c.fail(err)
			return
		}
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			c.fail(c.cut())
			return
		}
		visit(v)
		at += int64(n)
	}
}
