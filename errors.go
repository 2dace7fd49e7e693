package bnfuse

import "errors"

// ErrNoCUDA is the answer to "cuda" of a program that was built without it.
var ErrNoCUDA = errors.New("bnfuse: this program was built without CUDA; `make build` links it in (go build -tags cuda, with cgo and gcc)")

// ErrUnknownDevice is wrapped by the error for a device name that [Open] does not know.
var ErrUnknownDevice = errors.New("unknown device")
