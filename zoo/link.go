package zoo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// resolve finds the file to open, and what it is: of a link, the file that it leads to.
func (w *walker) resolve(f *found) {
	if f.isLink {
		if err := w.follow(f); err != nil {
			f.err = err
			return
		}
	}
	if f.link != "" {
		return
	}
	info, err := os.Lstat(f.real)
	switch {
	case err != nil:
		f.err = bare(err)
	case !info.Mode().IsRegular():
		w.warnSpecial(f.path)
		f.dropped = true
	default:
		f.info, f.size = info, info.Size()
	}
}

// follow goes to a link's end, which must lie inside the boundary.
func (w *walker) follow(f *found) error {
	end, err := filepath.EvalSymlinks(f.real)
	if err != nil {
		return fmt.Errorf("a link to %s that %w", written(f.real), nowhere(err))
	}
	info, err := os.Lstat(end)
	if err != nil {
		return bare(err)
	}
	if info.IsDir() {
		if !isInside(end, w.root) {
			return fmt.Errorf("a link to the folder %s, outside of %s", written(f.real), w.dir)
		}
		to, err := filepath.Rel(filepath.Dir(f.real), end)
		f.link, f.format = filepath.ToSlash(to), ""
		return err
	}
	if b := w.boundary(filepath.Dir(f.real)); !isInside(end, b) {
		return fmt.Errorf("a link to %s, outside of %s", written(f.real), w.nameOf(b))
	}
	f.source, f.real = end, end
	return nil
}

// written is where a link says that it leads.
func written(link string) string {
	to, err := os.Readlink(link)
	if err != nil {
		return "somewhere"
	}
	return to
}

// nowhere says why a link has no end.
func nowhere(err error) error {
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("leads to nothing")
	case errors.As(err, &pe):
		return fmt.Errorf("cannot be followed: %w", pe.Err)
	default:
		return errors.New("leads in a circle")
	}
}

// boundary is what links in the folder dir must not leave: the zoo, or the repository of a Hugging Face cache,
// whose snapshots are links to its blobs. The zoo may be a cache, one of its repositories or a snapshot.
func (w *walker) boundary(dir string) string {
	if r := repository(dir); r != "" {
		return r
	}
	return w.root
}

// nameOf is a boundary as the user knows it.
func (w *walker) nameOf(boundary string) string {
	if boundary == w.root {
		return w.dir
	}
	return boundary
}

// repository is the models--* folder that dir is or lies in, "" for none.
func repository(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if strings.HasPrefix(filepath.Base(at), "models--") {
			return at
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}

// isInside reports whether path is dir or lies in it.
func isInside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// dropBlobs drops the files of a Hugging Face cache that its snapshots give better names to.
func (w *walker) dropBlobs() {
	linked := map[string]bool{}
	for _, f := range w.found {
		if f.isLink && f.err == nil {
			linked[f.real] = true
		}
	}
	for _, f := range w.found {
		if !f.isLink && isBlob(f.real) && linked[f.real] {
			f.dropped = true
		}
	}
}

// isBlob knows models--*/blobs/*.
func isBlob(real string) bool {
	dir := filepath.Dir(real)
	return filepath.Base(dir) == "blobs" && strings.HasPrefix(filepath.Base(filepath.Dir(dir)), "models--")
}
