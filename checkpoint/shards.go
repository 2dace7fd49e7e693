package checkpoint

import (
	"fmt"
	"io"
	"strings"

	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// Shards lists the files that an index of shards names; they lie beside it. The file r of size bytes is an
// index by its name; of any other file there are none. Whether the shards exist is not asked.
func Shards(r io.ReaderAt, size int64, name string) ([]string, error) {
	if !strings.HasSuffix(name, IndexSuffix) {
		return nil, nil
	}
	x, err := readIndex(r, size)
	if err != nil {
		return nil, err
	}
	return x.Files(), nil
}

// readIndex reads an index of shards.
func readIndex(r io.ReaderAt, size int64) (*index, error) {
	if size > safetensors.MaxHeaderBytes {
		return nil, fmt.Errorf("an index of %d bytes", size)
	}
	text, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	x, err := safetensors.ParseIndex(text)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	return &index{x, size, text}, nil
}
