package checkpoint

import (
	"io"

	"github.com/bnfuse/bnfuse/internal/safetensors"
)

type metadatum = safetensors.Metadatum

// readHeader lists the tensors of a safetensors file.
func readHeader(r io.ReaderAt, size int64) ([]*tensor, []metadatum, error) {
	h, err := safetensors.ReadHeader(r, size)
	if err != nil {
		return nil, nil, err
	}
	tensors := make([]*tensor, len(h.Tensors))
	for i, e := range h.Tensors {
		tensors[i] = &tensor{name: e.Name, dtype: e.DType, shape: e.Shape, src: r, off: e.Off, nBytes: e.NBytes}
	}
	return tensors, h.Metadata, nil
}
