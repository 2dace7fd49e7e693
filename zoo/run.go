package zoo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/atomicfile"
	"github.com/bnfuse/bnfuse/report"
)

// jobs is how many models are worked on at once.
func (o Options) jobs() int { return jobs(o.Jobs) }

func jobs(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

// run is one run over a zoo.
type run struct {
	Options
	dir, out string

	journal *journal        // nil for a dry run
	items   map[string]bool // the paths of all items, also those of other shards
	taken   map[string]bool // the names of all their files
	tally   *tally
	todo    []*job // models to be fused
	others  []*job // to be copied or linked when the models are done
	report  report.Zoo

	mu      sync.Mutex
	done    map[string]*entry // by path, of this run and of earlier ones
	failed  map[string]bool   // by path
	folders map[string]bool   // of OUT, made by this run
}

func (r *run) run(ctx context.Context) (*report.Zoo, error) {
	start := time.Now()
	if err := cmp.Or(r.Shard.check(), r.checkGraphs()); err != nil {
		return nil, err
	}
	var early []string // warnings
	items, err := walk(ctx, r.dir, walkOptions{Include: r.Include, Exclude: r.Exclude, Warn: func(text string) { early = append(early, text) }})
	if err != nil {
		return nil, err
	}
	early = append(early, r.unmatched(items)...)
	r.items, r.taken = paths(items), names(items)
	items = r.Shard.of(items)
	r.report = report.Zoo{Input: r.dir, Engine: r.Engine.Name(), Version: r.Version, Shard: r.Shard.String()}
	if !r.DryRun || r.out != "" {
		if err := r.checkOut(); err != nil {
			return nil, err
		}
	}
	if !r.DryRun {
		r.report.Output = r.out
		if r.journal, err = openJournal(r.dir, r.out, r.Shard, r.NoResume, r.Force); err != nil {
			return nil, err
		}
	}
	r.tally = newTally(items, r.Event)
	for _, text := range early {
		r.warn(text)
	}
	err = r.work(ctx, items)
	if r.journal != nil {
		err = errors.Join(err, r.journal.close(err == nil))
	}
	r.report.Models, r.report.Totals.Files = r.tally.models, r.tally.files
	r.report.Totals.Seconds = time.Since(start).Seconds()
	r.report.Sum()
	return &r.report, err
}

func paths(items []item) map[string]bool {
	set := map[string]bool{}
	for _, i := range items {
		set[i.path] = true
	}
	return set
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
	r.done, r.failed, r.folders = map[string]*entry{}, map[string]bool{}, map[string]bool{}
	if err := r.triage(ctx, items); err != nil {
		return err
	}
	if err := r.fuse(ctx); err != nil {
		return err
	}
	if r.DryRun {
		r.warnUnpaired()
		return nil
	}
	if err := r.copyOthers(ctx); err != nil {
		return err
	}
	r.warnUnpaired()
	return r.tidy()
}

// warn tells of what concerns no single model.
func (r *run) warn(text string) {
	r.Log.Warn(text)
	r.tally.warn("", text)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Warnings = append(r.report.Warnings, text)
}

// triage tells what is to be done from what is done already, and from what cannot be.
func (r *run) triage(ctx context.Context, items []item) error {
	leftovers := map[string]bool{}
	for _, i := range items {
		if i.same != "" && r.rule(i) != r.rule(item{path: i.same, format: i.format}) {
			i.same = "" // the same files, and pairs of another graph
		}
		j, err := r.newJob(i)
		if err == nil && j.target != i.path && r.taken[j.target] {
			err = fmt.Errorf("zoo: %s: its output %s is another file's name", filepath.Join(r.dir, filepath.FromSlash(i.path)), j.target)
		}
		if err != nil {
			r.fail(ctx, j, err)
			continue
		}
		if r.journal != nil {
			if e := r.journal.old[i.path]; !r.NoResume && e.holds(j.key, j.read, r.out) {
				r.resume(j, e)
				continue
			}
			for _, name := range i.files() {
				leftovers[filepath.Dir(filepath.FromSlash(name))] = true
			}
		}
		if i.isModel() && (r.DryRun || !repeats(i)) {
			r.todo = append(r.todo, j)
		} else if !r.DryRun {
			r.others = append(r.others, j)
		}
	}
	return r.removeLeftovers(leftovers)
}

// removeLeftovers removes what killed runs left in folders of OUT, but nothing from where a link leads.
func (r *run) removeLeftovers(dirs map[string]bool) error {
	out, err := realPath(r.out)
	if err != nil {
		return err
	}
	for dir := range dirs {
		dir = filepath.Join(out, dir)
		if real, err := realPath(dir); err != nil || real != dir {
			continue
		}
		if _, err := atomicfile.RemoveLeftovers(dir); err != nil && !isMissing(err) && !errors.Is(err, syscall.ENOTDIR) {
			return err
		}
	}
	return nil
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
			return r.open(ctx, j, e)
		},
		done: func(n int, made outcome) {
			if isFull(made.err) {
				cancel(r.full())
			}
			r.finish(ctx, r.todo[n], made)
		},
		bytes:  func(n int, k int64) { r.tally.bytes(r.todo[n].path, k) },
		files:  func(n int) int { return r.todo[n].openFiles() },
		engine: newSuccession(r.Engine, r.Fallback, r.warn),
	}
	err := p.run(ctx)
	e, _ := p.engine.current()
	r.report.Engine = e.Name()
	return cmp.Or(err, context.Cause(ctx))
}
