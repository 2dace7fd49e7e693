// How a block of threads scales a tile of a tensor. Used by scale.cu and fold.cu.
#pragma once
#include "half.cuh"
#include "view.cuh"

enum {
	THREADS = 256, // of a block
	VECTOR_BYTES = 16,
	VECTORS_PER_THREAD = 4,
	TILE_BYTES = THREADS * VECTORS_PER_THREAD * VECTOR_BYTES,
};

// fuse.Segment: less than 2^31 consecutive elements of a tensor. Tiles are counted from the vector that holds
// data, which need not be aligned.
struct Segment {
	char *data;
	i64 elems, dtype, first_tile;
	Factor after, before;
};

// Scales the first element, and puts it behind the last: so a loop goes through a vector, because registers
// cannot be indexed.
template <class T>
static __device__ void scale_first(Vector *v, double after, double before, Counts *n)
{
	u64 r = scaled<T>((typename T::bits)v->low, after, before, n);
	const int BITS = 8 * sizeof(typename T::bits), REST = 64 - BITS;
	v->low = REST ? v->low >> BITS % 64 | v->high << REST : v->high;
	v->high = REST ? v->high >> BITS % 64 | r << REST : r;
}

static __device__ Vector scale_vector(const Segment &s, unsigned start, unsigned elems, Vector v, Counts *n)
{
	Scales after(s.after, start), before(s.before, start);
	if (s.dtype >= FLOAT16 && after.left >= 8 && before.left >= 8)
		if (s.dtype == FLOAT16 ? scale_halves<10>(&v, after.now, before.now, n) : scale_halves<7>(&v, after.now, before.now, n))
			return v;
	for (;;) {
		BY_DTYPE(s.dtype, scale_first, &v, after.now, before.now, n)
		if (--elems == 0)
			return v;
		after.next();
		before.next();
	}
}

template <class T>
static __device__ void scale_one(const Segment &s, unsigned i, double after, double before, bool write, Counts *n)
{
	typename T::bits *w = (typename T::bits *)s.data + i, r = scaled<T>(*w, after, before, n);
	if (write)
		*w = r;
}

// A tensor's first and last vectors may hold elements that are not its own.
static __device__ void scale_part(const Segment &s, i64 low, i64 high, bool write, Counts *n)
{
	for (i64 i = low; i < high; i++) {
		Scales after(s.after, (unsigned)i), before(s.before, (unsigned)i);
		BY_DTYPE(s.dtype, scale_one, s, (unsigned)i, after.now, before.now, write, n)
	}
}

static __device__ void scale_tile(const Segment &s, i64 tile, bool write, Counts *n)
{
	const int size = s.dtype == FLOAT64 ? 8 : s.dtype == FLOAT32 ? 4 : 2, per_vector = VECTOR_BYTES / size;
	const int misaligned = (int)((size_t)s.data % VECTOR_BYTES);
	const i64 skip = misaligned / size; // elements of the first vector that lie before data
	Vector *vectors = (Vector *)(s.data - misaligned);

	i64 v = tile * (TILE_BYTES / VECTOR_BYTES) + threadIdx.x;
	for (int j = 0; j < VECTORS_PER_THREAD; j++, v += THREADS) {
		i64 start = v * per_vector - skip, end = start + per_vector;
		if (start < 0 || end > s.elems)
			scale_part(s, start < 0 ? 0 : start, end < s.elems ? end : s.elems, write, n);
		else {
			Vector r = scale_vector(s, (unsigned)start, (unsigned)per_vector, vectors[v], n);
			if (write)
				vectors[v] = r;
		}
	}
}
