// The four element types, and what happens to one weight.
//
// Everything here is float64 arithmetic and integers, so that nvcc and a host compiler give the same bits.
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

// A 16-bit type with M bits of mantissa: its exponent has 15-M.
template <int M>
struct Half {
	typedef unsigned short bits;
	static const int BIAS = (1 << (14 - M)) - 1;
	static const unsigned SIGN = 1u << 15, INFINITE = SIGN - (1u << M), QUIET = INFINITE + (1u << (M - 1));

	// float64 bits of 2^e.
	static __device__ u64 power(int e) { return (u64)(1023 + e) << 52; }

	static __device__ double widen(bits b)
	{
		u64 sign = (u64)(b & SIGN) << 48, magnitude = b & ~SIGN;
		u64 wide;
		if (magnitude < 1u << M) // subnormal: a multiple of the smallest
			wide = (u64)__double_as_longlong((double)(int)magnitude * __longlong_as_double((i64)power(1 - BIAS - M)));
		else if (magnitude >= INFINITE)
			wide = 0x7ffull << 52;
		else
			wide = (magnitude << (52 - M)) + ((u64)(1023 - BIAS) << 52);
		return __longlong_as_double((i64)(sign | wide));
	}

	static __device__ bits narrow(double x)
	{
		u64 u = (u64)__double_as_longlong(x);
		unsigned sign = (unsigned)(u >> 48) & SIGN;
		u &= ~(1ull << 63);
		if (u < power(1 - BIAS)) {
			// Subnormal. In the sum the last bit of the mantissa is worth the smallest subnormal, so the
			// addition does the rounding; a carry out of it is the smallest normal number, rightly.
			u64 unit = power(53 - BIAS - M);
			double sum = __longlong_as_double((i64)u) + __longlong_as_double((i64)unit);
			return (bits)(sign | (unsigned)((u64)__double_as_longlong(sum) - unit));
		}
		u += (1ull << (51 - M)) - 1 + (u >> (52 - M) & 1); // to nearest, ties to even
		u64 b = (u >> (52 - M)) - ((u64)(1023 - BIAS) << M);
		return (bits)(sign | (b < INFINITE ? (unsigned)b : INFINITE));
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

// What became of the weights of a tensor, or of one thread's share of them.
struct Counts {
	u64 overflows; // finite, and are finite no more
	u64 vanished;  // became zero, though neither it nor its scales were
};

// W' = round((after·W)·before). A NaN keeps its bits; where the product has no value, as in ∞·0, the
// result is the positive quiet NaN, by a branch, because processors disagree about it.
template <class T>
static __device__ typename T::bits scaled(typename T::bits w, double after, double before, Counts *n)
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
