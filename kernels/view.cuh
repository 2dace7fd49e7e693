// A weight's memory as [groups][outer][channels][inner], the four numbers of fuse.View.
#pragma once
#include "element.cuh"

// fuse.Factor: a scale for each channel, and where the first element of the segment stands in the view. A
// null scale is all ones. The numbers are below 2^31, and the view has less channels than that.
struct Factor {
	const double *scale; // [groups·channels]
	i64 outer, channels, inner;
	i64 at_group, at_outer, at_channel, at_inner;
};

// Brings *at under size, and returns how often size was taken off: a carry for the next position. Everything here has
// 32 bits, because a division of 64 takes as long as all the rest of a kernel.
static __device__ unsigned carry(unsigned *at, unsigned size)
{
	if (*at < size)
		return 0;
	unsigned times = *at / size;
	*at -= times * size;
	return times;
}

// An element's scale, and how many elements have it, this one and those behind it.
struct Scale {
	double value;
	int left;

	__device__ Scale(const Factor &f, int element) : value(1), left(0x7fffffff)
	{
		if (!f.scale)
			return;
		unsigned inner = (unsigned)f.at_inner + element, channels = (unsigned)f.channels;
		unsigned channel = (unsigned)f.at_channel + carry(&inner, (unsigned)f.inner);
		unsigned outer = (unsigned)f.at_outer + carry(&channel, channels);
		unsigned group = (unsigned)f.at_group + carry(&outer, (unsigned)f.outer);
		value = f.scale[group * channels + channel];
		left = (int)((unsigned)f.inner - inner);
	}
};

// A division of 64 bits is a long routine, and most numbers are small.
static __device__ unsigned divide(unsigned a, unsigned b) { return a / b; }
static __device__ i64 divide(i64 a, i64 b) { return a < b ? 0 : a < 1ll << 31 ? (unsigned)a / (unsigned)b : a / b; }

// The channel that something lies in, where each has a size, and then the channel of what lies a stride further on.
template <class I>
struct Walk {
	I size, now, at;  // at is how far into the channel
	I channels, rest; // of a stride

	__device__ Walk(I size, I first, I stride) : size(size)
	{
		now = divide(first, size);
		at = first - now * size;
		channels = divide(stride, size);
		rest = stride - channels * size;
	}

	__device__ void on()
	{
		now += channels;
		at += rest;
		if (at >= size) {
			at -= size;
			now++;
		}
	}
};

// Which of the n entries of a table covers the tile: the last whose first tile is not behind it. Entries
// lie in order, and each has a tile of its own. The table may be of the first tiles alone: then what a search reads
// stays near the multiprocessor.
template <class E> static __device__ i64 first_tile(const E &entry) { return entry.first_tile; }
static __device__ i64 first_tile(const i64 &first) { return first; }

template <class E>
static __device__ i64 entry_of(const E *table, i64 n, i64 tile)
{
	i64 low = 0, high = n;
	while (high - low > 1) {
		i64 middle = (low + high) / 2;
		if (first_tile(table[middle]) <= tile)
			low = middle;
		else
			high = middle;
	}
	return low;
}
