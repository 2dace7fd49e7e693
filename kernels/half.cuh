// The usual case of the half types, fast: eight weights with one scale. Widening a half to float64 and rounding
// it back takes some fifty integer instructions, more than memory leaves time for.
//
// The product is taken in float32. It is off by two units of its last place at most (the scale's rounding
// and the product's own), so it rounds to the same half as the exact product, unless it lies within two units
// of the middle between two halves. Those weights, and those whose result is no ordinary number, are done
// again by the exact rule.
#pragma once
#include "element.cuh"

// One 16-byte access: 2 to 8 elements, that of the lowest address in the lowest bits of low.
struct alignas(16) Vector {
	u64 low, high;

	__device__ unsigned half(int i) const { return (unsigned)((i < 4 ? low : high) >> 16 * (i & 3)) & 0xffff; }
	__device__ void set_half(int i, unsigned h)
	{
		u64 keep = ~(0xffffull << 16 * (i & 3)), put = (u64)h << 16 * (i & 3);
		if (i < 4)
			low = (low & keep) | put;
		else
			high = (high & keep) | put;
	}
};

// Far from both ends of float64, so that no product with a half leaves it.
static __device__ bool moderate(double s)
{
	s = s < 0 ? -s : s;
	return s > 1e-100 && s < 1e100;
}

// Rounds the products of eight weights. False, and nothing done, for scales out of the ordinary.
template <int M>
static __device__ bool scale_halves(Vector *v, double after, double before, Counts *n)
{
	typedef Half<M> T;
	const unsigned DROPPED = 23 - M, TIE = 1u << (DROPPED - 1), LEAST = (128 - T::BIAS) << 23,
		MOST = ((T::INFINITE - 1) << DROPPED) + ((127 - T::BIAS) << 23);

	// The bits of a half, at their place in a float, are the half divided by this power of two.
	double s = after * before, scale = (s < 0 ? -s : s) * __longlong_as_double((i64)T::power(127 - T::BIAS));
	if (!moderate(after) || !moderate(before) || !(scale > 1e-30 && scale < 1e38))
		return false;
	const float factor = (float)scale;
	const unsigned sign = s < 0 ? T::SIGN : 0;

	Vector r;
	r.low = r.high = 0;
	unsigned again = 0;
#pragma unroll
	for (int i = 0; i < 8; i++) {
		unsigned h = v->half(i), magnitude = h & ~T::SIGN;
		unsigned product = __float_as_uint(__uint_as_float(magnitude << DROPPED) * factor);
		unsigned rounded = (product + (TIE - 1) + (product >> DROPPED & 1)) >> DROPPED;
		rounded = magnitude ? rounded - ((127 - T::BIAS) << M) : 0;
		bool near_tie = ((product - TIE + 2) & (2 * TIE - 1)) <= 4;
		bool ordinary = magnitude == 0 || (product - LEAST < MOST - LEAST && magnitude < T::INFINITE);
		again |= (unsigned)(!ordinary || near_tie) << i;
		r.set_half(i, rounded | ((h ^ sign) & T::SIGN));
	}
#pragma unroll 1
	for (int i = 0; again; i++, again >>= 1)
		if (again & 1)
			r.set_half(i, scaled<T>((typename T::bits)v->half(i), after, before, n));
	*v = r;
	return true;
}
