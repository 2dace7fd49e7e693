// Σ W·t, the sum a norm before a layer leaves in its bias, in the order fuse.Contraction defines: term i of
// an output goes to its lane i mod 32, in ascending order, each product rounded to float64. Used by
// contract.cu and fold_sums.cu.
#pragma once
#include "scale.cuh"

enum { LANES = 32 }; // fuse.NumLanes: the threads of a warp

// The view of a weight with a norm before its layer, and the norm's shift for each channel.
struct Terms {
	const double *shift;
	i64 outer, channels, inner;
};
