package bnfuse

import (
	"context"

	"github.com/bnfuse/bnfuse/verify"
)

// Verify checks that the model at fused is the one at original with norms folded, and nothing else: it
// computes every fold again in high precision. An error means that a file could not be read.
func Verify(ctx context.Context, original, fused string) (*verify.Result, error) {
	return verify.Files(ctx, original, fused)
}
