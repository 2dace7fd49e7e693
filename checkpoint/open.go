package checkpoint

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/bnfuse/bnfuse/internal/regular"
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
	case strings.HasSuffix(path, BinIndexSuffix) || isZip(head) || isPickle(head):
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
	if IsIndex(path) {
		return openIndex(path)
	}
	p, err := openPart(path, readAny)
	if err != nil {
		return nil, err
	}
	return newContainer(path, p)
}

// openPart opens one file.
func openPart(path string, read func(*os.File, int64) (*part, error)) (*part, error) {
	f, size, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	p, err := read(f, size)
	if err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

// readAny reads a file by its content. What is nothing else is meant to be safetensors.
func readAny(f *os.File, size int64) (*part, error) {
	head, err := readHead(f, size)
	if err != nil {
		return nil, err
	}
	if !safetensors.IsHeader(head) && (isZip(head) || isPickle(head)) {
		return readTorch(f, size)
	}
	return readSafetensors(f, size)
}

// readTorch reads what torch.save wrote.
func readTorch(f *os.File, size int64) (*part, error) {
	head, err := readHead(f, size)
	switch {
	case err != nil:
		return nil, err
	case isZip(head):
		return readZip(f, size)
	}
	return readLegacy(f, size)
}

func readHead(f *os.File, size int64) ([]byte, error) {
	head := make([]byte, min(size, 16))
	_, err := f.ReadAt(head, 0)
	if errors.Is(err, io.EOF) {
		err = nil // it has become shorter
	}
	return head, err
}

func readSafetensors(f *os.File, size int64) (*part, error) {
	h, err := safetensors.ReadHeader(f, size)
	if err != nil {
		return nil, err
	}
	p := &part{file: f, size: size, asIs: true, metadata: h.Metadata}
	for _, e := range h.Tensors {
		p.tensors = append(p.tensors, &tensor{name: e.Name, dtype: e.DType, shape: e.Shape, src: f, off: e.Off, nBytes: e.NBytes})
	}
	return p, nil
}
