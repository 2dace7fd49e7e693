// A weight's memory as [groups][outer][channels][inner], the four numbers of fuse.View.
#pragma once
#include "element.cuh"

// fuse.Factor: a scale for each channel, and where the first element of the segment stands in the view. A
// null scale is all ones.
struct Factor {
	const double *scale; // [groups·channels]
	i64 outer, channels, inner;
	i64 at_group, at_outer, at_channel, at_inner;
};

// Brings *at, which is less than size + 2^31, under size, and returns how often size was taken off: a carry
// for the next position. A 32-bit division, because one of 64 bits takes as long as all the rest of a kernel
// here; that is why a segment has less than 2^31 elements, whatever the size of its tensor.
static __device__ unsigned carry(i64 *at, i64 size)
{
	if (*at < size)
		return 0;
	unsigned over = (unsigned)(*at - size), more = size >> 31 ? 0 : over / (unsigned)size;
	*at = over - more * (unsigned)size;
	return 1 + more;
}

// The scales of consecutive elements, one after the other, starting with the segment's element given.
struct Scales {
	const Factor &f;
	i64 group, outer, channel;
	int left;   // how many elements more have this scale, this one included; counted no further than MANY
	double now; // the scale

	static const int MANY = 1 << 20;

	__device__ Scales(const Factor &f, unsigned element) : f(f), left(MANY), now(1)
	{
		if (!f.scale)
			return;
		i64 inner = f.at_inner + element;
		channel = f.at_channel + carry(&inner, f.inner);
		outer = f.at_outer + carry(&channel, f.channels);
		group = f.at_group + carry(&outer, f.outer);
		read(inner);
	}

	__device__ void next()
	{
		if (--left > 0 || !f.scale)
			return;
		if (++channel == f.channels) {
			channel = 0;
			if (++outer == f.outer) {
				outer = 0;
				group++;
			}
		}
		read(0);
	}

	__device__ void read(i64 inner)
	{
		i64 rest = f.inner - inner;
		left = rest < MANY ? (int)rest : MANY;
		now = f.scale[group * f.channels + channel];
	}
};

// Which of the n entries of a table covers the tile: the last whose first tile is not behind it. Entries
// lie in order, and each has a tile of its own.
template <class E>
static __device__ i64 entry_of(const E *table, i64 n, i64 tile)
{
	i64 low = 0, high = n;
	while (high - low > 1) {
		i64 middle = (low + high) / 2;
		if (table[middle].first_tile <= tile)
			low = middle;
		else
			high = middle;
	}
	return low;
}
