// Σ W·t, the sum a norm before a layer leaves in its bias, in the order fuse.Contraction defines: term i of
// an output goes to its lane i mod 32, in ascending order, each product rounded to float64. Used by
// contract.cu and fold.cu.
#pragma once
#include "scale.cuh"

enum { LANES = 32 }; // fuse.NumLanes: the threads of a warp

// The view of a weight with a norm before its layer, and the norm's shift for each channel.
struct Terms {
	const double *shift;
	i64 outer, channels, inner;
};

// One lane of an output whose terms lie side by side, as in a convolution: term i is row[i]. Adds the terms
// in [low, high), reading each weight once, and gives each the weight's index, bits and channel.
template <class T, class Each>
static __device__ double row_lane(const typename T::bits *row, const Terms &t, i64 group, i64 low, i64 high,
	i64 lane, double sum, Each each)
{
	const double *shift = t.shift + group * t.channels;
	i64 i = low + ((lane - low) & (LANES - 1));
	i64 channel = i / t.inner, inner = i - channel * t.inner;
	i64 channels_a_step = LANES / t.inner, inner_a_step = LANES - channels_a_step * t.inner;
#pragma unroll 1 // four copies of this loop for each type are a long wait for the driver's compiler
	for (; i < high; i += LANES) {
		typename T::bits w = row[i];
		double value;
		load_as<T>(&w, 0, &value);
		sum += value * shift[channel];
		each(i, w, channel);
		channel += channels_a_step;
		inner += inner_a_step;
		if (inner >= t.inner) {
			inner -= t.inner;
			channel++;
		}
	}
	return sum;
}

// One lane of output k of a weight stored [channels][inner], as in a matrix product: term c is w[c][k]. Adds
// the terms whose element c·inner + k lies in [low, high).
template <class T, class Each>
static __device__ double column_lane(const typename T::bits *w, const Terms &t, i64 k, i64 low, i64 high,
	i64 lane, double sum, Each each)
{
	i64 first = low > k ? (low - k + t.inner - 1) / t.inner : 0; // the first term not before low
#pragma unroll 1
	for (i64 c = first + ((lane - first) & (LANES - 1)); c * t.inner + k < high; c += LANES) {
		typename T::bits b = w[c * t.inner + k];
		double value;
		load_as<T>(&b, 0, &value);
		sum += value * t.shift[c];
		each(c * t.inner + k, b, c);
	}
	return sum;
}
