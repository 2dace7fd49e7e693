package zoo

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/internal/atomicfile"
)

// repeats reports whether an item is done by linking what another of the same name became.
func repeats(i item) bool { return i.same != "" && path.Base(i.same) == path.Base(i.path) }

// repeat gives an item the files of the one it is the same as.
func (r *run) repeat(ctx context.Context, j *job) error {
	r.mu.Lock()
	first := r.done[j.same]
	r.mu.Unlock()
	if first == nil {
		err := fmt.Errorf("zoo: %s: it is the same as %s, which is not done", j.path, j.same)
		r.fail(ctx, j, err)
		return err
	}
	var wrote []string
	for _, w := range first.Wrote {
		name := path.Join(path.Dir(j.path), strings.TrimPrefix(w.Name, path.Dir(j.same)+"/"))
		to := filepath.Join(r.out, filepath.FromSlash(name))
		err := r.folder(to)
		if err == nil {
			err = linkOrCopy(ctx, filepath.Join(r.out, filepath.FromSlash(w.Name)), to)
		}
		if err != nil {
			r.fail(ctx, j, err)
			return err
		}
		wrote = append(wrote, to)
	}
	e, err := r.entryOf(j, wrote)
	if err != nil {
		r.fail(ctx, j, err)
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

// linkNumber is one that no file in the making has.
const linkNumber = 1 << 30

// linkOrCopy makes the file to the same as from: by a hard link, or where there are none, as a copy.
func linkOrCopy(ctx context.Context, from, to string) error {
	temporary := filepath.Join(filepath.Dir(to), atomicfile.Temporary(filepath.Base(to), linkNumber))
	if os.Link(from, temporary) == nil {
		defer os.Remove(temporary) // where to is that file already, the rename does nothing
		if err := os.Rename(temporary, to); err == nil {
			return nil
		}
	}
	return copyTo(ctx, from, to)
}

// linkFolder makes the link again that stands for another folder of the zoo.
func (r *run) linkFolder(j *job) error {
	to := filepath.Join(r.out, filepath.FromSlash(j.path))
	if err := r.folder(to); err != nil {
		return err
	}
	if old, err := os.Readlink(to); err == nil && old == filepath.FromSlash(j.link) {
		return nil
	}
	if info, err := os.Lstat(to); err == nil && (info.Mode()&fs.ModeSymlink != 0 || r.wasFile(j, info)) {
		if err := os.Remove(to); err != nil {
			return err
		}
	}
	return os.Symlink(filepath.FromSlash(j.link), to)
}

// wasFile reports whether a file is as an earlier run wrote it for what is a link to a folder now.
func (r *run) wasFile(j *job, info fs.FileInfo) bool {
	old := r.journal.old[j.path]
	return old != nil && info.Mode().IsRegular() && slices.Contains(old.Wrote, output{j.path, info.Size()})
}
