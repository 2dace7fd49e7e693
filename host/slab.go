package host

import (
	"fmt"
	"unsafe"

	"github.com/bnfuse/bnfuse/fuse"
)

const maxInt = int(^uint(0) >> 1)

// slabAlign is a cache line.
const slabAlign = 64

// slab is plain memory.
type slab struct{ bytes []byte }

// NewSlab allocates nBytes of plain memory, all zero, aligned to 64 bytes.
func (e *Engine) NewSlab(nBytes int) (fuse.Slab, error) {
	if nBytes < 0 || nBytes > maxInt-slabAlign {
		return nil, fmt.Errorf("host: a slab of %d bytes", nBytes)
	}
	memory := make([]byte, nBytes+slabAlign)
	start := int(-uintptr(unsafe.Pointer(&memory[0])) % slabAlign)
	return &slab{memory[start : start+nBytes : start+nBytes]}, nil
}

// Wrap makes a slab of memory the caller has: a Go program's weights are scaled where they lie. The
// memory may start anywhere; only the offsets of segments, counted from its start, must be aligned.
func Wrap(b []byte) fuse.Slab { return &slab{b} }

// Bytes is the memory.
func (s *slab) Bytes() []byte { return s.bytes }

// Free lets the memory go. A slab has no bytes after it.
func (s *slab) Free() error {
	s.bytes = nil
	return nil
}
