package onnx

import (
	"context"
	"io"
	"os"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/stream"
)

// job is one model on its way through: read, decide, multiply, write.
type job struct {
	src       io.ReaderAt
	file      *os.File // that src reads; nil for a model in memory
	size      int64
	path      string
	engine    fuse.Engine
	externals *externals
	spool     *spool

	keepIndex bool   // keep the index as it was before the planning
	before    *model // that index

	scanAll bool           // look at every weight that might overflow before deciding
	scan    map[int32]bool // look at the weights of these layers, by node
	poison  map[int32]bool // see planner
}

// output is where a job writes; target is the one for files.
type output interface {
	dataName(externals []*externalFile) string
	createModel(n int64) (io.WriterAt, error)
	createData(name string, n int64, sparse bool) (io.WriterAt, error)
	copyAll(ctx context.Context, size int64, externals []*externalFile) error
	discard() error
}

// newJob prepares a job over the model src; path is where it lies, "" for nowhere.
func newJob(src io.ReaderAt, size int64, path string, engine fuse.Engine, tempDir string) (*job, error) {
	ext, err := newExternals(path)
	if err != nil {
		return nil, err
	}
	return &job{src: src, size: size, path: path, engine: engine, externals: ext, spool: &spool{dir: tempDir}, scan: map[int32]bool{}, poison: map[int32]bool{}}, nil
}

func (j *job) close() {
	j.externals.close()
	j.spool.close()
}

// plan reads the model and decides.
func (j *job) plan(ctx context.Context) (*planner, error) {
	for {
		m, err := readModel(j.src, j.size)
		if err != nil {
			return nil, err
		}
		m.externals = j.externals
		if err := m.checkExternals(); err != nil {
			return nil, err
		}
		if j.keepIndex {
			j.before = m.clone()
		}
		poisoned := len(j.poison)
		p, err := planModel(m, j.poison, func(l *layer, f fuse.Fold) (*fuse.Refusal, error) {
			if j.scan[l.node] || j.scanAll {
				return j.overflows(ctx, m, l, f)
			}
			return nil, nil
		})
		if err != nil || len(j.poison) == poisoned {
			return p, err
		}
	}
}

// ready is a model whose output is laid out and waits to be streamed.
type ready struct {
	e    *editor // nil for a model that is copied
	res  *Result
	next func() (stream.Op, bool)
}

// run writes the fused model.
func (j *job) run(ctx context.Context, out output, progress func(done, total int64)) (*Result, error) {
	r, err := j.prepare(ctx, out)
	if err != nil {
		return nil, err
	}
	if err := j.stream(ctx, r, progress); err != nil {
		return nil, err
	}
	return j.finish(ctx, r, out, progress)
}

// stream carries out the operations of a model that has the engine to itself.
func (j *job) stream(ctx context.Context, r *ready, progress func(done, total int64)) error {
	return stream.Run(ctx, j.engine, r.next, stream.Progress(progress, r.res.BytesOut))
}

// finish says what became of a model that was streamed. A scale that turned out to make a weight infinite
// sends it back to planning, which then looks at that layer's weights first; each round settles at least
// one layer.
func (j *job) finish(ctx context.Context, r *ready, out output, progress func(done, total int64)) (*Result, error) {
	for {
		again, err := j.settle(r)
		if err != nil || !again {
			return r.res, err
		}
		if err = out.discard(); err == nil {
			r, err = j.prepare(ctx, out)
		}
		if err == nil {
			err = j.stream(ctx, r, progress)
		}
		if err != nil {
			return nil, err
		}
	}
}

// prepare plans, and creates the output files in their final size. A model with nothing to fold is
// copied at once.
func (j *job) prepare(ctx context.Context, out output) (*ready, error) {
	for {
		p, err := j.plan(ctx)
		if err != nil {
			return nil, err
		}
		r := &ready{res: j.result(p), next: func() (stream.Op, bool) { return stream.Op{}, false }}
		if len(p.touched) == 0 {
			if j.file != nil {
				return r, out.copyAll(ctx, j.size, j.externals.order)
			}
			return r, nil
		}
		if r.e, err = p.edit(j.spool, out.dataName(j.externals.order)); err != nil {
			return nil, err
		}
		again, err := j.contract(ctx, r.e)
		if err != nil {
			return nil, err
		}
		if !again {
			return r, j.layOut(r, out)
		}
	}
}

