// How a block of threads scales a tile of a tensor, whatever its scales and wherever it lies. Used by scale.cu and
// fold.cuh.
#pragma once
#include "quick.cuh"
#include "view.cuh"

enum {
	THREADS = 256, // of a block
	VECTOR_BYTES = 16, // of a Vector
	VECTORS_PER_THREAD = 4,
	TILE_BYTES = THREADS * VECTORS_PER_THREAD * VECTOR_BYTES,
};

// fuse.Segment: at most 2^30 consecutive elements of a tensor. Tiles are counted from the vector that holds
// data, which need not be aligned.
struct Segment {
	char *data;
	i64 elems, dtype, first_tile;
	Factor after, before;
};

// A tensor's first and last vectors may hold elements that are not its own.
template <class T>
static __device__ void scale_part(const Segment &s, int low, int high, bool write, Tally *n)
{
	typename T::bits *w = (typename T::bits *)s.data;
#pragma unroll 1
	for (int i = low; i < high; i++) {
		typename T::bits r = scaled<T>(w[i], Scale(s.after, i).value, Scale(s.before, i).value, n);
		if (write)
			w[i] = r;
	}
}

// The vector that starts with an element.
template <class T>
static __device__ Vector scale_vector(const Segment &s, int start, Vector v, Tally *n)
{
	Scale after(s.after, start), before(s.before, start);
	Vector r = v;
	unsigned mask = ~(~0u << vector_size<T>());
	bool two = s.after.scale && s.before.scale;
	if (after.left >= vector_size<T>() && before.left >= vector_size<T>() && !two) {
		const typename Quick<T>::Scale same[] = {Quick<T>::scale(after.value * before.value)};
		mask = quick<T>(v, same, &r);
	}
	redo<T>(v, mask, [&](int i, double *a, double *b) {
		*a = Scale(s.after, start + i).value;
		*b = Scale(s.before, start + i).value;
	}, &r, n);
	return r;
}

template <class T>
static __device__ void scale_tile_as(const Segment &s, int tile, bool write, Tally *n)
{
	const int size = (int)sizeof(typename T::bits), elems = (int)s.elems;
	const int misaligned = (int)((size_t)s.data % VECTOR_BYTES);
	Vector *vectors = (Vector *)(s.data - misaligned);
	int v = tile * (THREADS * VECTORS_PER_THREAD) + threadIdx.x;
#pragma unroll 1
	for (int j = 0; j < VECTORS_PER_THREAD; j++, v += THREADS) {
		int start = v * vector_size<T>() - misaligned / size, end = start + vector_size<T>();
		if (start < 0 || end > elems)
			scale_part<T>(s, start < 0 ? 0 : start, end < elems ? end : elems, write, n);
		else {
			Vector r = scale_vector<T>(s, start, vectors[v], n);
			if (write)
				vectors[v] = r;
		}
	}
}

static __device__ void scale_tile(const Segment &s, i64 tile, bool write, Tally *n)
{
	BY_DTYPE(s.dtype, scale_tile_as, s, (int)tile, write, n)
}
