package checkpoint

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/bnfuse/bnfuse/internal/stream"
)

// Prepared is a checkpoint that is read and decided, with its output files laid out. What is left is to
// carry out its operations, which those of other models may share slabs with, and to Finish.
type Prepared struct {
	job   *job
	out   *target
	ready *ready
}

// Prepare does the first half of FuseFile. Close what it gives in any case. Options.Progress is not called.
func Prepare(ctx context.Context, in, out string, o Options) (*Prepared, error) {
	p, err := prepare(ctx, in, out, o)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", in, err)
	}
	return p, nil
}

func prepare(ctx context.Context, in, out string, o Options) (_ *Prepared, err error) {
	p := &Prepared{}
	if p.job, err = newJob(ctx, in, o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if p.out, err = newTarget(p.job.c, out, o); err != nil {
		return nil, err
	}
	p.ready, err = p.job.prepare(ctx, p.out)
	return p, err
}

// Folds reports whether any norm is folded.
func (p *Prepared) Folds() bool { return len(p.ready.folded) > 0 }

// AsIs is what became of a checkpoint that is copied as it is, by whoever prepared it. It needs no warnings about
// what safetensors do not hold.
func (p *Prepared) AsIs() *Result {
	res := *p.ready.res
	res.Warnings = p.ready.missed
	return &res
}

// Nodes is the number of tensors whose names are held in memory.
func (p *Prepared) Nodes() int { return len(p.job.c.byName) }

// Next gives the operations that write the output, see [stream.Task].
func (p *Prepared) Next() (stream.Op, bool) { return p.ready.next() }

// Finish, when all operations are carried out, gives the output its name. A checkpoint of which a weight
// turned out to overflow is planned and streamed again first, alone.
func (p *Prepared) Finish(ctx context.Context) (*Result, error) {
	res, err := p.finish(ctx)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", p.job.c.path, err)
	}
	return res, nil
}

func (p *Prepared) finish(ctx context.Context) (*Result, error) {
	res, err := p.job.finish(ctx, p.ready, p.out)
	if err != nil {
		return nil, err
	}
	if p.job.c.index != nil {
		for _, part := range p.job.c.parts {
			res.Read = append(res.Read, filepath.Join(filepath.Dir(p.job.c.path), part.name))
		}
	}
	for _, f := range p.out.files {
		res.Wrote = append(res.Wrote, f.Target())
	}
	return res, p.out.commit()
}

// Close drops what was not finished and closes the checkpoint.
func (p *Prepared) Close() error {
	if p.out != nil {
		p.out.discard()
	}
	p.job.c.close()
	return nil
}
