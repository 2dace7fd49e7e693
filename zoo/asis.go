package zoo

import (
	"context"
	"errors"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/stream"
	"github.com/bnfuse/bnfuse/onnx"
)

// prepare opens a model. A PyTorch checkpoint with nothing to fold stays what it is, and so does a pickle
// that is no state dict, unless its name says that it should be one.
func (r *run) prepare(ctx context.Context, j *job, e fuse.Engine) (prepared, error) {
	if err := r.folder(j.work.Out); err != nil {
		return nil, err
	}
	p, err := j.work.prepare(ctx, e, true, false)
	if errors.Is(err, checkpoint.ErrNotStateDict) && formatByName(j.path) == "" {
		return &copied{r, j, &onnx.Result{Plan: &fuse.Plan{}, BytesIn: j.size, Warnings: []string{"copied as it is: " + err.Error()}}}, nil
	}
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
