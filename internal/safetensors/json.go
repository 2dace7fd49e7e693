package safetensors

import (
	"bytes"
	"cmp"
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
	text   validJSON
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
	h := &headerReader{text: text, header: &Header{}}
	h.strict = !bytes.ContainsRune(text, utf8.RuneError) && !bytes.Contains(bytes.ToLower(text), []byte(`\ufffd`))
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
	if !h.text.take('{') {
		return ErrNotObject
	}
	seen := map[string]bool{}
	for !h.text.take('}') {
		h.text.take(',')
		key, _ := h.text.string()
		h.text.take(':')
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
	return nil
}

func (h *headerReader) readMetadata() error {
	return h.object(func(key string) error {
		value, ok := h.text.string()
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
	name, ok := h.text.string()
	if !ok || name == "" {
		return "", errors.New("not the name of a type")
	}
	return name, nil
}

// integers reads a list of numbers that are not negative.
func (h *headerReader) integers() ([]int, error) {
	if !h.text.take('[') {
		return nil, errors.New("not a list")
	}
	list := []int{}
	for !h.text.take(']') {
		h.text.take(',')
		token := h.text.scalar()
		n, err := strconv.ParseUint(token, 10, 63)
		if err != nil || n > 1<<60 {
			return nil, fmt.Errorf("%s is no size", cmp.Or(token, "a list or an object"))
		}
		list = append(list, int(n))
	}
	return list, nil
}

// validJSON is what is left of a text that is known to be JSON, so that little can come where something else
// is wanted. Package json's tokens would each cost an allocation, of which a header has thousands.
type validJSON []byte

// peek skips space and tells the byte behind it, 0 at the end.
func (t *validJSON) peek() byte {
	*t = bytes.TrimLeft(*t, " \t\r\n")
	if len(*t) == 0 {
		return 0
	}
	return (*t)[0]
}

// take goes past a mark if it is what comes next.
func (t *validJSON) take(mark byte) bool {
	if t.peek() != mark {
		return false
	}
	*t = (*t)[1:]
	return true
}

// string reads a string; false where something else comes next.
func (t *validJSON) string() (s string, ok bool) {
	if t.peek() != '"' {
		return "", false
	}
	escaped, end := false, 1
	for ; (*t)[end] != '"'; end++ {
		if (*t)[end] == '\\' {
			escaped = true
			end++
		}
	}
	quoted := (*t)[:end+1]
	*t = (*t)[end+1:]
	if !escaped {
		return string(quoted[1:end]), true
	}
	return s, json.Unmarshal(quoted, &s) == nil
}

// scalar reads a number or a word as it stands, or the quotation marks and all of a string; "" where a list or an
// object comes next.
func (t *validJSON) scalar() string {
	if t.peek() == '"' {
		s, _ := t.string()
		return strconv.Quote(s)
	}
	n := bytes.IndexAny(*t, " \t\r\n,:[]{}\"")
	token := string((*t)[:n])
	*t = (*t)[n:]
	return token
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
	if !strings.ContainsFunc(s, escaped) {
		return append(append(append(b, '"'), s...), '"')
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string can always be encoded
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}

// escaped reports whether a character may have to be written otherwise than as it is.
func escaped(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }
