package bnfuse

import "errors"

// ErrNoCUDA is the answer to "cuda" of a program that was built without it.
var ErrNoCUDA = errors.New("bnfuse: this program was built without CUDA; `make build` links it in (go build -tags cuda, with cgo and gcc)")

// ErrUnknownDevice is wrapped by the error for a device name that [Open] does not know.
var ErrUnknownDevice = errors.New("unknown device")

// ErrNotCheckpoint is wrapped where Graph, Pairs, Eps or KeepNorms are given for an ONNX model, which is a
// graph itself.
var ErrNotCheckpoint = errors.New("an ONNX model has its own graph: pairs, epsilon and kept norms are for checkpoints")

// ErrNotGraph is wrapped where the pairs of a checkpoint are asked for, which has none of its own.
var ErrNotGraph = errors.New("a checkpoint has no graph to take pairs from: give --pairs a file, or names")
