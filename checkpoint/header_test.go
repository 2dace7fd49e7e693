package checkpoint

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
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
		_, _, err := readHeader(bytes.NewReader(c.file), int64(len(c.file)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one about %q", c.name, err, c.want)
		}
	}
}

// TestHeaderRoundTrip: what is written is what is read, names and metadata with every kind of character.
func TestHeaderRoundTrip(t *testing.T) {
	in := []entry{
		{"a \"b\"\\\n", "F32", []int{1, 2}, 0, 8},
		{"é\u2028<>&", "I8", []int{}, 8, 1},
		{"empty", "F16", []int{0}, 9, 0},
	}
	metadata := []metadatum{{"k", "v"}, {"", ""}}
	for _, m := range [][]metadatum{nil, {}, metadata} {
		file := append(encodeHeader(in, m), make([]byte, 9)...)
		tensors, got, err := readHeader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(m) || (got == nil) != (m == nil) {
			t.Errorf("metadata %v, want %v", got, m)
		}
		base := int64(len(file) - 9)
		if base%8 != 0 {
			t.Errorf("the tensors begin at %d", base)
		}
		for i, e := range in {
			if tt := tensors[i]; tt.name != e.name || tt.dtype != e.dtype || tt.off != base+e.off || tt.nBytes != e.nBytes || len(tt.shape) != len(e.shape) {
				t.Errorf("%+v, want %+v", tt, e)
			}
		}
	}
}

// TestTruncated: every truncation of a small valid file of each format is an error.
func TestTruncated(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain.safetensors", "parallel.pt", "legacy.pt"} {
		whole := readAll(t, filepath.Join("testdata", name))
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, whole, 0o666); err != nil {
			t.Fatal(err)
		}
		for n := len(whole) - 1; n >= 0; n-- {
			if err := os.Truncate(path, int64(n)); err != nil {
				t.Fatal(err)
			}
			if c, err := open(path); err == nil {
				c.close()
				t.Errorf("%s: %d of %d bytes are no error", name, n, len(whole))
			}
		}
	}
}

// TestLengthLikeAPickle: a header's length may begin as a pickle does.
func TestLengthLikeAPickle(t *testing.T) {
	file := raw("{}"+strings.Repeat(" ", 0x280-2), 0)
	if Format("x", file[:16]) != Safetensors {
		t.Error("it is taken for a pickle")
	}
	c, err := open(write(t, "x.safetensors", file))
	if err != nil {
		t.Fatal(err)
	}
	c.close()
}
