package zoo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/atomicfile"
	"github.com/bnfuse/bnfuse/internal/stream"
)

// prepare opens a model. A PyTorch checkpoint with nothing to fold stays what it is, and so does a pickle
// that is no state dict, unless its name says that it should be one.
func (r *run) prepare(ctx context.Context, j *job, e fuse.Engine) (prepared, error) {
	if err := r.folder(filepath.Dir(j.work.Out)); err != nil {
		return nil, err
	}
	p, err := j.work.prepare(ctx, e, true, false)
	if errors.Is(err, checkpoint.ErrNotStateDict) && formatByName(j.path) == "" {
		return &copied{r, j, &result{Plan: &fuse.Plan{}, BytesIn: j.size, Warnings: []string{"copied as it is: " + err.Error()}}}, nil
	}
	if err != nil {
		return nil, err
	}
	if c, ok := p.(checkpointModel); ok && j.format == checkpoint.PyTorch && !c.Folds() {
		return &copied{r, j, (*result)(c.AsIs())}, c.Close()
	}
	return p, nil
}

// copied is a model that is copied as it is.
type copied struct {
	r   *run
	j   *job
	res *result
}

func (c *copied) Nodes() int              { return 0 }
func (c *copied) Next() (stream.Op, bool) { return stream.Op{}, false }
func (c *copied) Close() error            { return nil }

func (c *copied) Finish(context.Context) (*result, error) {
	for _, name := range append(c.j.parts[:len(c.j.parts):len(c.j.parts)], c.j.path) {
		path, err := c.r.copyFile(name)
		if err != nil {
			return nil, err
		}
		c.res.Wrote = append(c.res.Wrote, path)
	}
	return c.res, nil
}

// copyFile copies a file of the zoo to its place in OUT.
func (r *run) copyFile(name string) (path string, err error) {
	src, err := os.Open(filepath.Join(r.dir, filepath.FromSlash(name)))
	if err != nil {
		return "", err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return "", err
	}
	path = filepath.Join(r.out, filepath.FromSlash(name))
	if err := r.folder(filepath.Dir(path)); err != nil {
		return "", err
	}
	f, err := atomicfile.Create(path, info.Mode(), true)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := f.CopyFrom(src, info.Size()); err != nil {
		return "", err
	}
	return path, f.Commit(false)
}

// folder makes a folder of OUT. One that a link leads out of OUT is refused.
func (r *run) folder(dir string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.folders[dir] {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if root, err := filepath.EvalSymlinks(r.out); err != nil || !isInside(real, root) {
		return errors.Join(err, fmt.Errorf("%s leads out of the output folder by a link", dir))
	}
	r.folders[dir] = true
	return nil
}

// copyOthers copies and links what is no model, and models that are another's repetition.
func (r *run) copyOthers(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan *job)
	var wg sync.WaitGroup
	for range r.jobs() {
		wg.Go(func() {
			for j := range work {
				if err := r.copyOther(j); isFull(err) {
					cancel(ErrDiskFull)
				}
			}
		})
	}
	for _, j := range r.others {
		if ctx.Err() != nil {
			break
		}
		work <- j
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

func (r *run) copyOther(j *job) error {
	r.tally.begin(j.path, j.size)
	var wrote []string
	var err error
	switch {
	case j.link != "":
		err = r.linkFolder(j)
	case repeats(j.item):
		return r.repeat(j)
	default:
		var path string
		path, err = r.copyFile(j.path)
		wrote = []string{path}
	}
	var e *entry
	if err == nil {
		e, err = r.entryOf(j, wrote)
	}
	if err != nil {
		r.fail(j, err)
		return err
	}
	if j.link == "" {
		r.note(e)
	}
	r.tally.end(j.path, j.size, nil)
	return nil
}

// repeats reports whether an item is done by linking what another of the same name became.
func repeats(i item) bool { return i.same != "" && path.Base(i.same) == path.Base(i.path) }

// repeat gives an item the files of the one it is the same as.
func (r *run) repeat(j *job) error {
	r.mu.Lock()
	first := r.done[j.same]
	r.mu.Unlock()
	if first == nil {
		err := fmt.Errorf("zoo: %s: it is the same as %s, which is not done", j.path, j.same)
		r.fail(j, err)
		return err
	}
	var wrote []string
	for _, w := range first.Wrote {
		name := path.Join(path.Dir(j.path), strings.TrimPrefix(w.Name, path.Dir(j.same)+"/"))
		to := filepath.Join(r.out, filepath.FromSlash(name))
		err := r.folder(filepath.Dir(to))
		if err == nil {
			err = linkOrCopy(filepath.Join(r.out, filepath.FromSlash(w.Name)), to)
		}
		if err != nil {
			r.fail(j, err)
			return err
		}
		wrote = append(wrote, to)
	}
	e, err := r.entryOf(j, wrote)
	if err != nil {
		r.fail(j, err)
		return err
	}
	e.Report = first.Report
	r.note(e)
	if e.Report == nil {
		r.tally.end(j.path, j.size, nil)
		return nil
	}
	m := *e.Report
	r.place(&m, j, e)
	r.tally.end(j.path, j.size, &m)
	return nil
}

// linkOrCopy makes the file to the same as from: by a hard link, or where there are none, as a copy.
func linkOrCopy(from, to string) error {
	temporary := filepath.Join(filepath.Dir(to), fmt.Sprintf(".%s.%d-link%s", filepath.Base(to), os.Getpid(), atomicfile.Suffix))
	if os.Link(from, temporary) == nil {
		defer os.Remove(temporary) // where to is that file already, the rename does nothing
		if err := os.Rename(temporary, to); err == nil {
			return nil
		}
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	f, err := atomicfile.Create(to, info.Mode(), true)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.CopyFrom(src, info.Size()); err != nil {
		return err
	}
	return f.Commit(false)
}

// linkFolder makes the link again that stands for another folder of the zoo.
func (r *run) linkFolder(j *job) error {
	to := filepath.Join(r.out, filepath.FromSlash(j.path))
	if err := r.folder(filepath.Dir(to)); err != nil {
		return err
	}
	if old, err := os.Readlink(to); err == nil {
		if old == filepath.FromSlash(j.link) {
			return nil
		}
		if err := os.Remove(to); err != nil {
			return err
		}
	}
	return os.Symlink(filepath.FromSlash(j.link), to)
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
