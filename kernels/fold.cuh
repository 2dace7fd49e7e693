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

// How a weight is gone through.
enum {
	VECTORS, // a tile is as in scale.cuh
	RUNS,    // [channels][inner], a channel has whole vectors: a tile is FEW vectors for each thread
	STRIPES, // [outer][channels][inner], a row has whole vectors: a tile is a vector for each thread, in FEW rows
	ROWS,    // with a sum, as in a convolution: a tile is `abreast` outputs for each warp
	COLUMNS, // with a sum, as in a matrix product: a tile is 64 outputs, two for each thread of a warp
};

enum {
	FEW = 4, // vectors of a thread
	ABREAST = 4,
};

// What the caller is told about a layer.
struct Result {
	Counts counts;
	u64 bias_overflows; // finite, became infinite or not a number
	u64 refused;        // channels without a foldable map: then the layer stays as it is
};

// The new bias of an output. sum is that of its weights, where the kind has one.
static __device__ void fold_bias(const Fold &f, i64 output, double sum, bool write, Tally *n)
{
	double b = f.bias ? load(f.bias_dtype, f.bias, output) : 0;
	double r = f.kind < ROWS ? b : b + sum;
	if (f.scale)
		r = f.scale[output] * r + f.shift[output];
	bool infinite = false;
	BY_DTYPE(f.bias_dtype, store_as, f.new_bias, output, r, write, &infinite)
	n->bias_overflows += infinite && b - b == 0;
}

// Scales count vectors that lie step apart, FEW at most; f gives what becomes of one. All are read before the first is
// scaled: then a block reads at one time and writes at another, which memory likes better than both at once.
template <class F>
static __device__ void each_vector(Vector *vectors, i64 step, int count, bool write, F f)
{
	Vector v[FEW];
#pragma unroll
	for (int i = 0; i < FEW; i++)
		v[i] = vectors[i < count ? i * step : 0];
#pragma unroll
	for (int i = 0; i < FEW; i++)
		if (i < count) {
			Vector r = f(v[i]);
			if (write)
				vectors[i * step] = r;
		}
}

// A weight [channels][inner].
template <class T>
static __device__ void fold_runs(const Fold &f, i64 tile, bool write, Tally *n)
{
	typedef typename Quick<T>::Scale Scale;
	const Factor &view = f.weight.after;
	const unsigned run = (unsigned)(view.inner / vector_size<T>()), vectors = (unsigned)view.channels * run;

	unsigned v = (unsigned)tile * (THREADS * FEW) + threadIdx.x;
	if (v >= vectors)
		return;
	const int count = vectors - v > (FEW - 1) * THREADS ? FEW : (int)((vectors - 1 - v) / THREADS) + 1;
	Walk<unsigned> channel(run, v, THREADS);
	const Scale *scales = (const Scale *)f.quick;
	each_vector((Vector *)f.weight.data + v, THREADS, count, write, [&](Vector v) {
		Vector r;
		const Scale same[] = {scales[channel.now]};
		unsigned mask = quick<T>(v, same, &r);
		redo<T>(v, mask, [&](int, double *after, double *before) {
			*after = f.scale[channel.now];
			*before = 1;
		}, &r, n);
		channel.on();
		return r;
	});
}

// A weight [outer][channels][inner]: a thread has a column of it, so that it looks up the scales once.
template <class T>
static __device__ void fold_stripe(const Fold &f, i64 tile, bool write, Tally *n)
{
	typedef typename Quick<T>::Scale Scale;
	const int SIZE = vector_size<T>();
	const Factor &view = f.weight.after;
	const unsigned inner = (unsigned)view.inner, row = (unsigned)view.channels * inner / SIZE;
	unsigned item = (unsigned)tile * THREADS + threadIdx.x, stripe = item / row, column = item - stripe * row;
	i64 rows = view.outer - (i64)stripe * FEW;
	if (rows <= 0)
		return;

	Scale scales[SIZE];
	unsigned channel = column * SIZE / inner, at = column * SIZE - channel * inner;
#pragma unroll
	for (int i = 0; i < SIZE; i++) {
		scales[i] = ((const Scale *)f.quick)[channel];
		if (++at == inner) {
			at = 0;
			channel++;
		}
	}
	Vector *vector = (Vector *)f.weight.data + (i64)stripe * FEW * row + column;
	each_vector(vector, row, rows < FEW ? (int)rows : FEW, write, [&](Vector v) {
		Vector r;
		unsigned mask = quick<T>(v, scales, &r);
		redo<T>(v, mask, [&](int i, double *after, double *before) {
			*after = f.scale[(column * SIZE + i) / inner];
			*before = 1;
		}, &r, n);
		return r;
	});
}

static __device__ void fold_vectors(const Fold &f, i64 tile, bool write, Tally *n)
{
	if (f.kind == VECTORS)
		scale_tile(f.weight, tile, write, n);
	else if (f.kind == RUNS)
		BY_DTYPE(f.weight.dtype, fold_runs, f, tile, write, n)
	else
		BY_DTYPE(f.weight.dtype, fold_stripe, f, tile, write, n)
}

// A tile behind the weight's: a thread for each output.
static __device__ void fold_biases(const Fold &f, i64 tile, bool write, Tally *n)
{
	i64 output = tile * THREADS + threadIdx.x;
	if (output < f.outputs)
		fold_bias(f, output, 0, write, n);
}

// Most threads have nothing to count.
static __device__ void count(u64 *to, unsigned n)
{
	if (n)
		atomicAdd(to, (u64)n);
}

// Calls fold_tile for each tile. Without write it only counts. A layer with a refused channel is left as it is; whether it
// has one is looked up while its weights are on their way. The folds' first tiles lie behind the folds.
template <class F>
static __device__ void fold_tiles(const Fold *folds, i64 n, i64 tiles, bool write, F fold_tile)
{
	for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
		const Fold &f = folds[entry_of((const i64 *)(folds + n), n, tile)];
		const bool refused = f.result->refused;
		Tally mine = {0, 0, 0};
		fold_tile(f, tile - f.first_tile, write && !refused, &mine);
		if (refused)
			continue;
		count(&f.result->counts.overflows, mine.overflows);
		count(&f.result->counts.vanished, mine.vanished);
		count(&f.result->bias_overflows, mine.bias_overflows);
	}
}
