//go:build cuda && cgo

package driver

// #include <cuda.h>
import "C"

import (
	"fmt"
	"unsafe"
)

// HostAlloc allocates pinned host memory, which copies to and from a device asynchronously. It belongs to
// no Go allocation, so the driver may keep its address; cu.MemFreeHost frees it. A context must be current.
func HostAlloc(nBytes int) ([]byte, error) {
	var p unsafe.Pointer
	if r := C.cuMemHostAlloc(&p, C.size_t(nBytes), 0); r != C.CUDA_SUCCESS {
		return nil, NewError(fmt.Sprintf("allocate %d bytes of pinned host memory", nBytes), int(r))
	}
	return unsafe.Slice((*byte)(p), nBytes), nil
}
