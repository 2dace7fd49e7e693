package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// raw is a safetensors file of a header as it stands and n bytes of data.
func raw(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

// TestMalformedHeaders: one file an error.
func TestMalformedHeaders(t *testing.T) {
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "too short"},
		{"no header", []byte{1, 2, 3}, "too short"},
		{"what torch.save writes", []byte("PK\x03\x04\x00\x00\x08\x08\x00\x00"), "torch.save"},
		{"length beyond the bound", binary.LittleEndian.AppendUint64(nil, 100_000_001), "the format allows"},
		{"length negative", binary.LittleEndian.AppendUint64(nil, 1<<63), "the format allows"},
		{"length beyond the file", append(binary.LittleEndian.AppendUint64(nil, 9), '{', '}'), "cut"},
		{"empty header", raw("", 0), "not a JSON object"},
		{"not an object", raw(`[1]`, 0), "not a JSON object"},
		{"space first", raw(` {}`, 0), "not a JSON object"},
		{"not JSON", raw(`{"a"`, 0), "not valid JSON"},
		{"not UTF-8", raw("{\"\xff\":1}", 0), "not UTF-8"},
		{"key twice", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "comes twice"},
		{"field twice", raw(`{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), "comes twice"},
		{"key twice by an escape", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "comes twice"},
		{"half a surrogate pair", raw(`{"\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), "surrogate"},
		{"metadata not text", raw(`{"__metadata__":{"a":1}}`, 0), "must be text"},
		{"metadata no object", raw(`{"__metadata__":"a"}`, 0), "not a JSON object"},
		{"metadata key twice", raw(`{"__metadata__":{"a":"1","a":"2"}}`, 0), "comes twice"},
		{"tensor no object", raw(`{"a":1}`, 0), "not a JSON object"},
		{"unknown field", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}`, 1), "not a field"},
		{"missing field", raw(`{"a":{"dtype":"U8","shape":[1]}}`, 1), "are wanted"},
		{"dtype no text", raw(`{"a":{"dtype":1,"shape":[1],"data_offsets":[0,1]}}`, 1), "name of a type"},
		{"shape no list", raw(`{"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}}`, 1), "not a list"},
		{"shape negative", raw(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1), "no size"},
		{"shape fraction", raw(`{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}`, 1), "no size"},
		{"shape nested", raw(`{"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}}`, 1), "no size"},
		{"shape overflows", raw(`{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "too many elements"},
		{"bits overflow", raw(`{"a":{"dtype":"F64","shape":[1152921504606846975],"data_offsets":[0,0]}}`, 0), "does not take"},
		{"offsets too many", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`, 1), "no range"},
		{"offsets backwards", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 1), "no range"},
		{"offsets too large", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,18446744073709551616]}}`, 1), "no size"},
		{"shape and offsets disagree", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4), "does not take 4 bytes"},
		{"half a byte", raw(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}`, 2), "does not take"},
		{"hole before", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "belong to none"},
		{"hole between", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 3), "belong to none"},
		{"overlap", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), "overlap"},
		{"data missing", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 1), "cut"},
		{"data too long", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2), "belong to none"},
	} {
		_, err := ReadHeader(bytes.NewReader(c.file), int64(len(c.file)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one about %q", c.name, err, c.want)
		}
	}
}

// TestRoundTrip: what is written is what is read, names and metadata with every kind of character.
func TestRoundTrip(t *testing.T) {
	in := []Entry{
		{"a \"b\"\\\n", "F32", []int{1, 2}, 0, 8},
		{"é\u2028<>&", "I8", []int{}, 8, 1},
		{"empty", "F16", []int{0}, 9, 0},
	}
	for _, metadata := range [][]Metadatum{nil, {}, {{"k", "v"}, {"", ""}}} {
		file := append(EncodeHeader(in, metadata), make([]byte, 9)...)
		got, err := ReadHeader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Metadata, metadata) || (got.Metadata == nil) != (metadata == nil) {
			t.Errorf("metadata %v, want %v", got.Metadata, metadata)
		}
		base := int64(len(file) - 9)
		if base%8 != 0 {
			t.Errorf("the tensors begin at %d", base)
		}
		for i, want := range in {
			want.Off += base
			if !reflect.DeepEqual(got.Tensors[i], want) {
				t.Errorf("%+v, want %+v", got.Tensors[i], want)
			}
		}
	}
}

// FuzzHeader wants a header or an error from any file, and the same header from what it is written as.
func FuzzHeader(f *testing.F) {
	f.Add(EncodeHeader([]Entry{{"a", "F32", []int{0}, 0, 0}}, []Metadatum{{"k", "v"}}))
	f.Add(raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ReadHeader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		sameAsPackageJSON(t, b, h)
		again, err := parseHeader(EncodeHeader(h.Tensors, h.Metadata)[8:])
		if err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}

// sameAsPackageJSON wants the header that package encoding/json finds in a file.
func sameAsPackageJSON(t *testing.T, file []byte, h *Header) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(file[8:8+binary.LittleEndian.Uint64(file)], &members); err != nil {
		t.Fatal(err)
	}
	metadata := map[string]string{}
	if text, ok := members["__metadata__"]; ok {
		if err := json.Unmarshal(text, &metadata); err != nil {
			t.Fatal(err)
		}
		delete(members, "__metadata__")
	}
	if len(metadata) != len(h.Metadata) || len(members) != len(h.Tensors) {
		t.Fatalf("%d metadata and %d tensors, want %d and %d", len(h.Metadata), len(h.Tensors), len(metadata), len(members))
	}
	for _, m := range h.Metadata {
		if metadata[m.Key] != m.Value {
			t.Errorf("%q is %q, want %q", m.Key, m.Value, metadata[m.Key])
		}
	}
	base := int64(8 + binary.LittleEndian.Uint64(file))
	for _, e := range h.Tensors {
		var want struct {
			DType   string   `json:"dtype"`
			Shape   []int    `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}
		if err := json.Unmarshal(members[e.Name], &want); err != nil {
			t.Fatal(err)
		}
		if e.DType != want.DType || !slices.Equal(e.Shape, want.Shape) || e.Off-base != want.Offsets[0] || e.Off-base+e.NBytes != want.Offsets[1] {
			t.Errorf("%+v, want %+v", e, want)
		}
	}
}
