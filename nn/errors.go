package nn

import "errors"

// Errors of the options.
var (
	// ErrNoHandler means that a name in Options.Layers has no fuser, built in or given.
	ErrNoHandler = errors.New("layer type has no handler")
)

// Errors of the model. A pair that cannot be folded is none; it is a skip in the plan.
var (
	// ErrNilModule means that the model, or a child of a Sequential or a DataParallel, is nil.
	ErrNilModule = errors.New("module is nil")

	// ErrCycle means that a module contains itself, directly or through others.
	ErrCycle = errors.New("module contains itself")

	// ErrNoCopy means that a module has to be copied, for Options.Copy or for a handler, and refers to
	// memory that only its own code knows how to copy. It needs a CopyModule method.
	ErrNoCopy = errors.New("cannot be copied; give the module a CopyModule method")
)

// Errors of loading.
var (
	// ErrKeys means that the file or the network has a tensor which the other lacks.
	ErrKeys = errors.New("the file's tensors are not the network's; LoadOptions.Partial loads those that both have")

	// ErrRound means that a float64 of the file would have to become a float32 of the network.
	ErrRound = errors.New("the file has float64, the network float32; LoadOptions.Round rounds")
)
