// Package cuda is the CUDA engine, and the only importer of gorgonia.org/cu.
//
// [Open] gives a [fuse.Engine] for weights that are read from a file: each slab is pinned memory, its bytes
// go to the device, are multiplied there by one launch for all their segments, and come back. Slabs have
// streams of their own, so callers who use several at once have copies both ways and a kernel under way
// together. Device memory is bounded by the slabs, whatever the size of a tensor.
//
// [NewResident] is for programs whose weights already lie in device memory: layers are folded in place, on
// the caller's context and stream, a whole model in two launches, with no copy and no synchronization the
// caller did not ask for.
//
// The bits are those of package host: the kernels are the same operations in the same order. This was shown
// by running the kernels' source on a CPU, see package software; docs/gpu.md says what was run on a device.
//
// The program starts without a driver; Open looks for one. An error says what to do, and wraps
// [fuse.ErrDeviceLost] when the same work can be done on another engine. Without the build tag cuda, or
// without cgo, the package is empty.
package cuda
