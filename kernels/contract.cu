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

// A tile is one output for each warp, a lane for each thread. The output's terms lie side by side, as in a
// convolution: term i is row[i].
template <class T>
static __device__ void contract_rows(const Contraction &p, i64 tile)
{
	typedef typename T::bits bits;
	i64 k = tile * (THREADS / LANES) + threadIdx.x / LANES, lane = threadIdx.x % LANES;
	if (k >= p.outputs)
		return;
	i64 output = p.first_output + k, length = p.terms.channels * p.terms.inner;
	i64 low = p.first - output * length, high = low + p.elems; // the piece, in terms of this output
	const bits *row = (const bits *)p.data - low;
	low = low < 0 ? 0 : low;
	high = high < length ? high : length;

	const double *shift = p.terms.shift + output / p.terms.outer * p.terms.channels;
	double *sum = &p.lanes[k * LANES + lane];
	i64 i = low + ((lane - low) & (LANES - 1));
	Walk<i64> channel(p.terms.inner, i, LANES);
#pragma unroll 1 // four copies of this loop for each type are a long wait for the driver's compiler
	for (; i < high; i += LANES, channel.on()) {
		double value;
		load_as<T>(row, i, &value);
		*sum += value * shift[channel.now];
	}
}

// A tile is 32 outputs side by side, one for each thread of a warp; the warps share the lanes. The weight is stored
// [channels][inner], as in a matrix product: term c of output k is w[c·inner + k].
template <class T>
static __device__ void contract_columns(const Contraction &p, i64 tile)
{
	typedef typename T::bits bits;
	i64 k = tile * LANES + threadIdx.x % LANES, inner = p.terms.inner;
	if (k >= p.outputs)
		return;
	const bits *w = (const bits *)p.data - p.first;
	i64 first = p.first > k ? (p.first - k + inner - 1) / inner : 0; // the first term of the piece
	for (i64 lane = threadIdx.x / LANES; lane < LANES; lane += THREADS / LANES) {
		double *sum = &p.lanes[k * LANES + lane];
#pragma unroll 1
		for (i64 c = first + ((lane - first) & (LANES - 1)); c * inner + k < p.first + p.elems; c += LANES) {
			double value;
			load_as<T>(w, c * inner + k, &value);
			*sum += value * p.terms.shift[c];
		}
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
