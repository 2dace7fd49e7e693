// How a layer in device memory is folded, in place. Used by fold.cu and fold_sums.cu, the second kernels of the resident
// API after affine.
//
//	W' = round((after·W)·before)      b' = s·(b + Σ W·t_before) + t_after
//
// A norm before a layer needs the sum of the weights as they were, so the thread that reads a weight for the
// sum scales it too.
#pragma once
#include "contract.cuh"

// A layer, or a part of a large one of kind VECTORS.
struct Fold {
	Segment weight;
	i64 first_tile, weight_tiles; // the tiles behind the weight's are the bias's
	i64 kind;
	const void *quick;            // the scales of the only norm, as Quick has them; null for two norms
	i64 abreast;                  // for ROWS: how many outputs a warp takes, 1 or ABREAST, all of one group
	Terms terms;                  // for ROWS and COLUMNS
	const char *bias;             // [outputs], null for none
	char *new_bias;               // [outputs], null when the bias stays
	i64 bias_dtype, outputs;
	const double *scale, *shift;  // of the norm after the layer, [outputs]; null for none
	struct Result *result;
};

// How a weight is gone through. A thread takes FEW vectors or outputs: for the first three kinds it looks up the scales
// of its vectors once, or has the next vector on its way while it scales one.
enum {
	VECTORS, // a tile is as in scale.cuh
	RUNS,    // [channels][inner], a channel has whole vectors: a tile is FEW vectors for each thread
	STRIPES, // [outer][channels][inner], a row has whole vectors: a tile is a vector for each thread, in FEW rows
	ROWS,    // with a sum, as in a convolution: a tile is `abreast` outputs for each warp
	COLUMNS, // with a sum, as in a matrix product: a tile is 64 outputs, two for each thread of a warp
};

enum {
	FEW = 8,
	ABREAST = 4,
};

// What the caller is told about a layer.
struct Result {
	Counts counts;
	u64 bias_overflows; // finite, became infinite or not a number
	u64 refused;        // channels without a foldable map: then the layer stays as it is
};

// The new bias of an output. sum is that of its weights, where the kind has one.
static __device__ void fold_bias(const Fold &f, i64 output, double sum, bool write)
{
	double b = f.bias ? load(f.bias_dtype, f.bias, output) : 0;
	double r = f.kind < ROWS ? b : b + sum;
	if (f.scale)
		r = f.scale[output] * r + f.shift[output];
	bool infinite = false;
	BY_DTYPE(f.bias_dtype, store_as, f.new_bias, output, r, write, &infinite)
	if (infinite && b - b == 0)
		atomicAdd(&f.result->bias_overflows, 1ull);
}

template <class T>
static __device__ void fold_runs(const Fold &f, i64 tile, bool write, Counts *n)
{
	const Factor &view = f.weight.after;
	const typename Quick<T>::Scale *scales = (const typename Quick<T>::Scale *)f.quick;
	const unsigned run = (unsigned)(view.inner / vector_size<T>()), vectors = (unsigned)view.channels * run;
	const unsigned step = THREADS / run, rest = THREADS - step * run;

	unsigned v = (unsigned)tile * (THREADS * FEW) + threadIdx.x;
	if (v >= vectors)
		return;
	unsigned channel = v / run, at = v - channel * run;
	Vector *vector = (Vector *)f.weight.data + v, next = *vector;
#pragma unroll 1
	for (int j = 0; j < FEW && v < vectors; j++, v += THREADS, vector += THREADS) {
		Vector now = next, r;
		if (j + 1 < FEW && v + THREADS < vectors)
			next = vector[THREADS];
		const typename Quick<T>::Scale same[] = {scales[channel]};
		unsigned mask = quick<T>(now, same, &r);
		redo<T>(now, mask, [&](int, double *after, double *before) {
			*after = f.scale[channel];
			*before = 1;
		}, &r, n);
		if (write)
			*vector = r;
		channel += step;
		at += rest;
		if (at >= run) {
			at -= run;
			channel++;
		}
	}
}

template <class T>
static __device__ void fold_stripe(const Fold &f, i64 tile, bool write, Counts *n)
{
	const int SIZE = vector_size<T>();
	const Factor &view = f.weight.after;
	const unsigned inner = (unsigned)view.inner, row = (unsigned)view.channels * inner / SIZE;
	unsigned item = (unsigned)tile * THREADS + threadIdx.x, stripe = item / row, column = item - stripe * row;
	i64 rows = view.outer - (i64)stripe * FEW;
	if (rows <= 0)
		return;
	if (rows > FEW)
		rows = FEW;
	Vector *vector = (Vector *)f.weight.data + (i64)stripe * FEW * row + column, next = *vector;

	typename Quick<T>::Scale scales[SIZE];
	unsigned channel = column * SIZE / inner, at = column * SIZE - channel * inner;
#pragma unroll
	for (int i = 0; i < SIZE; i++) {
		scales[i] = ((const typename Quick<T>::Scale *)f.quick)[channel];
		if (++at == inner) {
			at = 0;
			channel++;
		}
	}
#pragma unroll 1
	for (int i = 0; i < rows; i++, vector += row) {
		Vector now = next, r;
		if (i + 1 < rows)
			next = vector[row];
		unsigned mask = quick<T>(now, scales, &r);
		redo<T>(now, mask, [&](int i, double *after, double *before) {
			*after = f.scale[(column * SIZE + i) / inner];
			*before = 1;
		}, &r, n);
		if (write)
			*vector = r;
	}
}

static __device__ void fold_vectors(const Fold &f, i64 tile, bool write, Counts *n)
{
	if (f.kind == VECTORS)
		scale_tile(f.weight, tile, write, n);
	else if (f.kind == RUNS)
		BY_DTYPE(f.weight.dtype, fold_runs, f, tile, write, n)
	else
		BY_DTYPE(f.weight.dtype, fold_stripe, f, tile, write, n)
}

// A tile behind the weight's: a thread for each output.
static __device__ void fold_biases(const Fold &f, i64 tile, bool write)
{
	i64 output = tile * THREADS + threadIdx.x;
	if (output < f.outputs)
		fold_bias(f, output, 0, write);
}

// Without write it only counts. A layer with a refused channel is left as it is. A block does all its tiles with one
// function of the tile.
template <class F>
static __device__ void fold_tiles(const Fold *folds, i64 n, i64 tiles, F fold_tile)
{
	for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
		const Fold &f = folds[entry_of(folds, n, tile)];
		if (f.result->refused)
			continue;
		Counts mine = {0, 0};
		fold_tile(f, tile - f.first_tile, &mine);
		if (mine.overflows)
			atomicAdd(&f.result->counts.overflows, mine.overflows);
		if (mine.vanished)
			atomicAdd(&f.result->counts.vanished, mine.vanished);
	}
}
