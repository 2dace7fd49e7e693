package bnfuse

import (
	"context"
	"fmt"

	"github.com/bnfuse/bnfuse/verify"
)

// Verify checks that the model at fused is the one at original with norms folded, and nothing else: it
// computes every fold again in high precision. An error means that a file could not be read.
func Verify(ctx context.Context, original, fused string) (*verify.Result, error) {
	for _, path := range []string{original, fused} {
		if f, err := formatOf(path); err != nil {
			return nil, err
		} else if f != formatONNX {
			return nil, fmt.Errorf("bnfuse: %s: verify compares ONNX models, and this is a %s checkpoint", path, f)
		}
	}
	return verify.Files(ctx, original, fused)
}
