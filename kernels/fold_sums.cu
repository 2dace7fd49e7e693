// fold_sums: as fold, for models with norms before their layers. It needs more registers than fold, so it keeps less of
// the device busy with what fold can do.
#include "fold.cuh"

// Four weights, the upper two with one scale, the lower two with another. Each has a register of its own: weights that
// share one would wait for each other when they are loaded.
template <class T>
struct Four {
	typename Quick<T>::Register w[4];
};

// Scales four weights. exact gives the scales of a weight in doubt.
template <class T, class F>
static __device__ Four<T> scale_four(const Four<T> &v, bool quick, typename Quick<T>::Scale s, typename Quick<T>::Scale t, F exact, Tally *n)
{
	typedef Quick<T> Q;
	typename Q::Pair upper = Q::pair(v.w[0], v.w[1]), lower = Q::pair(v.w[2], v.w[3]);
	unsigned doubt_upper = ~0u, doubt_lower = ~0u;
	if (quick) {
		doubt_upper = Q::multiply(upper, s, s, &upper);
		doubt_lower = Q::multiply(lower, t, t, &lower);
	}
	Four<T> r = {{Q::first(upper), Q::second(upper), Q::first(lower), Q::second(lower)}};
	if (doubt_upper | doubt_lower)
#pragma unroll
		for (int i = 0; i < 4; i++)
			if ((i < 2 ? doubt_upper : doubt_lower) & 0xffffu << 16 * (i & 1)) {
				double after, before;
				exact(i, &after, &before);
				r.w[i] = scaled<T>((typename T::bits)v.w[i], after, before, n);
			}
	return r;
}

// Lane j takes lane j+16, then j+8, 4, 2 and 1, as fuse.SumLanes. The sum is lane 0's.
static __device__ double sum_lanes(double sum)
{
	for (int half = LANES / 2; half > 0; half /= 2)
		sum += __shfl_down_sync(0xffffffffu, sum, half);
	return sum;
}

// Outputs whose weights lie side by side, as in a convolution: a thread has a lane of each of a few outputs, scales
// its share of their weights and adds up the products.
template <class T>
static __device__ void fold_rows(const Fold &f, i64 tile, bool write, Tally *n)
{
	typedef typename T::bits bits;
	typedef typename Quick<T>::Scale Scale;
	const unsigned lane = threadIdx.x % LANES;
	i64 output = (tile * (THREADS / LANES) + threadIdx.x / LANES) * f.abreast;
	i64 left = f.outputs - output;
	if (left <= 0)
		return;
	const int count = left < f.abreast ? (int)left : (int)f.abreast;
	const unsigned length = (unsigned)(f.terms.channels * f.terms.inner);
	const i64 first_channel = (output < f.terms.outer ? 0 : output / f.terms.outer) * f.terms.channels;
	const bool quick = f.quick;
	const Scale *scales = (const Scale *)f.quick + first_channel;
	const double *shifts = f.terms.shift + first_channel;

	// Outputs that are not there read what the first one reads, so that no load waits for a condition.
	bits *w[ABREAST];
	double sum[ABREAST];
	Four<T> next;
#pragma unroll
	for (int k = 0; k < ABREAST; k++) {
		w[k] = (bits *)f.weight.data + (output + (k < count ? k : 0)) * length;
		next.w[k] = w[k][lane < length ? lane : 0];
		sum[k] = 0;
	}
	Walk<unsigned> channel((unsigned)f.terms.inner, lane, LANES);
#pragma unroll 1
	for (unsigned i = lane; i < length; i += LANES, channel.on()) {
		Four<T> now = next; // the next are on their way while these are scaled
		const unsigned ahead = i + LANES < length ? i + LANES : i;
#pragma unroll
		for (int k = 0; k < ABREAST; k++)
			next.w[k] = w[k][ahead];
		double shift = shifts[channel.now];
		Scale s = quick ? scales[channel.now] : Scale();
#pragma unroll
		for (int k = 0; k < ABREAST; k++)
			sum[k] += T::widen((bits)now.w[k]) * shift;
		now = scale_four<T>(now, quick, s, s, [&](int k, double *after, double *before) {
			*after = f.scale && k < count ? f.scale[output + k] : 1;
			*before = k < count ? f.weight.before.scale[first_channel + channel.now] : 1;
		}, n);
#pragma unroll
		for (int k = 0; k < ABREAST; k++)
			if (write && k < count)
				w[k][i] = (bits)now.w[k];
	}
#pragma unroll 1
	for (int k = 0; k < count; k++) {
		double all = sum_lanes(sum[0]);
		if (lane == 0)
			fold_bias(f, output + k, all, write, n);
#pragma unroll
		for (int j = 1; j < ABREAST; j++) // registers cannot be indexed
			sum[j - 1] = sum[j];
	}
}

