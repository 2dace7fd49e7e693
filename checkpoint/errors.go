package checkpoint

import "errors"

// Errors of what a file holds.
var (
	// ErrNotStateDict is wrapped where a file is PyTorch's, and sound as far as it was read, but no state dict: the
	// arguments of a training script, an optimizer's state, a program. It stands beside a model, or is one
	// that has to be saved in another way; a damaged file is another error.
	ErrNotStateDict = errors.New("not a state dict")
)

// Errors of what a caller asks for.
var (
	// ErrNoEps is returned where pairs come without an epsilon and Options.Eps has none: a checkpoint does not
	// hold it, and a wrong one gives wrong weights.
	ErrNoEps = errors.New("the norms' epsilon is needed: pass --eps, which PyTorch prints with the model (its default is 1e-5)")

	// ErrOtherNetwork is returned where a graph or a pairs file is given for one checkpoint and names none of its
	// norms.
	ErrOtherNetwork = errors.New("it names none of the checkpoint's norms, and so is of another network")

	// ErrOutputName is returned for an output whose name promises another format.
	ErrOutputName = errors.New("the output of a checkpoint is safetensors: its name must end in .safetensors")

	// ErrShardsInPlace is returned where the output of shards would replace the input: that cannot be done in one
	// step, and what a crash leaves in between would look whole.
	ErrShardsInPlace = errors.New("shards and their index cannot be replaced in one step: give the output another folder or name")

	// ErrIndexName is returned where the output of shards is not named as an index.
	ErrIndexName = errors.New("the output of shards is an index: its name must end in " + IndexSuffix)
)
