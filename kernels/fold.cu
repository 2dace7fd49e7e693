// fold: the weights and biases of a whole model in device memory, in place, in one launch; the second of the
// resident API's two kernels, after affine.
//
//	W' = round((after·W)·before)      b' = s·(b + Σ W·t_before) + t_after
//
// A norm before a layer needs the sum of the weights as they were, so the thread that reads a weight for the
// sum scales it too.
#include "contract.cuh"

// A layer, or a part of a large one of kind VECTORS.
struct Fold {
	Segment weight;
	i64 first_tile, weight_tiles; // the tiles behind the weight's are the bias's
	i64 kind;
	Terms terms;                  // for ROWS and COLUMNS
	const char *bias;             // [outputs], null for none
	char *new_bias;               // [outputs], null when the bias stays
	i64 bias_dtype, outputs;
	const double *scale, *shift;  // of the norm after the layer, [outputs]; null for none
	struct Result *result;
};

enum {
	VECTORS, // no sum: a tile is as in scale.cu, and a bias tile a thread for each output
	ROWS,    // a tile is an output for each warp
	COLUMNS, // a tile is 32 outputs, one for each thread of a warp
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
	double r = f.kind == VECTORS ? b : b + sum;
	if (f.scale)
		r = f.scale[output] * r + f.shift[output];
	bool infinite = false;
	BY_DTYPE(f.bias_dtype, store_as, f.new_bias, output, r, write, &infinite)
	if (infinite && b - b == 0)
		atomicAdd(&f.result->bias_overflows, 1ull);
}

// Scales a weight the sum has seen. weights points to the element with index 0.
template <class T>
struct ScaleEach {
	typename T::bits *weights;
	double after; // the scale of the output, the same for all its weights
	const double *before;
	bool write;
	Counts *n;

	__device__ void operator()(i64 i, typename T::bits w, i64 channel) const
	{
		typename T::bits r = scaled<T>(w, after, before[channel], n);
		if (write)
			weights[i] = r;
	}
};

// Lane j takes lane j+16, then j+8, 4, 2 and 1, as fuse.SumLanes. The sum is lane 0's.
static __device__ double sum_lanes(double sum)
{
	for (int half = LANES / 2; half > 0; half /= 2)
		sum += __shfl_down_sync(0xffffffffu, sum, half);
	return sum;
}

// Lane j of an output whose weights lie side by side: scales its share of them, and gives their sum.
template <class T>
static __device__ void fold_row(const Fold &f, i64 output, i64 lane, bool write, double *sum, Counts *n)
{
	i64 length = f.terms.channels * f.terms.inner, group = output / f.terms.outer;
	typename T::bits *row = (typename T::bits *)f.weight.data + output * length;
	ScaleEach<T> each = {row, f.scale ? f.scale[output] : 1, f.weight.before.scale + group * f.terms.channels, write, n};
	*sum = row_lane<T>(row, f.terms, group, 0, length, lane, 0.0, each);
}

// The same for an output whose weights lie one under the other.
template <class T>
static __device__ void fold_column(const Fold &f, i64 output, i64 lane, bool write, double *sum, Counts *n)
{
	typename T::bits *w = (typename T::bits *)f.weight.data;
	ScaleEach<T> each = {w, f.scale ? f.scale[output] : 1, f.weight.before.scale, write, n};
	*sum = column_lane<T>(w, f.terms, output, 0, f.weight.elems, lane, 0.0, each);
}

static __device__ void fold_rows(const Fold &f, i64 tile, bool write, Counts *n)
{
	i64 output = tile * (THREADS / LANES) + threadIdx.x / LANES, lane = threadIdx.x % LANES;
	if (output >= f.outputs)
		return;
	double sum = 0;
	BY_DTYPE(f.weight.dtype, fold_row, f, output, lane, write, &sum, n)
	sum = sum_lanes(sum);
	if (lane == 0)
		fold_bias(f, output, sum, write);
}

static __device__ void fold_columns(const Fold &f, i64 tile, bool write, double (*lanes)[LANES + 1], Counts *n)
{
	i64 side = threadIdx.x % LANES, warp = threadIdx.x / LANES, output = tile * LANES + side;
	for (i64 lane = warp; lane < LANES && output < f.outputs; lane += THREADS / LANES)
		BY_DTYPE(f.weight.dtype, fold_column, f, output, lane, write, &lanes[side][lane], n)
	__syncthreads();
	for (i64 i = warp; i < LANES; i += THREADS / LANES) {
		double sum = sum_lanes(lanes[i][side]);
		if (side == 0 && tile * LANES + i < f.outputs)
			fold_bias(f, tile * LANES + i, sum, write);
	}
	__syncthreads(); // the lanes are free for the next tile
}

static __device__ void fold_tile(const Fold &f, i64 tile, bool write, double (*lanes)[LANES + 1], Counts *n)
{
	i64 output = (tile - f.weight_tiles) * THREADS + threadIdx.x;
	if (tile >= f.weight_tiles) {
		if (output < f.outputs)
			fold_bias(f, output, 0, write);
	} else if (f.kind == VECTORS)
		scale_tile(f.weight, tile, write, n);
	else if (f.kind == ROWS)
		fold_rows(f, tile, write, n);
	else
		fold_columns(f, tile, write, lanes, n);
}

// Without write it only counts. A layer with a refused channel is left as it is.
extern "C" __global__ void __launch_bounds__(THREADS) fold(const Fold *folds, i64 n, i64 tiles, i64 write)
{
	__shared__ double lanes[LANES][LANES + 1]; // [output][lane]; the odd width spreads a column over the banks
	for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
		const Fold &f = folds[entry_of(folds, n, tile)];
		if (f.result->refused)
			continue;
		Counts mine = {0, 0};
		fold_tile(f, tile - f.first_tile, write != 0, lanes, &mine);
		if (mine.overflows)
			atomicAdd(&f.result->counts.overflows, mine.overflows);
		if (mine.vanished)
			atomicAdd(&f.result->counts.vanished, mine.vanished);
	}
}
