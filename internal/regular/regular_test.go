package regular

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("four"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, size, err := Open(path)
	if err != nil || size != 4 {
		t.Fatalf("%d bytes, %v", size, err)
	}
	f.Close()
	if _, _, err := Open(filepath.Dir(path)); err != ErrNotRegular {
		t.Errorf("a folder: %v", err)
	}
	if _, _, err := Open(path + "y"); !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestReadAt(t *testing.T) {
	r := strings.NewReader("four")
	b := make([]byte, 3)
	if err := ReadAt(r, b, 1); err != nil || string(b) != "our" {
		t.Errorf("%q, %v", b, err)
	}
	if err := ReadAt(r, b, 2); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "3 bytes at offset 2") {
		t.Errorf("past the end: %v", err)
	}
	if err := ReadAt(r, b, -1); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("before the beginning: %v", err)
	}
}
