// fold: the weights and biases of a whole model whose layers leave no sums, in one launch. See fold.cuh.
#include "fold.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, 4) fold(const Fold *folds, i64 n, i64 tiles, i64 write)
{
	fold_tiles(folds, n, tiles, write, [](const Fold &f, i64 tile, bool write, Tally *mine) {
		if (tile < f.weight_tiles)
			fold_vectors(f, tile, write, mine);
		else
			fold_biases(f, tile - f.weight_tiles, write, mine);
	});
}
