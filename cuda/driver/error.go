//go:build cuda && cgo

package driver

// #include <cuda.h>
import "C"

import (
	"fmt"
	"strings"
)

// Error is a call that the driver refused.
type Error struct {
	Op   string // what was tried, with its sizes: "allocate 8 MiB of device memory"
	Code int    // the CUresult
	Name string // the driver's name for it, "CUDA_ERROR_OUT_OF_MEMORY"; may be empty
	Text string // the driver's own words; may be empty
	Hint string // what to do about it, or further facts; may be empty
}

// The codes that callers and messages tell apart.
const (
	ECCUncorrectable = C.CUDA_ERROR_ECC_UNCORRECTABLE
	OutOfMemory      = C.CUDA_ERROR_OUT_OF_MEMORY
	StubLibrary      = 34
	DeviceUnavail    = 46
	NoDevice         = C.CUDA_ERROR_NO_DEVICE
	NoBinaryForGPU   = C.CUDA_ERROR_NO_BINARY_FOR_GPU
	InvalidPTX       = C.CUDA_ERROR_INVALID_PTX
	JITNotFound      = C.CUDA_ERROR_JIT_COMPILER_NOT_FOUND
	PTXTooNew        = 222
	JITDisabled      = 223
	SystemNotReady   = C.CUDA_ERROR_SYSTEM_NOT_READY
	VersionsDisagree = C.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH
)

// NewError is the error of a call that answered code, in the driver's words.
func NewError(op string, code int) *Error {
	var name, text *C.char
	C.cuGetErrorName(C.CUresult(code), &name)
	C.cuGetErrorString(C.CUresult(code), &text)
	return &Error{Op: op, Code: code, Name: C.GoString(name), Text: C.GoString(text)}
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", e.Op)
	if e.Name != "" {
		fmt.Fprintf(&b, "%s (%d)", e.Name, e.Code)
	} else {
		fmt.Fprintf(&b, "CUDA error %d", e.Code)
	}
	for _, s := range []string{e.Text, e.hint()} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	return b.String()
}

func (e *Error) hint() string {
	if e.Hint != "" {
		return e.Hint
	}
	switch e.Code {
	case StubLibrary:
		return "this libcuda.so.1 is a toolkit's stub; take its stubs folder out of LD_LIBRARY_PATH"
	case NoDevice:
		return "the driver sees no GPU; see nvidia-smi -L and CUDA_VISIBLE_DEVICES"
	case DeviceUnavail:
		return "another process holds the device exclusively; see nvidia-smi"
	case ECCUncorrectable:
		return "the device's memory has failed; see nvidia-smi -q -d ECC"
	case JITNotFound, JITDisabled:
		return "the driver's compiler (libnvidia-ptxjitcompiler.so.1) is missing or switched off; " +
			"install it, or mount it into the container"
	case SystemNotReady:
		return "on machines with NVSwitch, start nvidia-fabricmanager"
	case VersionsDisagree:
		return "the driver's library and kernel module differ; reboot after a driver update"
	}
	return ""
}
