package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bnfuse/bnfuse/fuse"
)

// maxHeaderBytes is the reference implementation's bound of a header.
const maxHeaderBytes = 100_000_000

// readHeader reads the header of a safetensors file:
//
//	uint64 n, little-endian | n bytes of JSON, padded with spaces | the tensors' bytes, without holes
//	{"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}
//
// The offsets count from the end of the header. Together the tensors cover the rest of the file exactly.
func readHeader(r io.ReaderAt, size int64) ([]*tensor, []metadatum, error) {
	var length [8]byte
	if size < int64(len(length)) {
		return nil, nil, fmt.Errorf("%d bytes are too short for a safetensors header", size)
	}
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeaderBytes {
		return nil, nil, fmt.Errorf("the header claims %d bytes, the format allows %d", n, maxHeaderBytes)
	}
	if int64(n) > size-8 {
		return nil, nil, fmt.Errorf("the header claims %d bytes, %d follow: the file is cut", n, size-8)
	}
	text := make([]byte, n)
	if _, err := r.ReadAt(text, 8); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	h, err := parseHeader(text)
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	base := 8 + int64(n)
	if err := checkCover(h.tensors, size-base); err != nil {
		return nil, nil, err
	}
	for _, t := range h.tensors {
		t.src = r
		t.off += base
	}
	return h.tensors, h.metadata, nil
}

// checkCover wants the tensors side by side, from the first byte to the last.
func checkCover(tensors []*tensor, n int64) error {
	at := int64(0)
	for _, t := range inFileOrder(tensors) {
		switch {
		case t.off > at:
			return fmt.Errorf("tensor %q begins at %d, the one before it ends at %d: bytes between belong to none", t.name, t.off, at)
		case t.off < at:
			return fmt.Errorf("tensor %q begins at %d, the one before it ends at %d: they overlap", t.name, t.off, at)
		}
		at += t.nBytes
	}
	switch {
	case at > n:
		return fmt.Errorf("the tensors have %d bytes, the file has %d: it is cut", at, n)
	case at < n:
		return fmt.Errorf("the tensors have %d bytes, the file has %d: %d belong to none", at, n, n-at)
	}
	return nil
}

// headerReader walks the JSON of a header token by token: a map would lose the order and hide duplicates.
type headerReader struct {
	json     *json.Decoder
	tensors  []*tensor
	metadata []metadatum
	strict   bool // the text has no U+FFFD, so one in a key stands for what the decoder could not read
}

var errNotObject = errors.New("not a JSON object")

func parseHeader(text []byte) (*headerReader, error) {
	switch {
	case len(text) == 0 || text[0] != '{':
		return nil, errNotObject
	case !utf8.Valid(text):
		return nil, errors.New("not UTF-8")
	case !json.Valid(text):
		return nil, errors.New("not valid JSON")
	}
	h := &headerReader{json: json.NewDecoder(bytes.NewReader(text))}
	h.strict = !bytes.ContainsRune(text, utf8.RuneError) && !bytes.Contains(bytes.ToLower(text), []byte(`\ufffd`))
	h.json.UseNumber()
	hasMetadata := false
	err := h.object(func(key string) error {
		if key == "__metadata__" {
			hasMetadata = true
			return h.readMetadata()
		}
		return h.readTensor(key)
	})
	if hasMetadata && h.metadata == nil {
		h.metadata = []metadatum{}
	}
	return h, err
}

// object calls member with each key of the object that comes next, its value still unread.
func (h *headerReader) object(member func(key string) error) error {
	if t, err := h.json.Token(); err != nil || t != json.Delim('{') {
		return errNotObject
	}
	seen := map[string]bool{}
	for h.json.More() {
		t, err := h.json.Token()
		if err != nil {
			return err
		}
		key := t.(string)
		switch {
		case seen[key]:
			return fmt.Errorf("the key %q comes twice", key)
		case h.strict && strings.ContainsRune(key, utf8.RuneError):
			return fmt.Errorf("the key %q has half a surrogate pair", key)
		}
		seen[key] = true
		if err := member(key); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	_, err := h.json.Token()
	return err
}

func (h *headerReader) readMetadata() error {
	return h.object(func(key string) error {
		t, err := h.json.Token()
		if err != nil {
			return err
		}
		value, ok := t.(string)
		if !ok {
			return errors.New("metadata must be text")
		}
		h.metadata = append(h.metadata, metadatum{key, value})
		return nil
	})
}

func (h *headerReader) readTensor(name string) error {
	t := &tensor{name: name, shape: []int{}}
	var offsets []int
	var fields int
	err := h.object(func(key string) (err error) {
		fields++
		switch key {
		case "dtype":
			token, err := h.json.Token()
			if err != nil {
				return err
			}
			var ok bool
			if t.dtype, ok = token.(string); !ok || t.dtype == "" {
				return errors.New("not the name of a type")
			}
		case "shape":
			t.shape, err = h.integers()
		case "data_offsets":
			offsets, err = h.integers()
		default:
			return errors.New("not a field of a tensor")
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case fields != 3:
		return errors.New("dtype, shape and data_offsets are wanted")
	case len(offsets) != 2 || offsets[0] > offsets[1]:
		return fmt.Errorf("data_offsets %v are no range", offsets)
	}
	t.off, t.nBytes = int64(offsets[0]), int64(offsets[1]-offsets[0])
	elems, ok := fuse.NumElems(t.shape)
	if !ok {
		return fmt.Errorf("shape %v has too many elements", t.shape)
	}
	if per, known := elemBits[t.dtype]; known {
		if hi, lo := bits.Mul64(uint64(elems), uint64(per)); hi != 0 || lo != uint64(t.nBytes)*8 {
			return fmt.Errorf("%s %v does not take %d bytes", t.dtype, t.shape, t.nBytes)
		}
	}
	h.tensors = append(h.tensors, t)
	return nil
}

// integers reads a list of numbers that are not negative.
func (h *headerReader) integers() ([]int, error) {
	if t, err := h.json.Token(); err != nil || t != json.Delim('[') {
		return nil, errors.New("not a list")
	}
	list := []int{}
	for h.json.More() {
		t, err := h.json.Token()
		if err != nil {
			return nil, err
		}
		number, _ := t.(json.Number)
		n, err := strconv.ParseUint(number.String(), 10, 63)
		if err != nil || n > 1<<60 {
			return nil, fmt.Errorf("%v is no size", t)
		}
		list = append(list, int(n))
	}
	_, err := h.json.Token()
	return list, err
}
