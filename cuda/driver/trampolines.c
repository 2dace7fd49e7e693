//go:build cuda && cgo

/* Every function of libcuda, defined here as a jump through a slot, so that a program links without a
 * driver and starts without one. bnfuse_bind fills the slots. */
#include "include/cuda.h"
#include "trampolines.h"

/* What the slots hold until then: there is no device. Yet cuInit succeeds, because gorgonia.org/cu calls
 * it when the program starts and exits the program on an error. */
static CUresult absent(void) { return CUDA_ERROR_NO_DEVICE; }
static CUresult absent_init(unsigned flags) { return CUDA_SUCCESS; }
static CUresult absent_zero(int *n) { *n = 0; return CUDA_SUCCESS; }

/* What a slot holds when the driver lacks the function. */
static CUresult missing(void) { return CUDA_ERROR_NOT_SUPPORTED; }

#if defined(__x86_64__)
#define JUMP(slot) "jmp *" slot "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP(slot) "adrp x16, " slot "\nldr x16, [x16, :lo12:" slot "]\nbr x16\n"
#else
#error "cuda/driver knows amd64 and arm64"
#endif

/* Hidden, or go's -rdynamic would export the functions and libraries loaded later would bind to them. */
#define F(name, args) \
	__attribute__((visibility("hidden"))) void *bnfuse_slot_##name = (void *)absent; \
	__asm__(".pushsection .text\n" \
		".globl " #name "\n.hidden " #name "\n.type " #name ",@function\n.p2align 4\n" \
		#name ":\n" JUMP("bnfuse_slot_" #name) \
		".size " #name ",.-" #name "\n.popsection\n");
#include "include/functions.h"
#undef F

__attribute__((constructor)) static void unbind(void)
{
#define F(name, args) bnfuse_slot_##name = (void *)absent;
#include "include/functions.h"
#undef F
	bnfuse_slot_cuInit = (void *)absent_init;
	bnfuse_slot_cuDeviceGetCount = (void *)absent_zero;
	bnfuse_slot_cuDriverGetVersion = (void *)absent_zero;
}

CUresult bnfuse_bind(bnfuse_resolver resolve, const char **name, const char **text)
{
	if (!resolve("cuInit"))
		return CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND;
#define F(name, args) { void *f = resolve(#name); bnfuse_slot_##name = f ? f : (void *)missing; }
#include "include/functions.h"
#undef F
	CUresult r = cuInit(0);
	if (r != CUDA_SUCCESS) {
		cuGetErrorName(r, name); /* the driver's own words, while they can be had */
		cuGetErrorString(r, text);
		unbind();
	}
	return r;
}
