// contract: adds the products W·t of pieces of weights to the lanes of their outputs; the staged engine's kernel.
#include "contract.cuh"

// fuse.Contraction. lanes is that of output first_output, the first the piece reaches.
struct Contraction {
	const char *data;
	i64 elems, first, dtype, first_tile;
	Terms terms;
	i64 per_inner, first_output, outputs;
	double *lanes; // [outputs][LANES]
};

struct Nothing {
	template <class B>
	__device__ void operator()(i64, B, i64) const {}
};

// A tile is one output for each warp, a lane for each thread.
template <class T>
static __device__ void contract_rows(const Contraction &p, i64 tile)
{
	typedef typename T::bits bits;
	i64 i = tile * (THREADS / LANES) + threadIdx.x / LANES, lane = threadIdx.x % LANES;
	if (i >= p.outputs)
		return;
	i64 output = p.first_output + i, length = p.terms.channels * p.terms.inner;
	i64 low = p.first - output * length, high = low + p.elems; // the piece, in terms of this output
	const bits *row = (const bits *)p.data - low;
	double *sum = &p.lanes[i * LANES + lane];
	*sum = row_lane<T>(row, p.terms, output / p.terms.outer, low < 0 ? 0 : low, high < length ? high : length,
		lane, *sum, Nothing());
}

// A tile is 32 outputs side by side, one for each thread of a warp; the warps share the lanes.
template <class T>
static __device__ void contract_columns(const Contraction &p, i64 tile)
{
	typedef typename T::bits bits;
	i64 k = tile * LANES + threadIdx.x % LANES;
	if (k >= p.outputs)
		return;
	const bits *w = (const bits *)p.data - p.first;
	for (i64 lane = threadIdx.x / LANES; lane < LANES; lane += THREADS / LANES) {
		double *sum = &p.lanes[k * LANES + lane];
		*sum = column_lane<T>(w, p.terms, k, p.first, p.first + p.elems, lane, *sum, Nothing());
	}
}

extern "C" __global__ void __launch_bounds__(THREADS) contract(const Contraction *pieces, i64 n, i64 tiles)
{
	for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
		const Contraction &p = pieces[entry_of(pieces, n, tile)];
		if (p.per_inner)
			BY_DTYPE(p.dtype, contract_columns, p, tile - p.first_tile)
		else
			BY_DTYPE(p.dtype, contract_rows, p, tile - p.first_tile)
	}
}
