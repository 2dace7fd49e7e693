// Package safetensors reads and writes the header of a safetensors file: which tensors it holds, and where.
//
//	uint64 n, little-endian | n bytes of JSON, padded with spaces | the tensors' bytes, without holes
//	{"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}
//
// In: a file, which is distrusted: no length is believed before it is compared with the file's, and whatever
// the reference implementation refuses is refused. Out: the header's entries in its own order. The bytes of
// the tensors are the caller's to read and write.
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// MaxHeaderBytes is the reference implementation's bound of a header.
const MaxHeaderBytes = 100_000_000

// Header is what a file says of its tensors.
type Header struct {
	Tensors  []Entry
	Metadata []Metadatum // nil where there is no __metadata__
}

// Entry is a tensor: its name and type, and where its bytes lie.
type Entry struct {
	Name   string
	DType  string
	Shape  []int
	Off    int64 // from the beginning of the file, except for EncodeHeader
	NBytes int64
}

// Metadatum is an entry of __metadata__.
type Metadatum struct{ Key, Value string }

// IsHeader reports whether a file that begins with head may be safetensors, by the length of the header and
// the header's first byte.
func IsHeader(head []byte) bool {
	return len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= MaxHeaderBytes
}

// ReadHeader reads the header of a file of size bytes. The tensors cover the rest of the file exactly.
func ReadHeader(r io.ReaderAt, size int64) (*Header, error) {
	var length [8]byte
	if size < int64(len(length)) {
		return nil, fmt.Errorf("%d bytes are too short for a safetensors header", size)
	}
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if bytes.HasPrefix(length[:], []byte("PK\x03\x04")) {
		return nil, errors.New("a zip archive, as torch.save writes, and not safetensors")
	}
	if n > MaxHeaderBytes {
		return nil, fmt.Errorf("the header claims %d bytes, the format allows %d", n, MaxHeaderBytes)
	}
	if int64(n) > size-8 {
		return nil, fmt.Errorf("the header claims %d bytes, %d follow: the file is cut", n, size-8)
	}
	text := make([]byte, n)
	if _, err := r.ReadAt(text, 8); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	h, err := parseHeader(text)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	base := 8 + int64(n)
	if err := checkCover(h.Tensors, size-base); err != nil {
		return nil, err
	}
	for i := range h.Tensors {
		h.Tensors[i].Off += base
	}
	return h, nil
}

// InFileOrder lists entries as their bytes lie.
func InFileOrder(entries []Entry) []Entry {
	list := slices.Clone(entries)
	slices.SortStableFunc(list, func(a, b Entry) int {
		// An empty tensor comes before the one that begins there.
		return cmp.Or(cmp.Compare(a.Off, b.Off), cmp.Compare(min(a.NBytes, 1), min(b.NBytes, 1)))
	})
	return list
}

// checkCover wants the tensors side by side, from the first byte to the last.
func checkCover(entries []Entry, n int64) error {
	at := int64(0)
	for _, t := range InFileOrder(entries) {
		switch {
		case t.Off > at:
			return fmt.Errorf("tensor %q begins at %d, the one before it ends at %d: bytes between belong to none", t.Name, t.Off, at)
		case t.Off < at:
			return fmt.Errorf("tensor %q begins at %d, the one before it ends at %d: they overlap", t.Name, t.Off, at)
		}
		at += t.NBytes
	}
	switch {
	case at > n:
		return fmt.Errorf("the tensors have %d bytes, the file has %d: it is cut", at, n)
	case at < n:
		return fmt.Errorf("the tensors have %d bytes, the file has %d: %d belong to none", at, n, n-at)
	}
	return nil
}

// EncodeHeader writes the length and the JSON of a header, padded to a multiple of 8 bytes. The entries'
// offsets count from its end. nil metadata are left out.
func EncodeHeader(entries []Entry, metadata []Metadatum) []byte {
	b := make([]byte, 8, 8+128*len(entries))
	b = append(b, '{')
	if metadata != nil {
		b = append(b, `"__metadata__":{`...)
		for i, m := range metadata {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendText(append(AppendText(b, m.Key), ':'), m.Value)
		}
		b = append(b, '}')
	}
	for i, e := range entries {
		if i > 0 || metadata != nil {
			b = append(b, ',')
		}
		b = appendEntry(b, e)
	}
	b = append(b, '}')
	b = append(b, bytes.Repeat([]byte{' '}, -len(b)&7)...)
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b
}
