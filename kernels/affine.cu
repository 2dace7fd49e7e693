// affine: the maps of norms whose parameters lie in device memory; the first of the resident API's two kernels.
//
//	s = γ / √(σ² + ε)      t = β − (μ·s)
#include "scale.cuh"

// fuse.Norm for consecutive channels. A null gamma is all ones, a null beta all zeros.
struct Norm {
	const char *gamma, *beta, *mean, *var; // [channels], of type dtype
	i64 channels, dtype, first_tile;
	double eps;
	double *scale, *shift; // [channels], out
	Bounds *bounds;        // of the scales, [channels], out
	i64 no_shift;          // the layer can take in no shift, as a padded convolution behind the norm
	u64 *refused;          // counts the channels whose map cannot be folded, with those of the layer's other norm
};

static __device__ bool is_finite(double x) { return x - x == 0; }

extern "C" __global__ void __launch_bounds__(THREADS) affine(const Norm *norms, i64 n, i64 tiles)
{
	for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
		const Norm &p = norms[entry_of(norms, n, tile)];
		i64 c = (tile - p.first_tile) * THREADS + threadIdx.x;
		if (c >= p.channels)
			continue;
		double gamma = p.gamma ? load(p.dtype, p.gamma, c) : 1, beta = p.beta ? load(p.dtype, p.beta, c) : 0;
		double mean = load(p.dtype, p.mean, c), variance = load(p.dtype, p.var, c) + p.eps;
		double s = gamma / sqrt(variance);
		double t = beta - mean * s;
		bool foldable = is_finite(gamma) && is_finite(beta) && is_finite(mean) && is_finite(variance) && variance > 0 &&
			is_finite(s) && is_finite(t) && (t == 0 || !p.no_shift);
		p.scale[c] = s;
		p.shift[c] = t;
		p.bounds[c] = bounds(s);
		if (!foldable)
			atomicAdd(p.refused, 1ull);
	}
}
