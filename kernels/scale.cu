// scale: every segment of a slab, in place, in one launch; the staged engine's kernel.
//
//	for each segment, for each element i:  W[i] = round((after[channel of i]·W[i])·before[channel of i])
#include "scale.cuh"

// counts has one entry for each of the n segments, zero at first. Blocks take tiles in turn, so any grid will do.
extern "C" __global__ void __launch_bounds__(THREADS) scale(const Segment *segments, i64 n, i64 tiles, Counts *counts)
{
	for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
		i64 which = entry_of(segments, n, tile);
		const Segment &s = segments[which];
		Tally mine = {0, 0, 0};
		scale_tile(s, tile - s.first_tile, true, &mine);
		if (mine.overflows)
			atomicAdd(&counts[which].overflows, (u64)mine.overflows);
		if (mine.vanished)
			atomicAdd(&counts[which].vanished, (u64)mine.vanished);
	}
}
