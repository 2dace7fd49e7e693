package zoo

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/bnfuse/bnfuse/report"
)

// finish reports a model and notes it in the journal.
func (r *run) finish(ctx context.Context, j *job, made outcome) {
	var e *entry
	if made.err == nil && r.journal != nil {
		e, made.err = r.entryOf(j, made.res.Wrote)
	}
	if made.err != nil {
		r.fail(ctx, j, made.err)
		return
	}
	m := report.New(made.res.Plan)
	m.Format, m.Engine = j.format, made.engine
	m.BytesIn, m.BytesOut, m.Warnings = made.res.BytesIn, made.res.BytesOut, made.res.Warnings
	m.Seconds = time.Since(j.begun).Seconds()
	r.place(m, j, e)
	for _, w := range m.Warnings {
		r.Log.Warn(w, "model", m.Input)
		r.tally.warn(j.path, w)
	}
	if e != nil {
		e.Report = forJournal(m)
		r.note(e)
	}
	r.tally.end(j.path, j.size, m)
}

// forJournal is a report without what differs from run to run.
func forJournal(m *report.Model) *report.Model {
	c := *m
	c.Input, c.Output, c.Engine, c.Seconds = "", "", "", 0
	return &c
}

// place says where a model is and went.
func (r *run) place(m *report.Model, j *job, e *entry) {
	m.Input = filepath.Join(r.dir, filepath.FromSlash(j.path))
	m.Status = report.ModelCopied
	if m.Folded > 0 {
		m.Status = report.ModelFused
	}
	if e == nil {
		return
	}
	m.Output = filepath.Join(r.out, filepath.FromSlash(e.model()))
	m.BytesOut = 0
	for _, w := range e.Wrote {
		m.BytesOut += w.Size
	}
}

// resume takes over what an earlier run did.
func (r *run) resume(j *job, e *entry) {
	r.done[j.path] = e // before anything runs beside it
	if e.Report == nil {
		r.tally.end(j.path, j.size, nil)
		return
	}
	m := *e.Report
	m.Resumed = true
	r.place(&m, j, e)
	r.tally.end(j.path, j.size, &m)
}

// note puts what is done into the journal.
func (r *run) note(e *entry) {
	r.mu.Lock()
	r.done[e.Path] = e
	r.mu.Unlock()
	r.journal.add(e)
}

// entryOf makes the journal's entry for what was written.
func (r *run) entryOf(j *job, wrote []string) (*entry, error) {
	list, err := measure(r.out, wrote)
	return &entry{Path: j.path, Key: j.key, Read: j.read, Wrote: list}, err
}

// fail reports what could not be done. What was dropped because the run ends did not fail.
func (r *run) fail(ctx context.Context, j *job, err error) {
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return
	}
	r.mu.Lock()
	r.failed[j.path] = true
	r.mu.Unlock()
	text := err.Error()
	if j.item.err != nil {
		text = "zoo: " + filepath.Join(r.dir, filepath.FromSlash(j.path)) + ": " + text
	}
	r.tally.end(j.path, j.size, &report.Model{
		Input:   filepath.Join(r.dir, filepath.FromSlash(j.path)),
		Engine:  r.Engine.Name(),
		Format:  cmp.Or(j.format, "file"),
		Status:  report.ModelFailed,
		Error:   text,
		BytesIn: j.size,
	})
}
