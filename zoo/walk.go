package zoo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/bnfuse/bnfuse/internal/atomicfile"
)

// walkOptions select the items of a zoo, models and other files alike. Of a sharded checkpoint Include may
// match a shard too; what belongs to a model goes or stays with it.
type walkOptions struct {
	Include, Exclude []string          // see Glob; without Include, all is included
	Warn             func(text string) // what is left out and is no error; may be nil
}

// walk finds the items of the folder dir, sorted by path. The same tree gives the same items, whoever walks it.
//
// Models are known by their content, and only where that fails, by their name: then they are damaged. Links
// to files are followed inside the folder, and in a Hugging Face cache inside a repository's folder; links to
// folders never are, and become items of their own. Nothing but regular files is ever opened.
func walk(ctx context.Context, dir string, o walkOptions) ([]item, error) {
	w, err := newWalker(dir, o)
	if err != nil {
		return nil, err
	}
	if err := w.list(ctx); err != nil {
		return nil, err
	}
	w.each(ctx, w.resolve)
	w.dropBlobs()
	w.each(ctx, w.look)
	w.claimShards()
	w.claimData()
	w.findGraphs()
	items := w.selected()
	w.tell(o.Warn)
	return items, context.Cause(ctx)
}

// walker is a walk in progress.
type walker struct {
	dir, root        string // the folder as it was given; and absolute, with links resolved
	include, exclude []Glob

	mu       sync.Mutex
	warnings []string

	found  []*found // in the order of the walk
	byPath map[string]*found
}

// found is what will be an item, unless it belongs to another.
type found struct {
	item
	isLink  bool
	dropped bool   // it belongs to a model, or is left out
	stays   bool   // it is copied as it is, although it may be a model
	user    *found // the last model that keeps tensors in it

	real, graphReal string   // source and graph with links resolved
	content         string   // the format that the bytes say, where format may go by the name
	shards          []string // the names an index gives
	locations       []string // the names an ONNX model gives its external data
}

func newWalker(dir string, o walkOptions) (*walker, error) {
	w := &walker{dir: dir, byPath: map[string]*found{}}
	var err error
	if w.include, err = parseGlobs(o.Include); err != nil {
		return nil, err
	}
	if w.exclude, err = parseGlobs(o.Exclude); err != nil {
		return nil, err
	}
	if w.root, err = filepath.EvalSymlinks(dir); err == nil {
		w.root, err = filepath.Abs(w.root)
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(w.root)
	}
	if err == nil && !info.IsDir() {
		err = errors.New("not a folder")
	}
	if err != nil {
		return nil, bare(err)
	}
	return w, nil
}

// list notes every file and link by its name. Folders that are excluded, or hold what is no zoo's, are not
// entered.
func (w *walker) list(ctx context.Context) error {
	return filepath.WalkDir(w.root, func(full string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rel, relErr := filepath.Rel(w.root, full)
		if relErr != nil || rel == "." {
			return errors.Join(err, relErr)
		}
		p := filepath.ToSlash(rel)
		switch {
		case err != nil:
			w.add(p).err = bare(err)
		case d.IsDir():
			if w.passOver(p) {
				return fs.SkipDir
			}
		case isOurs(d.Name()):
		case strings.HasSuffix(p, ".incomplete"):
			w.warn(p, "an unfinished download of Hugging Face is left out")
		case d.Type().IsRegular():
			w.add(p)
		case d.Type()&fs.ModeSymlink != 0:
			w.add(p).isLink = true
		default:
			w.warnSpecial(p)
		}
		return nil
	})
}

func (w *walker) add(p string) *found {
	f := &found{item: item{path: p, source: w.named(p), format: formatByName(p)}, real: filepath.Join(w.root, filepath.FromSlash(p))}
	w.found = append(w.found, f)
	w.byPath[p] = f
	return f
}

// named is a path's name below the folder as the user gave it.
func (w *walker) named(p string) string { return filepath.Join(w.dir, filepath.FromSlash(p)) }

// passOver reports whether a folder is not entered: it is excluded, a history of versions, or the locks of a
// Hugging Face cache.
func (w *walker) passOver(p string) bool {
	switch path.Base(p) {
	case ".git", ".hg", ".svn":
		w.warn(p, "a repository's history is left out")
		return true
	case ".locks":
		return true
	}
	return matchAny(w.exclude, p)
}

// isOurs knows the files that bnfuse itself leaves in a folder: journals, and what an interrupted run wrote.
func isOurs(name string) bool {
	return strings.HasPrefix(name, ".bnfuse-") || strings.HasSuffix(name, atomicfile.Suffix)
}

// warn tells of a path, if it is among those that are asked for.
func (w *walker) warn(p, text string) {
	if !w.wantsPath(p) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.warnings = append(w.warnings, p+": "+text)
}

func (w *walker) warnSpecial(p string) {
	w.warn(p, "a named pipe, socket or device is left out")
}

// tell passes the warnings on, in an order that does not depend on which goroutine was first.
func (w *walker) tell(warn func(text string)) {
	if warn == nil {
		return
	}
	slices.Sort(w.warnings)
	for _, text := range w.warnings {
		warn(text)
	}
}

// concurrentReads hides the latency of network file systems.
const concurrentReads = 16

// each calls work for everything found, on several goroutines. It stops early when ctx ends.
func (w *walker) each(ctx context.Context, work func(*found)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(concurrentReads, len(w.found)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(w.found) {
					return
				}
				if f := w.found[i]; !f.dropped && f.err == nil {
					work(f)
				}
			}
		})
	}
	wg.Wait()
}

// bare drops the path from an error that will be given one.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
