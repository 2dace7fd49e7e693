// Package atomicfile writes a file that appears whole or not at all: under a temporary name beside the
// target, renamed at the end.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrExists is returned where a file stands in the way and may not be replaced. It is an [fs.ErrExist], too.
var ErrExists error = existsError{}

type existsError struct{}

func (existsError) Error() string        { return "the file exists" }
func (existsError) Is(target error) bool { return target == fs.ErrExist }

// Suffix ends the name of every temporary file.
const Suffix = ".bnfuse-tmp"

// File is a file in the making. Close it in any case; without Commit, Close removes it.
type File struct {
	*os.File
	target  string
	replace bool
	done    bool
}

// Create opens a temporary file beside target, with the given permissions less the umask. Unless
// replace is set, an existing target is ErrExists.
func Create(target string, perm fs.FileMode, replace bool) (*File, error) {
	if err := Check(target, replace); err != nil {
		return nil, err
	}
	dir, base := filepath.Split(target)
	for i := range 10_000 {
		name := filepath.Join(dir, Temporary(base, i))
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm.Perm())
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			var pe *fs.PathError
			if errors.As(err, &pe) {
				err = pe.Err // its path is the temporary one
			}
			return nil, fmt.Errorf("%s: %w", target, err)
		}
		if !lock(f) { // taken for a leftover between its creation and here
			f.Close()
			continue
		}
		return &File{File: f, target: target, replace: replace}, nil
	}
	return nil, fmt.Errorf("%s: no free temporary name", target)
}

// Temporary is a hidden name for the making of a file, number i of this process. It is no longer than names may
// be where the file's own is not.
func Temporary(base string, i int) string {
	const most = 200 // of the 255 bytes that names may have
	if len(base) > most {
		base = strings.ToValidUTF8(base[:most], "")
	}
	return fmt.Sprintf(".%s.%d-%d%s", base, os.Getpid(), i, Suffix)
}

// Check says at once why Create would refuse a target: something other than a file stands there, or,
// unless replace is set, a file.
func Check(target string, replace bool) error {
	st, err := os.Lstat(target)
	if err != nil {
		return nil
	}
	if to, err := os.Stat(target); err == nil {
		st = to
	}
	switch {
	case st.IsDir():
		return fmt.Errorf("%s: a folder, where a file is to be written", target)
	case !st.Mode().IsRegular() && st.Mode()&fs.ModeSymlink == 0:
		return fmt.Errorf("%s: not a regular file", target)
	case !replace:
		return fmt.Errorf("%s: %w", target, ErrExists)
	}
	return nil
}

// RemoveLeftovers removes from a folder the temporary files of runs that were killed, and tells their names.
// Those of programs at work stay, on this machine or on another that shares the file system.
func RemoveLeftovers(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), Suffix) || !strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() {
			continue
		}
		removed, rmErr := removeUnlocked(filepath.Join(dir, e.Name()))
		if removed {
			names = append(names, e.Name())
		}
		err = errors.Join(err, rmErr)
	}
	return names, err
}

// Target is the name the file is to have.
func (f *File) Target() string { return f.target }

// WriteAt writes to the temporary file; an error names the file it is to become.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	return n, f.named(err)
}

// named puts the target's name into an error in place of the temporary one's.
func (f *File) named(err error) error {
	if err == nil {
		return nil
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", f.target, err)
}

// Commit gives the file its name, and with sync set, makes it and its name durable first. Unless Create was
// told to replace, a file that has come into the way meanwhile is ErrExists.
func (f *File) Commit(sync bool) error {
	if sync {
		if err := f.Sync(); err != nil {
			return f.named(err)
		}
	}
	name := f.Name()
	release := keepLocked(f.File) // until it has its name
	defer release()
	if err := f.File.Close(); err != nil { // which is where some file systems tell that a write failed
		return errors.Join(err, os.Remove(name))
	}
	f.done = true
	rename := renameNew
	if f.replace {
		rename = os.Rename
	}
	if err := rename(name, f.target); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%s: %w", f.target, ErrExists)
		}
		return errors.Join(err, os.Remove(name))
	}
	if !sync {
		return nil
	}
	dir, err := os.Open(filepath.Dir(f.target))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// linkNew is renameNew for file systems that only know links: the name appears at once or not at all. Where there
// are no links either, a look beforehand has to do.
func linkNew(from, to string) error {
	switch err := os.Link(from, to); {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, fs.ErrExist):
		return err
	}
	if err := Check(to, false); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// Close removes the temporary file unless it was committed.
func (f *File) Close() error {
	if f.done {
		return nil
	}
	f.done = true
	return errors.Join(f.File.Close(), os.Remove(f.Name()))
}