// A lane of outputs k and k + LANES of a weight stored [channels][inner], as in a matrix product: term c is
// w[c·inner + k]. Scales the lane's share of their weights, two terms at a time, and adds up the products.
template <class T>
static __device__ void fold_columns_lane(const Fold &f, i64 k, int lane, bool write, double (&sum)[2], Tally *n)
{
	typedef typename T::bits bits;
	typedef typename Quick<T>::Scale Scale;
	const i64 channels = f.terms.channels, row = f.terms.inner, step = LANES * row;
	const Scale *scales = (const Scale *)f.quick;
	const double *shifts = f.terms.shift;
	const bool both = k + LANES < f.outputs;
	const i64 to = both ? LANES : 0; // an output that is not there reads what the other one reads
	bits *w = (bits *)f.weight.data + (lane < channels ? lane : 0) * row + k;
	sum[0] = sum[1] = 0;

	i64 c = lane;
	i64 down = c + LANES < channels ? step : 0; // from the first term to the second, if there is one
	Four<T> next = {{w[0], w[to], w[down], w[down + to]}};
#pragma unroll 1
	for (; c < channels; c += 2 * LANES) {
		Four<T> now = next; // the next are on their way while these are scaled
		const bool second = c + LANES < channels;
		bits *ahead = w + (c + 2 * LANES < channels ? 2 * step : 0);
		i64 down_ahead = c + 3 * LANES < channels ? step : 0;
		next.w[0] = ahead[0];
		next.w[1] = ahead[to];
		next.w[2] = ahead[down_ahead];
		next.w[3] = ahead[down_ahead + to];

		i64 d = second ? c + LANES : c;
		double shift = shifts[c], shift_down = shifts[d];
		Scale s = scales ? scales[c] : Scale(), t = scales ? scales[d] : Scale();
		sum[0] += T::widen((bits)now.w[0]) * shift;
		sum[1] += T::widen((bits)now.w[1]) * shift;
		if (second) {
			sum[0] += T::widen((bits)now.w[2]) * shift_down;
			sum[1] += T::widen((bits)now.w[3]) * shift_down;
		}
		now = scale_four<T>(now, scales, s, t, [&](int i, double *after, double *before) {
			bool there = (both || !(i & 1)) && (second || i < 2);
			*after = there && f.scale ? f.scale[k + (i & 1) * LANES] : 1;
			*before = there ? f.weight.before.scale[i < 2 ? c : d] : 1;
		}, n);
		if (write) {
			w[0] = (bits)now.w[0];
			if (both)
				w[LANES] = (bits)now.w[1];
			if (second) {
				w[step] = (bits)now.w[2];
				if (both)
					w[step + LANES] = (bits)now.w[3];
			}
		}
		w = ahead;
	}
}

template <class T>
static __device__ void fold_columns(const Fold &f, i64 tile, bool write, double (*lanes)[LANES + 1], Tally *n)
{
	const int OUTPUTS = 2 * LANES;
	int side = threadIdx.x % LANES, warp = threadIdx.x / LANES;
	i64 output = tile * OUTPUTS + side;
	for (int lane = warp; lane < LANES && output < f.outputs; lane += THREADS / LANES) {
		double sum[2];
		fold_columns_lane<T>(f, output, lane, write, sum, n);
		lanes[side][lane] = sum[0];
		lanes[side + LANES][lane] = sum[1];
	}
	__syncthreads();
	for (int i = warp; i < OUTPUTS; i += THREADS / LANES) {
		double sum = sum_lanes(lanes[i][side]);
		if (side == 0 && tile * OUTPUTS + i < f.outputs)
			fold_bias(f, tile * OUTPUTS + i, sum, write, n);
	}
	__syncthreads(); // the lanes are free for the next tile
}

extern "C" __global__ void __launch_bounds__(THREADS, 3) fold_sums(const Fold *folds, i64 n, i64 tiles, i64 write)
{
	__shared__ double lanes[2 * LANES][LANES + 1]; // [output][lane]; the odd width spreads a column over the banks
	fold_tiles(folds, n, tiles, write, [&](const Fold &f, i64 tile, bool write, Tally *mine) {
		if (tile >= f.weight_tiles)
			fold_biases(f, tile - f.weight_tiles, write, mine);
		else if (f.kind == ROWS)
			BY_DTYPE(f.weight.dtype, fold_rows, f, tile, write, mine)
		else if (f.kind == COLUMNS)
			BY_DTYPE(f.weight.dtype, fold_columns, f, tile, write, lanes, mine)
		else
			fold_vectors(f, tile, write, mine);
	});
}
