// Package software is a libcuda in host memory, for tests on machines without a GPU. It stands behind the
// build tag software; nothing of it is in the product.
//
// It runs the kernels' own source, compiled for the CPU. A stream is a thread, events are real, contexts are
// current for each thread, and errors that end a context stick, as on a device. What it promises beyond:
//
//   - Copies from and to pinned memory run late, so a buffer reused too early shows as wrong bytes.
//   - Device memory is garbage at first and ends before a page nobody may touch; a kernel that runs over is
//     killed, or found when the memory is freed. Copies are checked against the table of allocations.
//   - PTX is read: entries and parameter counts must match the kernels compiled in, .version the pretended
//     driver, .target the pretended device.
//   - [Configure] makes calls fail and devices slow; [Counters] tells what was called, what is still
//     allocated, and whether copies and kernels overlapped.
//
// It proves the kernels' source, not a device: data races inside a block, memory order and speed are not
// modelled. Tests link it in, through driver.OpenFrom and [Symbols]; `make libcuda` builds it as a
// libcuda.so.1 that whole programs find through LD_LIBRARY_PATH, configured by BNFUSE_SOFTWARE_CUDA.
package software
