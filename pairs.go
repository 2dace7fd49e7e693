package bnfuse

import (
	"context"
	"fmt"
	"io"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/fuse"
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
	_, _, err = o.withEngine(func(e fuse.Engine) (*result, error) {
		var left int
		var err error
		if pairs, left, err = checkpoint.GraphPairs(ctx, path, e); left > 0 {
			o.log().Warn(fmt.Sprintf("%d norms stay and are not listed", left), "model", path)
		}
		return nil, err
	})
	if err != nil {
		return err
	}
	return checkpoint.WritePairs(w, pairs)
}
