package zoo

import (
	"context"
	"log/slog"
	"time"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/report"
)

// Engines are the engine that multiplies, and what follows it when its device is lost.
type Engines struct {
	Engine   fuse.Engine        // required
	Fallback func() fuse.Engine // nil: a lost device ends the work
}

// BatchOptions are how Fuse works. The engine and Log are required.
type BatchOptions struct {
	Engines
	Jobs  int  // models that are read and decided at once; one a core if it is not positive
	Force bool // replace existing outputs
	Sync  bool // make the outputs durable before they get their names
	Log   *slog.Logger
}

// Fuse fuses many models at once, which share the engine's slabs: on a GPU, the tensors of many small ones
// are multiplied by one launch. It gives a report or an error for each; a damaged model does not hinder the
// others.
func Fuse(ctx context.Context, models []Work, o BatchOptions) ([]*report.Model, []error) {
	reports, errs := make([]*report.Model, len(models)), make([]error, len(models))
	begun := make([]time.Time, len(models))
	p := &pipeline{
		jobs: jobs(o.Jobs),
		n:    len(models),
		open: func(ctx context.Context, i int, e fuse.Engine) (prepared, error) {
			begun[i] = time.Now()
			return models[i].prepare(ctx, e, o.Force, o.Sync)
		},
		done: func(i int, made outcome) {
			if errs[i] = made.err; made.err == nil {
				reports[i] = models[i].report(made, time.Since(begun[i]))
			}
		},
		engine: newSuccession(o.Engine, o.Fallback, func(text string) { o.Log.Warn(text) }),
	}
	if err := p.run(ctx); err != nil {
		for i := range errs {
			if errs[i] == nil && reports[i] == nil {
				errs[i] = err
			}
		}
	}
	return reports, errs
}

// report says what became of the model.
func (w *Work) report(made outcome, took time.Duration) *report.Model {
	m := report.New(made.res.Plan)
	m.Input, m.Output, m.Engine, m.Format = w.In, w.Out, made.engine, w.Format
	m.BytesIn, m.BytesOut, m.Warnings = made.res.BytesIn, made.res.BytesOut, made.res.Warnings
	m.Seconds = took.Seconds()
	return m
}
