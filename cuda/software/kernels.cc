//go:build cuda && cgo && software

// The kernels' own source, compiled for the CPU. No fused multiply-adds, as in the PTX.
#pragma GCC optimize("fp-contract=off")
#include "kernels.h" // changes with the sources, so that go compiles them anew
#include "prelude.h"
#include "../../kernels/affine.cu"
#include "../../kernels/contract.cu"
#include "../../kernels/fold.cu"
#include "../../kernels/fold_sums.cu"
#include "../../kernels/scale.cu"

// A kernel with a fault, to show that the driver finds it: it writes behind the end of its memory.
extern "C" __global__ void overrun(char *memory, i64 n) { memory[n + threadIdx.x] = 1; }

const struct sw_kernel sw_kernels[] = {KERNEL(affine), KERNEL(contract), KERNEL(fold), KERNEL(fold_sums), KERNEL(scale), KERNEL(overrun)};
const int sw_nkernels = sizeof sw_kernels / sizeof *sw_kernels;
