package onnx

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bnfuse/bnfuse/internal/stream"
)

// Prepared is a model that is read and decided, with its output files laid out. What is left is to carry
// out its operations, which those of other models may share slabs with, and to Finish.
type Prepared struct {
	src   *os.File
	job   *job
	out   *target
	ready *ready
}

// Prepare does the first half of FuseFile. Close what it gives in any case. Options.Progress is not called.
func Prepare(ctx context.Context, in, out string, o Options) (*Prepared, error) {
	p, err := prepare(ctx, in, out, o)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", in, err)
	}
	return p, nil
}

func prepare(ctx context.Context, in, out string, o Options) (_ *Prepared, err error) {
	src, info, err := openModel(in)
	if err != nil {
		return nil, err
	}
	p := &Prepared{src: src}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	r, err := whenSmall(src, info.Size())
	if err != nil {
		return nil, err
	}
	if p.job, err = newJob(r, info.Size(), in, o.Engine, filepath.Dir(out)); err != nil {
		return nil, err
	}
	p.job.file = src
	p.out = &target{in: src, out: out, mode: info.Mode(), options: o}
	if err = p.out.check(); err != nil {
		return nil, err
	}
	p.ready, err = p.job.prepare(ctx, p.out)
	return p, err
}

// Next gives the operations that write the output, see [stream.Task].
func (p *Prepared) Next() (stream.Op, bool) { return p.ready.next() }

// Finish, when all operations are carried out, gives the output its name. A model of which a weight turned
// out to overflow is planned and streamed again first, alone.
func (p *Prepared) Finish(ctx context.Context) (*Result, error) {
	res, err := p.finish(ctx)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", p.job.path, err)
	}
	return res, nil
}

func (p *Prepared) finish(ctx context.Context) (*Result, error) {
	res, err := p.job.finish(ctx, p.ready, p.out, p.out.options.Progress)
	if err != nil {
		return nil, err
	}
	res.Read, res.Wrote = p.job.externals.paths(), p.out.paths()
	if p.out.model != nil && p.out.inPlace() { // the old data stay, as another model may read them
		for _, path := range res.Read {
			res.Warnings = append(res.Warnings, path+" stays, but the model does not use it any more: unless another one does, it may be deleted")
		}
	}
	return res, p.out.commit()
}

// Close drops what was not finished and closes the model.
func (p *Prepared) Close() error {
	if p.out != nil {
		p.out.close()
	}
	if p.job != nil {
		p.job.close()
	}
	return p.src.Close()
}

// Nodes is the number of graph nodes held in memory.
func (p *Prepared) Nodes() int {
	if p.ready.e == nil {
		return 0
	}
	return len(p.ready.e.nodes)
}
