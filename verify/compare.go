package verify

import (
	"bytes"
	"io"
	"os"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// sameFields compares two messages of few fields field by field, skipping some.
func sameFields(mb *model, b []span, ma *model, a []span, skip func(protowire.Number) bool) (bool, error) {
	fb, err := mb.list(b, skip)
	if err != nil {
		return false, err
	}
	fa, err := ma.list(a, skip)
	if err != nil || len(fa) != len(fb) {
		return false, err
	}
	for i := range fb {
		if fb[i].num != fa[i].num || fb[i].whole.len() != fa[i].whole.len() {
			return false, nil
		}
		if same, err := sameRange(mb, fb[i].whole, ma, fa[i].whole); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// list is every field of a message in pieces, but those to skip.
func (f *source) list(message []span, skip func(protowire.Number) bool) (all []field, err error) {
	for _, s := range message {
		err = f.fields(s, func(fd field) error {
			if !skip(fd.num) {
				all = append(all, fd)
			}
			return nil
		})
		if err != nil {
			break
		}
	}
	return all, err
}

// buffers are sameStream's: a large graph has many small tensors.
var buffers = sync.Pool{New: func() any { return new([2][windowBytes]byte) }}

// sameStream reports whether two streams have the same bytes.
func sameStream(b, a io.Reader) (bool, error) {
	both := buffers.Get().(*[2][windowBytes]byte)
	defer buffers.Put(both)
	x, y := both[0][:], both[1][:]
	for {
		n, err := io.ReadFull(b, x)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, err
		}
		k, err2 := io.ReadFull(a, y)
		if err2 != nil && err2 != io.EOF && err2 != io.ErrUnexpectedEOF {
			return false, err2
		}
		if !bytes.Equal(x[:n], y[:k]) {
			return false, nil
		}
		if err != nil || err2 != nil {
			return true, nil
		}
	}
}

// sameRange compares ranges of equal length of two files.
func sameRange(mb *model, b span, ma *model, a span) (bool, error) {
	if b.len() > peekBytes {
		return sameStream(mb.section(b), ma.section(a))
	}
	x, err := mb.peek(b.off, int(b.len()))
	if err != nil {
		return false, err
	}
	y, err := ma.peek(a.off, int(a.len()))
	return bytes.Equal(x, y), err
}

// equalFiles reports whether two files have the same bytes.
func equalFiles(b, a string) (bool, error) {
	var files [2]*os.File
	var sizes [2]int64
	for i, path := range []string{b, a} {
		f, err := os.Open(path)
		if err != nil {
			return false, err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return false, err
		}
		files[i], sizes[i] = f, info.Size()
	}
	if sizes[0] != sizes[1] {
		return false, nil
	}
	return sameStream(files[0], files[1])
}
