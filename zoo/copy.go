package zoo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/bnfuse/bnfuse/internal/atomicfile"
)

// copyFile copies a file of the zoo to its place in OUT.
func (r *run) copyFile(ctx context.Context, name string) (path string, err error) {
	path = filepath.Join(r.out, filepath.FromSlash(name))
	if err := r.folder(path); err != nil {
		return "", err
	}
	return path, copyTo(ctx, filepath.Join(r.dir, filepath.FromSlash(name)), path)
}

func copyTo(ctx context.Context, from, to string) error {
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
	if err := f.CopyFrom(ctx, src, info.Size()); err != nil {
		return err
	}
	return f.Commit(false)
}

// folder makes the folder of OUT that a file is to be in. One that a link leads out of OUT is refused.
func (r *run) folder(file string) error {
	dir := filepath.Dir(file)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.folders[dir] {
		return nil
	}
	root, err := os.OpenRoot(r.out)
	if err != nil {
		return err
	}
	defer root.Close()
	rel, err := filepath.Rel(r.out, dir)
	if err == nil {
		err = r.clearWay(root, rel)
	}
	if err == nil {
		err = root.MkdirAll(rel, 0o777)
	}
	if err == nil {
		_, err = root.Stat(rel)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, bare(err))
	}
	r.folders[dir] = true
	return nil
}

// clearWay takes away, on the way to a folder of root, what an earlier run made of what is a folder now: links that lead
// to another folder there, for what is written would come into that one, and files.
func (r *run) clearWay(root *os.Root, dir string) error {
	for at := range dir + "/" {
		if at < len(dir) && !os.IsPathSeparator(dir[at]) {
			continue
		}
		if !r.inWay(root, dir[:at]) {
			continue
		}
		if err := root.Remove(dir[:at]); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) inWay(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	switch {
	case err != nil:
		return false
	case info.Mode()&fs.ModeSymlink != 0:
		_, err := root.Stat(name)
		return err == nil // or it leads out of root, or to nothing
	default:
		return info.Mode().IsRegular() && r.isStale(filepath.ToSlash(name), info.Size())
	}
}

// isStale reports whether a file of OUT is as an earlier run wrote it for an item that is no more.
func (r *run) isStale(name string, size int64) bool {
	for path, old := range r.journal.old {
		if !r.taken[path] && slices.Contains(old.Wrote, output{name, size}) {
			return true
		}
	}
	return false
}

// copyOthers copies and links what is no model, and then what is the repetition of another, a model or not.
func (r *run) copyOthers(ctx context.Context) error {
	var first, again []*job
	for _, j := range r.others {
		if repeats(j.item) {
			again = append(again, j)
		} else {
			first = append(first, j)
		}
	}
	if err := r.copyAll(ctx, first); err != nil {
		return err
	}
	return r.copyAll(ctx, again)
}

func (r *run) copyAll(ctx context.Context, jobs []*job) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan *job)
	var wg sync.WaitGroup
	for range r.jobs() {
		wg.Go(func() {
			for j := range work {
				if err := r.copyOther(ctx, j); isFull(err) {
					cancel(r.full())
				}
			}
		})
	}
	for _, j := range jobs {
		if ctx.Err() != nil {
			break
		}
		work <- j
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

func (r *run) copyOther(ctx context.Context, j *job) error {
	r.tally.begin(j.path, j.size)
	var wrote []string
	var err error
	switch {
	case j.link != "":
		err = r.linkFolder(j)
	case repeats(j.item):
		return r.repeat(ctx, j)
	default:
		var path string
		path, err = r.copyFile(ctx, j.path)
		wrote = []string{path}
	}
	var e *entry
	if err == nil {
		e, err = r.entryOf(j, wrote)
	}
	if err != nil {
		r.fail(ctx, j, err)
		return err
	}
	if j.link == "" {
		r.note(e)
	}
	r.tally.end(j.path, j.size, nil)
	return nil
}

// full names the folder whose disk is full.
func (r *run) full() error { return fmt.Errorf("%s: %w", r.out, ErrDiskFull) }

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
