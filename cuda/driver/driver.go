//go:build cuda && cgo

package driver

/*
#cgo CFLAGS: -I${SRCDIR}/include -Wall
#cgo LDFLAGS: -ldl
#include <cuda.h>
#include <dlfcn.h>
#include "trampolines.h"

static void *library;

static const char *load(const char *path)
{
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	return library ? NULL : dlerror();
}

static void *from_library(const char *name) { return dlsym(library, name); }
static bnfuse_resolver library_resolver(void) { return from_library; }
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

const libraryName = "libcuda.so.1"

var bound struct {
	sync.Mutex
	ok bool
}

// Open loads the driver and starts it. Once it has succeeded, further calls do nothing; a failure can be
// tried again. The driver stays until the program ends.
func Open() error {
	bound.Lock()
	defer bound.Unlock()
	if bound.ok {
		return nil
	}
	path := C.CString(libraryName)
	defer C.free(unsafe.Pointer(path))
	if why := C.load(path); why != nil {
		return fmt.Errorf("cuda: no driver: %s; install NVIDIA's driver, or in a container mount it (docker run --gpus all)",
			C.GoString(why))
	}
	return bind(C.library_resolver())
}

// OpenFrom takes the driver's functions from a C function void *(*)(const char *name). Tests hand in
// package software's.
func OpenFrom(resolve unsafe.Pointer) error {
	bound.Lock()
	defer bound.Unlock()
	return bind(C.bnfuse_resolver(resolve))
}

func bind(resolve C.bnfuse_resolver) error {
	var name, text *C.char
	r := C.bnfuse_bind(resolve, &name, &text)
	bound.ok = r == C.CUDA_SUCCESS
	if bound.ok {
		return nil
	}
	return &Error{Op: "cuda: start the driver", Code: int(r), Name: C.GoString(name), Text: C.GoString(text)}
}
