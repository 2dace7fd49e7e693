package checkpoint

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/stream"
)

// job is one checkpoint on its way through: read, decide, multiply, write.
type job struct {
	c       *container
	options Options
	source  *source

	scanAll bool            // look at every weight that might overflow before deciding
	scan    map[string]bool // look at the weights of these layers
}

// newJob opens the checkpoint at path, which its caller closes, and finds the pairs. A graph is read meanwhile.
func newJob(ctx context.Context, path string, o Options) (_ *job, err error) {
	graph := sync.OnceValues(func() (*source, error) { return fromGraph(ctx, o.Graph, o.Engine) })
	if o.Graph != "" {
		var reading sync.WaitGroup
		reading.Go(func() { graph() })
		defer reading.Wait()
	}
	j := &job{options: o, scan: map[string]bool{}}
	if j.c, err = open(path); err != nil {
		return nil, err
	}
	if j.source, err = newSource(j.c, o, graph); err == nil && !o.AnyNetwork && !j.source.suits(j.c) {
		err = fmt.Errorf("%s: %w", cmp.Or(o.Graph, o.Pairs), ErrOtherNetwork)
	}
	if err != nil {
		j.c.close()
		return nil, err
	}
	return j, nil
}

// plan decides. Layers whose norms turn out not to compose ask for another round.
func (j *job) plan(ctx context.Context) (*planner, error) {
	p := &planner{c: j.c, source: j.source, keepNorms: j.options.KeepNorms, poison: map[string]bool{}}
	p.overflows = func(ctx context.Context, s *step) (*fuse.Refusal, error) {
		if j.scanAll || j.scan[s.layer.name] {
			return j.overflows(ctx, s.layer, s.fold, s.layer.biasType(p.holder(s.layer, s)))
		}
		return nil, nil
	}
	for {
		poisoned := len(p.poison)
		if err := p.plan(ctx); err != nil || len(p.poison) == poisoned {
			return p, err
		}
	}
}

// ready is a checkpoint whose output is laid out and waits to be streamed.
type ready struct {
	folded []*layer
	missed []string // warnings about the pairs
	scales map[*layer]*stream.Scale
	res    *Result
	next   func() (stream.Op, bool)
}

// prepare plans, and creates the output files in their final size. Safetensors with nothing to fold are
// copied at once.
func (j *job) prepare(ctx context.Context, t *target) (*ready, error) {
	for {
		p, err := j.plan(ctx)
		if err != nil {
			return nil, err
		}
		r := &ready{
			folded: p.folded,
			missed: p.missed(),
			res:    &Result{Plan: p.out, BytesIn: j.c.nBytes(), Warnings: p.warnings()},
			next:   func() (stream.Op, bool) { return stream.Op{}, false },
		}
		if len(p.folded) == 0 && j.c.asIs {
			return r, t.copyAll(ctx)
		}
		e := &editor{planner: p, edits: map[*tensor]edit{}, added: map[*tensor][]byte{}, scales: map[*layer]*stream.Scale{}}
		again, err := j.edit(ctx, e)
		if err != nil {
			return nil, err
		}
		if !again {
			r.scales = e.scales
			r.next, r.res.BytesOut, err = t.layOut(e)
			return r, err
		}
	}
}

// edit folds the layers of a plan. It asks for another round where a bias overflows.
func (j *job) edit(ctx context.Context, e *editor) (again bool, err error) {
	for _, l := range e.planner.folded {
		var sums []float64
		if l.fold.Before.HasShift() {
			if sums, err = j.sums(ctx, l, l.fold); err != nil {
				return false, err
			}
			if l.checkBias(l.fold, sums, l.biasType(e.planner.holder(l, nil))) != nil {
				j.scan[l.name] = true
				again = true
			}
		}
		e.fold(l, sums)
	}
	return again, nil
}

// stream carries out the operations of a checkpoint that has the engine to itself.
func (j *job) stream(ctx context.Context, r *ready) error {
	return stream.Run(ctx, j.options.Engine, r.next, stream.Progress(j.options.Progress, r.res.BytesOut))
}

// finish says what became of a checkpoint that was streamed. A scale that turned out to make a weight
// infinite sends it back to planning, which then looks at that layer's weights first; each round settles at
// least one layer.
func (j *job) finish(ctx context.Context, r *ready, t *target) (*Result, error) {
	for {
		again, err := j.settle(r)
		if err != nil || !again {
			return r.res, err
		}
		if err = t.discard(); err == nil {
			r, err = j.prepare(ctx, t)
		}
		if err == nil {
			err = j.stream(ctx, r)
		}
		if err != nil {
			return nil, err
		}
	}
}

// settle looks at what happened to the weights. It asks for another round where one overflowed.
func (j *job) settle(r *ready) (again bool, err error) {
	for _, l := range r.folded {
		s := r.scales[l]
		if s == nil {
			continue
		}
		if s.Overflows.Load() > 0 {
			j.scan[l.name] = true
			again = true
		}
		vanished, err := l.weight.weight().Vanished(s, l.name)
		if err != nil {
			return false, err
		}
		r.res.Warnings = append(r.res.Warnings, vanished...)
	}
	return again, nil
}

// sums are Σ W·t over the weight of a layer, [outputs].
func (j *job) sums(ctx context.Context, l *layer, f fuse.Fold) ([]float64, error) {
	c := fuse.Contraction{View: l.views[fuse.Before], Shift: f.Before.Shift}
	c.DType = l.weight.float()
	c.PerInner = l.layout.ChannelAxis(fuse.Before) == 0 // stored [in, out]: its outputs lie side by side
	return l.weight.weight().Contract(ctx, j.options.Engine, c, l.outputs())
}

// overflows tells whether a fold of l would make a finite weight infinite, or a bias in its type, by trying it.
func (j *job) overflows(ctx context.Context, l *layer, f fuse.Fold, biasType fuse.DType) (*fuse.Refusal, error) {
	if f.Before.HasShift() {
		sums, err := j.sums(ctx, l, f)
		if err != nil {
			return nil, err
		}
		if r := l.checkBias(f, sums, biasType); r != nil {
			return r, nil
		}
	}
	scale := l.scaleOf(f)
	if scale == nil || !scale.Grows() {
		return nil, nil
	}
	n, err := l.weight.weight().Overflows(ctx, j.options.Engine, scale)
	if err != nil || n == 0 {
		return nil, err
	}
	return fuse.Refuse(fuse.ReasonOverflow, "%d weights would be infinite in %v", n, scale.DType), nil
}
