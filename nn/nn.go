// Package nn folds the batch normalizations of a network in memory, on gorgonia.org/tensor tensors. It
// is Python's qsparse.fuse for Go.
//
// In: a [Module], usually a [Sequential] or a struct of your own that holds some. Out of [FuseBN]: the
// same model, or a copy of it, without the norms that could be folded, and a [fuse.Plan] that names every
// norm, folded or kept, and says why the kept ones are.
//
// # What is folded
//
// A norm goes when it reads the output of a selected layer and nothing else does: when it is the next
// module to run in a Sequential, however deeply either of the two is nested in Sequentials and
// [DataParallel] wrappers. Several norms in a row compose, and the weight is rounded once. Identity,
// Dropout or an activation in between ends the search; the norm stays. A layer object that is used in
// several places takes nothing in. A norm object that is goes into the layer before each of them.
//
// The Sequentials in a module of another type are found through its exported fields, and the slices,
// arrays, maps and plain structs in them, at any depth; or through [Parent], where the module has that
// interface. How such a module connects its children is its own affair, so nothing is folded from one
// child into another.
//
// # Loading and saving
//
// [LoadFile] gives a network the tensors of a safetensors file by the names that PyTorch's state_dict has for
// them, and [SaveFile] writes such a file. Children of a Sequential have their names, "0", "1" and so on where
// no others are given; the fields of a struct of your own are called as their tag says:
//
//	type Block struct {
//		Conv *nn.Conv2d      `nn:"conv1"`
//		Norm *nn.BatchNorm2d `nn:"bn1"`
//		Gain *tensor.Dense   `nn:"gain,optional"` // a tensor of the module's own; it can do without
//	}
//
// Modules need no tensors to be loaded: &nn.Conv2d{Stride: []int{2}} takes what the file has.
//
// # What is promised
//
//   - Never wrong: a norm in training mode, one without running statistics, a layer that is used twice, a
//     weight that would become infinite and everything else that cannot be proven is kept, with a reason.
//   - All or nothing: after an error, of folding or of loading, the model is what it was. Everything is
//     decided first, then multiplied or read into new tensors, then put in place.
//   - The same bits on every [fuse.Engine]: weights are multiplied in float64 and rounded once.
//   - Weights are never written where they lie. A folded layer is the same object with new tensors, so
//     a tensor that other layers share, or that is a view of a larger one, is left as it is.
//   - Folding twice changes nothing. Kept children keep their names.
//
// # What is not
//
// Weights and norm parameters are float32 or float64, which are the floating-point types a gorgonia tensor
// holds; a layer with any other stays as it is. Views, transposed and column-major tensors are read as the
// shape says, masked ones and those outside Go's memory are kept. A module that is held only where the
// search cannot see it (a closure, a package variable, behind an unexported pointer to a struct) does not
// count as a use; a module in an unexported field counts as one, but is not folded.
//
// A module whose Forward takes single children out of a Sequential, to use what they give before the norm,
// must say so: as a [Parent] that lists those children and not the Sequential.
//
// A fold needs memory for a second copy of the weights it changes.
//
// Forward is there to compare outputs before and after. It is plain and slow, accumulates in float64, and
// rounds to its input's type.
package nn
