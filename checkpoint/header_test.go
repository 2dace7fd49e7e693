package checkpoint

import (
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

// TestTruncated: every truncation of a small valid file of each format is an error.
func TestTruncated(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain.safetensors", "parallel.pt", "legacy.pt", "parts.pt"} {
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
