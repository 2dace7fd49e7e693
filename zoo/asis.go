package zoo

import (
	"context"
	"errors"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/stream"
	"github.com/bnfuse/bnfuse/onnx"
)

// open opens a model. What PyTorch saved and is no state dict, such as an optimizer beside its model, is no model
// and stays what it is, as everything else in the folder does.
func (r *run) open(ctx context.Context, j *job, e fuse.Engine) (p prepared, err error) {
	if r.DryRun {
		p, err = j.work.inspect(ctx, e)
	} else {
		p, err = r.prepare(ctx, j, e)
	}
	if !errors.Is(err, checkpoint.ErrNotStateDict) {
		return p, err
	}
	// The path around the error is the report's.
	res := &onnx.Result{Plan: &fuse.Plan{}, BytesIn: j.size, Warnings: []string{"copied as it is: " + errors.Unwrap(err).Error()}}
	if r.DryRun {
		return decided{res}, nil
	}
	return &copied{r, j, res}, nil
}

// prepare reads a model and lays its output out. A PyTorch checkpoint with nothing to fold stays what it is.
func (r *run) prepare(ctx context.Context, j *job, e fuse.Engine) (prepared, error) {
	if err := r.folder(j.work.Out); err != nil {
		return nil, err
	}
	p, err := j.work.prepare(ctx, e, true, false)
	if err != nil {
		return nil, err
	}
	if c, ok := p.(*checkpoint.Prepared); ok && j.format == checkpoint.PyTorch && !c.Folds() {
		return &copied{r, j, c.AsIs()}, c.Close()
	}
	return p, nil
}

// copied is a model that is copied as it is.
type copied struct {
	r   *run
	j   *job
	res *onnx.Result
}

func (c *copied) Nodes() int              { return 0 }
func (c *copied) Next() (stream.Op, bool) { return stream.Op{}, false }
func (c *copied) Close() error            { return nil }

func (c *copied) Finish(ctx context.Context) (*onnx.Result, error) {
	for _, name := range append(c.j.parts[:len(c.j.parts):len(c.j.parts)], c.j.path) {
		path, err := c.r.copyFile(ctx, name)
		if err != nil {
			return nil, err
		}
		c.res.Wrote = append(c.res.Wrote, path)
	}
	return c.res, nil
}
