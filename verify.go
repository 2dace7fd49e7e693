package bnfuse

import (
	"context"
	"fmt"

	"github.com/bnfuse/bnfuse/verify"
)

// Verify checks that the model at fused is the one at original with norms folded, and nothing else: it
// computes every fold again in high precision. o tells where the norms of a checkpoint stand; an ONNX model
// says so itself. An error means that a file could not be read.
func Verify(ctx context.Context, original, fused string, o verify.Options) (*verify.Result, error) {
	was, err := formatOf(original)
	if err != nil {
		return nil, err
	}
	is, err := formatOf(fused)
	switch {
	case err != nil:
		return nil, err
	case (was == formatONNX) != (is == formatONNX):
		return nil, fmt.Errorf("bnfuse: %s is %s and %s is %s: a fold does not turn the one into the other", original, was, fused, is)
	case was != formatONNX:
		return verify.Checkpoints(ctx, original, fused, o)
	case o != verify.Options{}:
		return nil, fmt.Errorf("bnfuse: %s: %w", original, ErrNotCheckpoint)
	}
	return verify.Files(ctx, original, fused)
}

// VerifyZoo does for every model of the folder original what Verify does, and compares all else: fused must
// be that folder with its models fused, whole and with nothing beside.
func VerifyZoo(ctx context.Context, original, fused string, o verify.ZooOptions) (*verify.ZooResult, error) {
	return verify.Zoo(ctx, original, fused, o)
}
