// Package driver stands between gorgonia.org/cu and libcuda, so that one binary builds without a CUDA
// toolkit, starts without a driver, and looks for one only when a device is asked for.
//
// It holds the project's own cuda.h (include/) and an empty libcuda.a (lib/), which satisfy the binding's
// compiler and linker; both come first through CGO_CFLAGS and CGO_LDFLAGS, see ../cuda.mk. It defines
// every function of libcuda the program names as a jump through a slot. Until [Open] the slots answer
// that there is no device; Open loads libcuda.so.1 and fills them. A function that the driver lacks
// answers CUDA_ERROR_NOT_SUPPORTED.
//
// It also holds the few calls that gorgonia.org/cu does not bind.
//
// Without the build tag cuda, or without cgo, the package is empty.
package driver
