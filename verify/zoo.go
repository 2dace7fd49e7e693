package verify

import (
	"context"
	"fmt"
	"path"
	"runtime"
	"slices"
	"sync"
)

// ZooOptions are how two folders of models are compared.
type ZooOptions struct {
	// What tells the pairs of a checkpoint: the first of Graphs whose pattern matches it, the ONNX model beside
	// it that has its stem, or Options.
	Graphs []PathGraph
	Options

	Include, Exclude []string // patterns of what is compared; without Include, all

	Jobs     int                    // comparisons at once; 0 for as many as there are processors
	Progress func(done, models int) // after each comparison, one at a time; may be nil
}

// PathGraph is the ONNX model of the checkpoints whose path matches a pattern.
type PathGraph struct {
	Glob  string // over the path in the folder: *, ?, [a-z] within a name, ** for folders; without a slash, over the last name
	Graph string
}

// ZooResult is what a comparison of two folders found.
type ZooResult struct {
	Original    string       `json:"original"`
	Fused       string       `json:"fused"`
	Models      []ZooModel   `json:"models"`      // by path
	Differences []Difference `json:"differences"` // of other files, missing ones and those too many
}

// ZooModel is one model of a folder.
type ZooModel struct {
	Path   string  `json:"path"`             // in the original folder, with slashes
	Output string  `json:"output,omitempty"` // in the fused folder; "" where it is missing
	Error  string  `json:"error,omitempty"`  // why it could not be compared
	Result *Result `json:"result,omitempty"` // nil with an error
}

// OK reports whether the model was compared and is right.
func (m *ZooModel) OK() bool { return m.Result != nil && m.Result.OK() }

// Failed is the number of models that are not right.
func (r *ZooResult) Failed() (n int) {
	for i := range r.Models {
		if !r.Models[i].OK() {
			n++
		}
	}
	return n
}

// OK reports whether every model is right and nothing else differs.
func (r *ZooResult) OK() bool { return r.Failed() == 0 && len(r.Differences) == 0 }

// Zoo compares the folder at fused with the folder of models that it was made from. Every model must be in
// it, and right; every other file must be the same; and there must be nothing else. An error means that a
// folder could not be read, or that ctx has ended.
func Zoo(ctx context.Context, original, fused string, o ZooOptions) (*ZooResult, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	was, err := readTree(original)
	if err != nil {
		return nil, err
	}
	is, err := readTree(fused)
	if err != nil {
		return nil, err
	}
	is.within(was)
	z := &zoo{was: was, is: is, options: o, result: &ZooResult{Original: original, Fused: fused, Models: []ZooModel{}, Differences: []Difference{}}}
	entries, leftovers := pairTrees(was, is, o.selects)
	entries = slices.DeleteFunc(entries, func(e entry) bool { return !o.selects(e.path) })
	leftovers = slices.DeleteFunc(leftovers, func(p string) bool { return !o.selects(p) })
	found := make([]finding, len(entries))
	if err := z.each(ctx, entries, found); err != nil {
		return nil, fmt.Errorf("verify: %s against %s: %w", fused, original, err)
	}
	for i, f := range found {
		if entries[i].isModel() {
			z.result.Models = append(z.result.Models, *f.model)
		}
		z.result.Differences = append(z.result.Differences, f.differences...)
	}
	for _, p := range leftovers {
		what := "it is in the fused folder, and nothing in the original explains it"
		if err := is.damaged[p]; err != nil {
			what = fmt.Sprintf("in the fused folder: %v", err)
		}
		z.result.Differences = append(z.result.Differences, Difference{p, what})
	}
	return z.result, nil
}

// check refuses options that make no sense.
func (o *ZooOptions) check() error {
	patterns := append(slices.Clone(o.Include), o.Exclude...)
	for _, g := range o.Graphs {
		patterns = append(patterns, g.Glob)
	}
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return fmt.Errorf("pattern %q: %w", p, path.ErrBadPattern)
		}
	}
	if o.Graph != "" && o.Pairs != "" {
		return errTwoSources
	}
	return nil
}

// selects reports whether a file is compared.
func (o *ZooOptions) selects(p string) bool {
	matches := func(pattern string) bool { return matchPath(pattern, p) }
	return (len(o.Include) == 0 || slices.ContainsFunc(o.Include, matches)) && !slices.ContainsFunc(o.Exclude, matches)
}

// zoo is the comparison of two folders.
type zoo struct {
	was, is *tree
	options ZooOptions
	result  *ZooResult
}

// finding is what became of an entry.
type finding struct {
	model       *ZooModel
	differences []Difference
}

// each compares all entries, several at once.
func (z *zoo) each(ctx context.Context, entries []entry, found []finding) error {
	jobs := z.options.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	models := 0
	for _, e := range entries {
		if e.isModel() {
			models++
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex // of done
	done := 0
	next := make(chan int)
	for range min(jobs, len(entries)) {
		wg.Go(func() {
			for i := range next {
				found[i] = z.compare(ctx, entries[i])
				if !entries[i].isModel() || z.options.Progress == nil {
					continue
				}
				mu.Lock()
				done++
				z.options.Progress(done, models)
				mu.Unlock()
			}
		})
	}
	for i := range entries {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
