package bnfuse

import (
	"context"
	"fmt"
	"io"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/onnx"
)

// WritePairs writes the pairs of layer and norm of the ONNX model at path, as a pairs file for checkpoints of
// the same network: see docs/pairs.md.
func WritePairs(ctx context.Context, w io.Writer, path string, o Options) error {
	f, err := formatOf(path)
	if err != nil {
		return err
	}
	if f != formatONNX {
		return fmt.Errorf("bnfuse: %s: %w", path, ErrNotGraph)
	}
	var pairs []checkpoint.Pair
	var left int
	_, _, err = o.withEngine(func(e fuse.Engine) (*onnx.Result, error) {
		var err error
		pairs, left, err = checkpoint.GraphPairs(ctx, path, e)
		return nil, err
	})
	switch {
	case err != nil:
		return err
	case len(pairs) == 0 && left > 0:
		return fmt.Errorf("bnfuse: %s: there is no pair to list, as none of its norms can be folded into a layer whose tensors have names of their own: `bnfuse inspect` says why", path)
	case len(pairs) == 0:
		return fmt.Errorf("bnfuse: %s: there is no pair to list, as it has no batch norm with the name of a module", path)
	case left > 0:
		o.log().Warn("norms that stay are not listed", "model", path, "norms", left)
	}
	return checkpoint.WritePairs(w, pairs)
}
