package stream

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/bnfuse/bnfuse/fuse"
)

// Contract adds up Σ W·t of one weight: n bytes of src from off on, in ascending order, through one
// slab. model gives the contraction's view, shift, lanes and type; its piece is filled in here.
func Contract(ctx context.Context, engine fuse.Engine, src io.ReaderAt, off, n int64, model fuse.Contraction) (err error) {
	_, slabBytes := engine.Slabs()
	slab, err := engine.NewSlab(slabBytes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, slab.Free()) }()
	size := model.DType.Size()
	step := int64(slabBytes - slabBytes%size)
	for done := int64(0); done < n; {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		k := int(min(step, n-done))
		if got, err := src.ReadAt(slab.Bytes()[:k], off+done); got < k {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("reading %d bytes at offset %d: %w", k, off+done, err)
		}
		c := model
		c.Piece = fuse.Piece{Elems: k / size, First: int(done) / size, DType: model.DType}
		if err := engine.Contract(slab, []fuse.Contraction{c}); err != nil {
			return err
		}
		done += int64(k)
	}
	return nil
}
