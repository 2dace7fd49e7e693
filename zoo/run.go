package zoo

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/atomicfile"
	"github.com/bnfuse/bnfuse/report"
)

// jobs is how many models are worked on at once.
func (o Options) jobs() int { return cmp.Or(o.Jobs, runtime.GOMAXPROCS(0)) }

// run is one run over a zoo.
type run struct {
	Options
	dir, out string

	journal *journal        // nil for a dry run
	taken   map[string]bool // the names of all files, also those of other shards
	tally   *tally
	todo    []*job // models to be fused
	others  []*job // to be copied or linked when the models are done
	report  report.Zoo

	mu      sync.Mutex
	done    map[string]*entry // by path, of this run and of earlier ones
	folders map[string]bool   // of OUT, made by this run
}

// job is an item that is to be done.
type job struct {
	item
	key    string
	read   []input
	target string // where the model goes if it is fused, relative to OUT
	work   Work
	begun  time.Time
}

func (r *run) run(ctx context.Context) (*report.Zoo, error) {
	start := time.Now()
	items, err := walk(ctx, r.dir, walkOptions{Include: r.Include, Exclude: r.Exclude, Warn: func(text string) { r.Log.Warn(text) }})
	if err != nil {
		return nil, err
	}
	r.taken = names(items)
	items = r.Shard.of(items)
	r.report = report.Zoo{Input: r.dir, Output: r.out, Engine: r.Engine.Name(), Version: r.Version, Shard: r.Shard.String()}
	if !r.DryRun {
		if err := checkPlaces(r.dir, r.out); err != nil {
			return nil, err
		}
		if r.journal, err = openJournal(r.out, r.Shard, r.NoResume, r.Force); err != nil {
			return nil, err
		}
	}
	r.tally = newTally(items, r.Event)
	err = r.work(ctx, items)
	if r.journal != nil {
		err = errors.Join(err, r.journal.close(err == nil))
	}
	r.report.Models, r.report.Totals.Files = r.tally.models, r.tally.files
	r.report.Totals.Seconds = time.Since(start).Seconds()
	r.report.Sum()
	return &r.report, err
}

// names are those that the items' files have, and may have in OUT too.
func names(items []item) map[string]bool {
	taken := map[string]bool{}
	for i := range items {
		for _, name := range items[i].files() {
			taken[name] = true
		}
	}
	return taken
}

func (r *run) work(ctx context.Context, items []item) error {
	r.done, r.folders = map[string]*entry{}, map[string]bool{}
	if err := r.sort(items); err != nil {
		return err
	}
	if err := r.fuse(ctx); err != nil {
		return err
	}
	if r.DryRun {
		return nil
	}
	return r.copyOthers(ctx)
}

// sort tells what is to be done from what is done already, and from what cannot be.
func (r *run) sort(items []item) error {
	leftovers := map[string]bool{}
	for _, i := range items {
		j, err := r.newJob(i)
		if err == nil && j.target != i.path && r.taken[j.target] {
			err = errors.New("its output " + j.target + " is another file's name")
		}
		if err != nil {
			r.fail(j, err)
			continue
		}
		if r.journal != nil {
			if e := r.journal.old[i.path]; e.holds(j.key, j.read, r.out) {
				r.resume(j, e)
				continue
			}
			leftovers[filepath.Dir(filepath.Join(r.out, filepath.FromSlash(i.path)))] = true
		}
		if i.isModel() && (r.DryRun || !repeats(i)) {
			r.todo = append(r.todo, j)
		} else if !r.DryRun {
			r.others = append(r.others, j)
		}
	}
	for dir := range leftovers {
		if _, err := atomicfile.RemoveLeftovers(dir); err != nil && !isMissing(err) {
			return err
		}
	}
	return nil
}

// newJob says how an item is to be done.
func (r *run) newJob(i item) (*job, error) {
	j := &job{item: i, key: "copy", target: i.path, begun: time.Now()}
	if i.err != nil || i.link != "" {
		return j, i.err
	}
	if i.isModel() {
		j.key = "bnfuse " + r.Version
		if i.dataName != "" {
			j.key += " data=" + i.dataName
		}
		j.work = Work{In: filepath.Join(r.dir, filepath.FromSlash(i.path)), Format: i.format, Data: i.dataName}
	}
	var depends []string
	if i.isModel() && i.format != formatONNX {
		j.work.Checkpoint = r.checkpoint(i)
		j.key += j.work.Checkpoint.key()
		depends = j.work.Checkpoint.files()
		j.target = checkpoint.OutputName(i.path, i.format)
	}
	j.work.Out = filepath.Join(r.out, filepath.FromSlash(j.target))
	var err error
	j.read, err = r.stamps(i, depends)
	return j, err
}

// stamps are the sizes and times of an item's files, and of those it depends on.
func (r *run) stamps(i item, depends []string) ([]input, error) {
	list := []input{{i.path, i.info.Size(), i.info.ModTime().UnixNano()}}
	names := append(append([]string{}, i.parts...), i.data...)
	for _, name := range names {
		s, err := stamp(name, filepath.Join(r.dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, bare(err)
		}
		list = append(list, s)
	}
	for _, path := range depends {
		s, err := stamp(path, path)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// checkpoint says where a checkpoint's pairs come from: a rule that names it, the graph beside it, or what
// was given for all.
func (r *run) checkpoint(i item) Checkpoint {
	c := r.Checkpoint
	for _, rule := range r.Graphs {
		if rule.Glob.Match(i.path) {
			c.Graph, c.Pairs = rule.Graph, ""
			return c
		}
	}
	if i.graph != "" {
		c.Graph, c.Pairs = i.graph, ""
	}
	return c
}

// fuse takes the models through the engine.
func (r *run) fuse(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &pipeline{
		jobs: r.jobs(),
		n:    len(r.todo),
		open: func(ctx context.Context, n int, e fuse.Engine) (prepared, error) {
			j := r.todo[n]
			j.begun = time.Now()
			r.tally.begin(j.path, j.size)
			if r.DryRun {
				return j.work.inspect(ctx, e)
			}
			return r.prepare(ctx, j, e)
		},
		done: func(n int, made outcome) {
			if isFull(made.err) {
				cancel(ErrDiskFull)
			}
			r.finish(ctx, r.todo[n], made)
		},
		bytes:  func(n int, k int64) { r.tally.bytes(r.todo[n].path, k) },
		engine: newSuccession(r.Engine, r.Fallback, func(text string) { r.tally.warn("", text); r.Log.Warn(text) }),
	}
	err := p.run(ctx)
	e, _ := p.engine.current()
	r.report.Engine = e.Name()
	return cmp.Or(err, context.Cause(ctx))
}

// finish reports a model and notes it in the journal.
func (r *run) finish(ctx context.Context, j *job, made outcome) {
	if made.err != nil && ctx.Err() != nil && errors.Is(made.err, context.Cause(ctx)) {
		return // dropped, not failed
	}
	var e *entry
	if made.err == nil && r.journal != nil {
		e, made.err = r.entryOf(j, made.res.Wrote)
	}
	if made.err != nil {
		r.fail(j, made.err)
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

// fail reports what could not be done.
func (r *run) fail(j *job, err error) {
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
