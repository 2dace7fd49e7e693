// fold: the weights and biases of a whole model whose layers leave no sums, in one launch. See fold.cuh.
#include "fold.cuh"

// Without write it only counts. A layer with a refused channel is left as it is.
extern "C" __global__ void __launch_bounds__(THREADS, 5) fold(const Fold *folds, i64 n, i64 tiles, i64 write)
{
	fold_tiles(folds, n, tiles, [=](const Fold &f, i64 tile, Counts *mine) {
		if (tile < f.weight_tiles)
			fold_vectors(f, tile, write != 0, mine);
		else
			fold_biases(f, tile - f.weight_tiles, write != 0);
	});
}
