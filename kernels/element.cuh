// The four element types, and what happens to one weight.
//
// Everything here is integers and arithmetic of IEEE 754, so that nvcc and a host compiler give the same bits.
// Built with -fmad=false -ftz=false -prec-div=true -prec-sqrt=true.
#pragma once

typedef long long i64;
typedef unsigned long long u64;

// As fuse.DType numbers them.
enum { FLOAT64 = 1, FLOAT32 = 2, FLOAT16 = 3, BFLOAT16 = 4 };

// Each type T has its bits, the bits of infinity (those of a NaN are larger) and of the positive quiet NaN,
// widen (exact, for what is not a NaN) and narrow (rounds once, to nearest, ties to even).
struct Float64 {
	typedef u64 bits;
	static const u64 SIGN = 1ull << 63, INFINITE = 0x7ffull << 52, QUIET = 0x7ff8ull << 48;
	static __device__ double widen(bits b) { return __longlong_as_double((i64)b); }
	static __device__ bits narrow(double x) { return (u64)__double_as_longlong(x); }
};

struct Float32 {
	typedef unsigned bits;
	static const unsigned SIGN = 1u << 31, INFINITE = 0xffu << 23, QUIET = 0x7fc0u << 16;
	static __device__ double widen(bits b) { return (double)__uint_as_float(b); }
	static __device__ bits narrow(double x) { return __float_as_uint((float)x); }
};

// Processors have instructions for float16; the software driver has functions of these names.
#ifdef __CUDACC__
static __device__ float half_to_float(unsigned short h)
{
	float f;
	asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
	return f;
}

static __device__ unsigned short float_to_half(float f) // to nearest, ties to even
{
	unsigned short h;
	asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
	return h;
}

static __device__ unsigned floats_to_halves(float low, float high)
{
	unsigned both;
	asm("{ .reg .b16 l, h; cvt.rn.f16.f32 l, %1; cvt.rn.f16.f32 h, %2; mov.b32 %0, {l, h}; }" : "=r"(both) : "f"(low), "f"(high));
	return both;
}
#endif

// A 16-bit type with M bits of mantissa: 10 for float16, 7 for bfloat16, which is the upper half of a float.
template <int M>
struct Half {
	typedef unsigned short bits;
	static const unsigned SIGN = 1u << 15, INFINITE = SIGN - (1u << M), QUIET = INFINITE + (1u << (M - 1));

	static __device__ float to_float(bits b) { return M == 10 ? half_to_float(b) : __uint_as_float((unsigned)b << 16); }

	static __device__ bits from_float(float f) // for what is not a NaN
	{
		unsigned u = __float_as_uint(f);
		return M == 10 ? float_to_half(f) : (bits)((u + 0x7fff + (u >> 16 & 1)) >> 16);
	}

	// Two at once, the first in the lower half. What lies in the middle between two may go either way.
	static __device__ unsigned from_floats(float first, float second)
	{
		if (M == 10)
			return floats_to_halves(first, second);
		return (__float_as_uint(first) + 0x8000) >> 16 | ((__float_as_uint(second) + 0x8000) & 0xffff0000);
	}

	static __device__ double widen(bits b) { return to_float(b); }

	// By way of float32, in which a number that does not fit ends in an odd bit: so it lies on its own side of every
	// tie, because float32 has more than two bits beyond a half's.
	static __device__ bits narrow(double x)
	{
		float f = __double2float_rz(x);
		return from_float(__uint_as_float(__float_as_uint(f) | (f != x)));
	}
};

typedef Half<10> Float16;
typedef Half<7> BFloat16;

// Calls f<T>(...) for the type of a number.
#define BY_DTYPE(dtype, f, ...) \
	switch (dtype) { \
	case FLOAT64: f<Float64>(__VA_ARGS__); break; \
	case FLOAT32: f<Float32>(__VA_ARGS__); break; \
	case FLOAT16: f<Float16>(__VA_ARGS__); break; \
	case BFLOAT16: f<BFloat16>(__VA_ARGS__); break; \
	}

// What became of the weights of a tensor.
struct Counts {
	u64 overflows; // finite, and are finite no more
	u64 vanished;  // became zero, though neither it nor its scales were
};

// What became of one thread's share of a tile, and of biases there.
struct Tally {
	unsigned overflows, vanished, bias_overflows;
};

// W' = round((after·W)·before). A NaN keeps its bits; where the product has no value, as in ∞·0, the
// result is the positive quiet NaN, by a branch, because processors disagree about it.
template <class T>
static __device__ typename T::bits scaled(typename T::bits w, double after, double before, Tally *n)
{
	typename T::bits magnitude = w & (typename T::bits)~T::SIGN;
	if (magnitude > T::INFINITE)
		return w;
	double product = T::widen(w) * after * before;
	typename T::bits r = product != product ? (typename T::bits)T::QUIET : T::narrow(product);
	typename T::bits m = r & (typename T::bits)~T::SIGN;
	n->overflows += m >= T::INFINITE && magnitude < T::INFINITE;
	n->vanished += m == 0 && magnitude != 0 && after != 0 && before != 0;
	return r;
}

// An element of any type, for parameters and biases: reads are exact.
template <class T>
static __device__ void load_as(const void *from, i64 i, double *to)
{
	typename T::bits b = ((const typename T::bits *)from)[i];
	bool nan = (b & (typename T::bits)~T::SIGN) > T::INFINITE;
	*to = nan ? __longlong_as_double(Float64::QUIET) : T::widen(b);
}

static __device__ double load(i64 dtype, const void *from, i64 i)
{
	double x = 0;
	BY_DTYPE(dtype, load_as, from, i, &x)
	return x;
}

// x rounded to T; a NaN becomes the positive quiet one. Says whether x became infinite.
template <class T>
static __device__ void store_as(void *to, i64 i, double x, bool write, bool *infinite)
{
	typename T::bits b = x != x ? (typename T::bits)T::QUIET : T::narrow(x);
	*infinite = (b & (typename T::bits)~T::SIGN) >= T::INFINITE;
	if (write)
		((typename T::bits *)to)[i] = b;
}
