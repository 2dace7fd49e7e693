package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bnfuse/bnfuse/fuse"
)

// ErrNotObject is returned where the JSON has something else than an object.
var ErrNotObject = errors.New("not a JSON object")

// headerReader walks the JSON of a header token by token: a map would lose the order and hide duplicates.
type headerReader struct {
	json   *json.Decoder
	header *Header
	strict bool // the text has no U+FFFD, so one in a key stands for what the decoder could not read
}

func parseHeader(text []byte) (*Header, error) {
	switch {
	case len(text) == 0 || text[0] != '{':
		return nil, ErrNotObject
	case !utf8.Valid(text):
		return nil, errors.New("not UTF-8")
	case !json.Valid(text):
		return nil, errors.New("not valid JSON")
	}
	h := &headerReader{json: json.NewDecoder(bytes.NewReader(text)), header: &Header{}}
	h.strict = !bytes.ContainsRune(text, utf8.RuneError) && !bytes.Contains(bytes.ToLower(text), []byte(`\ufffd`))
	h.json.UseNumber()
	err := h.object(func(key string) error {
		if key == "__metadata__" {
			h.header.Metadata = []Metadatum{}
			return h.readMetadata()
		}
		return h.readTensor(key)
	})
	return h.header, err
}

// object calls member with each key of the object that comes next, its value still unread.
func (h *headerReader) object(member func(key string) error) error {
	if t, err := h.json.Token(); err != nil || t != json.Delim('{') {
		return ErrNotObject
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
		h.header.Metadata = append(h.header.Metadata, Metadatum{key, value})
		return nil
	})
}

func (h *headerReader) readTensor(name string) error {
	t := Entry{Name: name, Shape: []int{}}
	var offsets []int
	var fields int
	err := h.object(func(key string) (err error) {
		fields++
		switch key {
		case "dtype":
			t.DType, err = h.dtype()
		case "shape":
			t.Shape, err = h.integers()
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
	t.Off, t.NBytes = int64(offsets[0]), int64(offsets[1]-offsets[0])
	if err := t.check(); err != nil {
		return err
	}
	h.header.Tensors = append(h.header.Tensors, t)
	return nil
}

// check wants the bytes that the shape takes. Those of a type nobody knows are believed.
func (t *Entry) check() error {
	elems, ok := fuse.NumElems(t.Shape)
	if !ok {
		return fmt.Errorf("shape %v has too many elements", t.Shape)
	}
	if per, known := ElemBits[t.DType]; known {
		if hi, lo := bits.Mul64(uint64(elems), uint64(per)); hi != 0 || lo != uint64(t.NBytes)*8 {
			return fmt.Errorf("%s %v does not take %d bytes", t.DType, t.Shape, t.NBytes)
		}
	}
	return nil
}

func (h *headerReader) dtype() (string, error) {
	token, err := h.json.Token()
	if err != nil {
		return "", err
	}
	name, ok := token.(string)
	if !ok || name == "" {
		return "", errors.New("not the name of a type")
	}
	return name, nil
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

func appendEntry(b []byte, e Entry) []byte {
	b = append(AppendText(b, e.Name), `:{"dtype":`...)
	b = append(AppendText(b, e.DType), `,"shape":[`...)
	for i, d := range e.Shape {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(d), 10)
	}
	b = append(b, `],"data_offsets":[`...)
	b = append(strconv.AppendInt(b, e.Off, 10), ',')
	return append(strconv.AppendInt(b, e.Off+e.NBytes, 10), "]}"...)
}

// AppendText appends s as a JSON string.
func AppendText(b []byte, s string) []byte {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string can always be encoded
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}
