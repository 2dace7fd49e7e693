package checkpoint

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// The formats of checkpoints.
const (
	Safetensors = "safetensors"
	PyTorch     = "pytorch"
)

// Format tells the format of a file of the given name that begins with head; "" for what is no checkpoint.
func Format(path string, head []byte) string {
	switch {
	case strings.HasSuffix(path, IndexSuffix) || safetensors.IsHeader(head):
		return Safetensors
	case isZip(head) || isPickle(head):
		return PyTorch
	}
	return ""
}

func isZip(head []byte) bool { return bytes.HasPrefix(head, []byte("PK\x03\x04")) }

// isPickle knows a pickle of protocol 2 or later, which is how PyTorch's legacy format begins. The length of
// a safetensors header may begin with the same bytes.
func isPickle(head []byte) bool {
	return len(head) > 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5
}

// open reads the names and places of a checkpoint's tensors, whatever its format.
func open(path string) (*container, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	c, err := openAs(path, f, size)
	if err != nil || c.index != nil {
		f.Close()
	}
	return c, err
}

func openAs(path string, f *os.File, size int64) (*container, error) {
	head := make([]byte, min(size, 16))
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case strings.HasSuffix(path, IndexSuffix):
		return openIndex(path, f, size)
	case safetensors.IsHeader(head):
	case isZip(head):
		return openZip(path, f, size)
	case isPickle(head):
		return openLegacy(path, f, size)
	}
	tensors, metadata, err := readHeader(f, size)
	if err != nil {
		return nil, err
	}
	return newContainer(path, true, &part{file: f, size: size, tensors: tensors, metadata: metadata})
}

// openPart opens one safetensors file.
func openPart(path string) (*part, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	tensors, metadata, err := readHeader(f, size)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &part{file: f, size: size, tensors: tensors, metadata: metadata}, nil
}

func openFile(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err // its path is known
		}
		return nil, 0, err
	}
	return f, info.Size(), nil
}