// result is what planning says of the model.
func (j *job) result(p *planner) *Result {
	return &Result{Plan: p.plan(), BytesIn: j.bytesIn(), Gone: p.gone()}
}

// layOut creates the output files and lists what goes into them: the external data, then the model.
func (j *job) layOut(r *ready, out output) error {
	size, err := r.e.splice()
	if err != nil {
		return err
	}
	dataSize, sparse := r.e.dataSize()
	r.res.BytesOut = size + dataSize
	if dataSize > 0 {
		w, err := out.createData(r.e.dataName, dataSize, sparse)
		if err != nil {
			return err
		}
		r.next = r.e.dataOps(w)
	}
	w, err := out.createModel(size)
	if err != nil {
		return err
	}
	data, model := r.next, r.e.modelOps(w)
	r.next = func() (stream.Op, bool) {
		if op, ok := data(); ok {
			return op, true
		}
		return model()
	}
	return nil
}

// settle looks at what happened to the weights. It asks for another round where one overflowed.
func (j *job) settle(r *ready) (again bool, err error) {
	if r.e == nil {
		return false, nil
	}
	for _, w := range r.e.jobs {
		if w.scale.Overflows.Load() > 0 {
			j.scan[w.node] = true
			again = true
		}
		vanished, err := w.Vanished(w.scale, r.e.nodeName(w.node))
		if err != nil {
			return false, err
		}
		r.res.Warnings = append(r.res.Warnings, vanished...)
	}
	return again, nil
}

// contract fills in the biases that wait for Σ W·t. It asks for another round where one overflows.
func (j *job) contract(ctx context.Context, e *editor) (again bool, err error) {
	for _, c := range e.contractions {
		sums, err := j.sums(ctx, c.layer, c.layer.fold, c.weight)
		if err != nil {
			return false, err
		}
		if c.layer.checkBias(c.layer.fold, sums) != nil {
			j.scan[c.layer.node] = true
			again = true
			continue
		}
		copy(c.bytes, elem.Encode(c.layer.dtype, c.layer.newBias(sums)))
	}
	return again, nil
}

// sums are Σ W·t over the weight of a layer, [outputs].
func (j *job) sums(ctx context.Context, l *layer, f fuse.Fold, w stream.Weight) ([]float64, error) {
	c := fuse.Contraction{View: l.views[fuse.Before], Shift: f.Before.Shift}
	// A weight stored [in, out] has its outputs side by side.
	c.PerInner = l.layout.ChannelAxis(fuse.Before) == 0 && l.weight.perm == nil || l.layout.ChannelAxis(fuse.Before) == 1 && l.weight.perm != nil
	c.DType = l.dtype
	return w.Contract(ctx, j.engine, c, l.out.channels)
}

// overflows tells whether a fold of l would make a finite weight or bias infinite, by trying it.
func (j *job) overflows(ctx context.Context, m *model, l *layer, f fuse.Fold) (*fuse.Refusal, error) {
	scale := l.scaleOf(f)
	grows := scale != nil && scale.Grows()
	if !grows && !f.Before.HasShift() {
		return nil, nil
	}
	w, err := m.weightSource(l.weight, j.spool)
	if err != nil {
		return nil, err
	}
	if f.Before.HasShift() {
		sums, err := j.sums(ctx, l, f, w)
		if err != nil {
			return nil, err
		}
		if r := l.checkBias(f, sums); r != nil {
			return r, nil
		}
	}
	if !grows {
		return nil, nil
	}
	n, err := w.Overflows(ctx, j.engine, scale)
	if err != nil || n == 0 {
		return nil, err
	}
	return fuse.Refuse(fuse.ReasonOverflow, "%d weights would be infinite in %v", n, l.dtype), nil
}

// bytesIn is the size of the model with the external data it uses.
func (j *job) bytesIn() int64 {
	n := j.size
	for _, f := range j.externals.order {
		n += f.size
	}
	return n
}
