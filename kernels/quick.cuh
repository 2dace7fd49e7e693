// The quick way to scale: right for the ordinary weight, and it tells when a weight is not.
//
// float64 and float32 are multiplied as by the exact rule, scaled in element.cuh, but for what it does with weights
// that are NaN, overflow or vanish.
//
// A half is multiplied in float32: to take it to float64 and back leaves some processors no time, and all of them
// little. A float just below the scale and one just above give two products, one on each side of the exact one. If
// both round to the same half, so does the exact product. If not, or if the result is no ordinary number, the weight
// is in doubt: it is to be done by the exact rule.
#pragma once
#include "element.cuh"

// Two floats of the scale's sign, with |low·w| < |scale·w| < |high·w| for every half w, also when the products are
// rounded to float32, as long as those are neither infinite nor subnormal.
struct alignas(8) Bounds {
	float low, high;
};

// The scale's rounding and the product's are half a unit in the last place each, and a unit of the one is up to two
// of the other. For a scale out of the ordinary every weight is in doubt, because the products have different signs.
static __device__ Bounds bounds(double scale)
{
	double magnitude = scale < 0 ? -scale : scale;
	bool ordinary = magnitude > 1e-30 && magnitude < 1e30;
	unsigned nearest = __float_as_uint((float)scale);
	Bounds b;
	b.low = ordinary ? __uint_as_float(nearest - 2) : 1;
	b.high = ordinary ? __uint_as_float(nearest + 2) : -1;
	return b;
}

// One access to memory: 2 to 8 elements, that of the lowest address in the lowest bits of low.
struct alignas(16) Vector {
	u64 low, high;

	template <class B>
	__device__ B get(int i) const
	{
		const int PER_WORD = 8 / sizeof(B);
		return (B)((i < PER_WORD ? low : high) >> 8 * sizeof(B) * (i % PER_WORD));
	}

	template <class B>
	__device__ void set(int i, B b)
	{
		const int PER_WORD = 8 / sizeof(B), at = 8 * (int)sizeof(B) * (i % PER_WORD);
		u64 keep = ~((u64)(B)~(B)0 << at), put = (u64)b << at;
		if (i < PER_WORD)
			low = (low & keep) | put;
		else
			high = (high & keep) | put;
	}
};

// How many elements a vector has.
template <class T>
static __device__ constexpr int vector_size() { return (int)(sizeof(Vector) / sizeof(typename T::bits)); }

// A scale has eight bytes in every type: it is of a table of numbers, or one of bounds. A pair is two weights. The word
// that multiply returns tells which is in doubt: the first if its lower half is not zero, the second if its upper is.
template <class T>
struct Quick {
	typedef typename T::bits bits;
	typedef double Scale;
	typedef bits Register; // for one weight
	struct Pair { bits first, second; };

	static __device__ Scale scale(double s) { return s; }
	static __device__ Pair pair(Register first, Register second) { return {first, second}; }
	static __device__ Register first(Pair p) { return p.first; }
	static __device__ Register second(Pair p) { return p.second; }

	static __device__ Pair get(const Vector &v, int i) { return {v.get<bits>(2 * i), v.get<bits>(2 * i + 1)}; }
	static __device__ void set(Vector *v, int i, Pair p)
	{
		v->set(2 * i, p.first);
		v->set(2 * i + 1, p.second);
	}

	static __device__ unsigned multiply(Pair w, Scale s, Scale t, Pair *r)
	{
		*r = {T::narrow(T::widen(w.first) * s), T::narrow(T::widen(w.second) * t)};
		return doubt(w.first, r->first) | doubt(w.second, r->second) << 16;
	}

	static __device__ unsigned doubt(bits w, bits r)
	{
		const bits MAGNITUDE = (bits)~T::SIGN;
		return (r & MAGNITUDE) >= T::INFINITE || ((r & MAGNITUDE) == 0 && (w & MAGNITUDE) != 0);
	}
};

template <int M>
struct Quick<Half<M>> {
	typedef Half<M> T;
	typedef typename T::bits bits;
	typedef Bounds Scale;
	typedef unsigned Register, Pair;

	static __device__ Scale scale(double s) { return bounds(s); }
	static __device__ Pair pair(Register first, Register second) { return first | second << 16; }
	static __device__ Register first(Pair p) { return p & 0xffff; }
	static __device__ Register second(Pair p) { return p >> 16; }
	static __device__ Pair get(const Vector &v, int i) { return v.get<unsigned>(i); }
	static __device__ void set(Vector *v, int i, Pair p) { v->set(i, p); }

	static __device__ unsigned multiply(Pair w, Scale s, Scale t, Pair *r)
	{
		const unsigned MAGNITUDE = 0x7fff7fff;
		// The least result whose product had all bits of a float: bfloat16's subnormals are float32's.
		const unsigned LEAST = M == 7 ? 1u << M : 1;

		float v = T::to_float((bits)w), u = T::to_float((bits)(w >> 16));
		unsigned low = T::from_floats(v * s.low, u * t.low), high = T::from_floats(v * s.high, u * t.high);
		*r = low;
		unsigned result = low & MAGNITUDE;
		return (low ^ high) | ((at_least(result, T::INFINITE) | (~at_least(result, LEAST) & at_least(w & MAGNITUDE, 1))) & ~MAGNITUDE);
	}

	// The bit above each of two numbers of 15 bits that is not less than a bound.
	static __device__ unsigned at_least(unsigned pair, unsigned bound) { return pair + (0x8000 - bound) * 0x10001; }
};

// Multiplies a vector by one scale, or by one for each element. A bit of the result for each element in doubt.
template <class T, int N>
static __device__ unsigned quick(Vector v, const typename Quick<T>::Scale (&s)[N], Vector *r)
{
	const int PAIRS = vector_size<T>() / 2;
	unsigned doubts[PAIRS], any = 0, mask = 0;
	r->low = r->high = 0;
#pragma unroll
	for (int i = 0; i < PAIRS; i++) {
		typename Quick<T>::Pair p;
		doubts[i] = Quick<T>::multiply(Quick<T>::get(v, i), s[2 * i % N], s[(2 * i + 1) % N], &p);
		Quick<T>::set(r, i, p);
		any |= doubts[i];
	}
	if (any)
#pragma unroll
		for (int i = 0; i < PAIRS; i++)
			mask |= (unsigned)((doubts[i] & 0xffff) != 0) << 2 * i | (unsigned)(doubts[i] >> 16 != 0) << (2 * i + 1);
	return mask;
}

// Scales the elements in doubt by the exact rule. scales gives those of an element.
template <class T, class F>
static __device__ void redo(Vector v, unsigned mask, F scales, Vector *r, Tally *n)
{
	typedef typename T::bits bits;
#pragma unroll 1
	for (; mask; mask &= mask - 1) {
		int i = __ffs((int)mask) - 1;
		double after, before;
		scales(i, &after, &before);
		r->set(i, scaled<T>(v.get<bits>(i), after, before, n));
	}
}
