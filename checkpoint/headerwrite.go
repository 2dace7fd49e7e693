package checkpoint

import "github.com/bnfuse/bnfuse/internal/safetensors"

// entry is a tensor of the output and where its bytes go, counted from the end of the header.
type entry struct {
	name   string
	dtype  string
	shape  []int
	off    int64
	nBytes int64
}

func encodeHeader(entries []entry, metadata []metadatum) []byte {
	list := make([]safetensors.Entry, len(entries))
	for i, e := range entries {
		list[i] = safetensors.Entry{Name: e.name, DType: e.dtype, Shape: e.shape, Off: e.off, NBytes: e.nBytes}
	}
	return safetensors.EncodeHeader(list, metadata)
}
