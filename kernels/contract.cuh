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

// The channel of term i of an output whose terms lie side by side; its lane's next term is LANES further on.
struct RowChannel {
	i64 inner, now, at; // the term is element `at` of the channel
	int a_step, rest;   // a step is so many channels, and elements more

	__device__ RowChannel(i64 inner, i64 i) : inner(inner), a_step(0), rest(LANES)
	{
		now = i < inner ? 0 : i < 1ll << 31 ? (unsigned)i / (unsigned)inner : i / inner;
		at = i - now * inner;
		if (inner <= LANES) {
			a_step = LANES / (int)inner;
			rest = LANES - a_step * (int)inner;
		}
	}

	__device__ void step()
	{
		now += a_step;
		at += rest;
		if (at >= inner) {
			at -= inner;
			now++;
		}
	}
};
