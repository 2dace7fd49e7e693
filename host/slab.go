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
type slab struct {
	bytes []byte
	from  *Engine // that made it and keeps its memory for the next; nil for none
}

// NewSlab gives nBytes of plain memory, aligned to 64 bytes. It holds anything: a model has many small
// weights to look at, and what one slab of the usual size leaves serves the next.
func (e *Engine) NewSlab(nBytes int) (fuse.Slab, error) {
	if nBytes < 0 || nBytes > maxInt-slabAlign {
		return nil, fmt.Errorf("host: a slab of %d bytes: want 0 to %d", nBytes, maxInt-slabAlign)
	}
	if nBytes != slabBytes {
		return &slab{bytes: alignedBytes(nBytes)}, nil
	}
	if idle, ok := e.idle.Get().(*[slabBytes]byte); ok {
		return &slab{idle[:], e}, nil
	}
	return &slab{alignedBytes(nBytes), e}, nil
}

func alignedBytes(n int) []byte {
	memory := make([]byte, n+slabAlign)
	start := int(-uintptr(unsafe.Pointer(&memory[0])) % slabAlign)
	return memory[start : start+n : start+n]
}

// Wrap makes a slab of memory the caller has: a Go program's weights are scaled where they lie. The
// memory may start anywhere.
func Wrap(b []byte) fuse.Slab { return &slab{bytes: b} }

// Bytes is the memory.
func (s *slab) Bytes() []byte { return s.bytes }

// Free lets the memory go. A slab has no bytes after it.
func (s *slab) Free() error {
	if s.from != nil && s.bytes != nil {
		s.from.idle.Put((*[slabBytes]byte)(s.bytes))
	}
	s.bytes = nil
	return nil
}
