/* CUDA's language on the host: what it takes to compile the project's kernels as C++. */
#include "grid.h"
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <utility>

struct uint3 { unsigned x, y, z; };
extern __thread uint3 threadIdx, blockIdx, blockDim, gridDim;

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ static __thread

void sw_wait(int for_warp, int line);  /* at a barrier of the warp, or of the block */
unsigned sw_thread();                  /* this thread's number in its block */
void *sw_slot(unsigned thread);        /* eight bytes through which the threads of a warp exchange values */
bool sw_alive(unsigned thread);

#define __syncthreads() sw_wait(0, __LINE__)

template <class T>
static inline T __shfl_down_sync(unsigned, T mine, unsigned delta)
{
	static_assert(sizeof(T) <= 8, "a shuffle moves at most eight bytes");
	unsigned lane = sw_thread() % 32, from = sw_thread() + delta;
	memcpy(sw_slot(sw_thread()), &mine, sizeof mine);
	sw_wait(1, 0);
	T other = mine;
	if (lane + delta < 32 && sw_alive(from))
		memcpy(&other, sw_slot(from), sizeof other);
	sw_wait(1, 0);
	return other;
}

static inline unsigned long long atomicAdd(unsigned long long *p, unsigned long long v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}

template <class To, class From>
static inline To sw_bits(From from)
{
	static_assert(sizeof(To) == sizeof(From), "the same bits");
	To to;
	memcpy(&to, &from, sizeof to);
	return to;
}
static inline float __uint_as_float(unsigned u) { return sw_bits<float>(u); }
static inline unsigned __float_as_uint(float f) { return sw_bits<unsigned>(f); }
static inline double __longlong_as_double(long long i) { return sw_bits<double>(i); }
static inline long long __double_as_longlong(double d) { return sw_bits<long long>(d); }

/* Toward zero. */
static inline float __double2float_rz(double d)
{
	float f = (float)d;
	return fabs((double)f) > fabs(d) ? nextafterf(f, 0) : f;
}

/* What kernels/element.cuh has instructions for. */
static inline float half_to_float(unsigned short h)
{
	unsigned exponent = h >> 10 & 31, mantissa = h & 1023;
	float f = exponent == 0 ? ldexpf(mantissa, -24) : exponent < 31 ? ldexpf(1024 + mantissa, exponent - 25) : mantissa ? NAN : INFINITY;
	return h >> 15 ? -f : f;
}

static inline unsigned short float_to_half(float f)
{
	unsigned short sign = signbit(f) ? 0x8000 : 0;
	if (f != f)
		return 0x7fff;
	if (fabsf(f) >= 65520) /* the middle between the largest half and the next */
		return sign | 0x7c00;
	int exponent;
	frexpf(f, &exponent);
	int unit = f == 0 || exponent < -13 ? -24 : exponent - 11; /* of the last place */
	return sign + (unsigned short)((unit + 24) << 10) + (unsigned short)nearbyintf(ldexpf(fabsf(f), -unit));
}

static inline unsigned floats_to_halves(float low, float high) { return float_to_half(low) | (unsigned)float_to_half(high) << 16; }

static inline int __ffs(int i) { return __builtin_ffs(i); }

/* A kernel as the driver sees it. */
template <auto f> struct sw_entry;
template <class... A, void (*f)(A...)>
struct sw_entry<f> {
	template <size_t... i>
	static void with(void **params, std::index_sequence<i...>) { f(*(A *)params[i]...); }
	static void call(void **params) { with(params, std::index_sequence_for<A...>{}); }
	static constexpr int nparams = sizeof...(A);
	static constexpr unsigned short sizes[sizeof...(A)] = {sizeof(A)...};
};
#define KERNEL(name) {#name, sw_entry<name>::nparams, sw_entry<name>::sizes, sw_entry<name>::call}
