package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// externals opens the files a model keeps tensor data in. Every location must stay inside the model's
// folder, also after links are followed; in a Hugging Face cache, where a snapshot links to blobs
// beside it, the boundary is the repository's models--* folder.
type externals struct {
	dir    string // the model's folder
	root   string // the boundary, with links resolved
	opened map[string]*externalFile
	order  []*externalFile // in order of first use
}

// externalFile is one opened file.
type externalFile struct {
	*os.File
	location string // as the model writes it
	size     int64
}

// errNoFolder answers a model that is not in a file and so has no folder to look in.
var errNoFolder = errors.New("the model is not read from a file, so its external data cannot be found")

func newExternals(modelPath string) (*externals, error) {
	e := &externals{opened: map[string]*externalFile{}}
	if modelPath == "" {
		return e, nil
	}
	e.dir = filepath.Dir(modelPath)
	root, err := filepath.EvalSymlinks(e.dir)
	if err != nil {
		return nil, err
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	e.root = repositoryRoot(root)
	return e, nil
}

// equals reports whether the file at path is this one, or holds the same bytes.
func (x *externalFile) equals(path string) (bool, error) {
	if same(path, x.File) {
		return true, nil
	}
	// What is wrong with the other file Create will tell. To open a named pipe would wait for its writer.
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() || st.Size() != x.size {
		return false, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	mine, theirs := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); at < x.size; {
		n := min(x.size-at, int64(len(mine)))
		if _, err := x.ReadAt(mine[:n], at); err != nil {
			return false, err
		}
		if _, err := f.ReadAt(theirs[:n], at); err != nil || !bytes.Equal(mine[:n], theirs[:n]) {
			return false, nil
		}
		at += n
	}
	return true, nil
}

// paths are the files that were opened.
func (e *externals) paths() []string {
	var list []string
	for _, f := range e.order {
		list = append(list, filepath.Join(e.dir, filepath.FromSlash(f.location)))
	}
	return list
}

// repositoryRoot widens a folder inside a Hugging Face cache to its models--* folder.
func repositoryRoot(dir string) string {
	for at := dir; at != filepath.Dir(at); at = filepath.Dir(at) {
		if strings.HasPrefix(filepath.Base(at), "models--") {
			return at
		}
	}
	return dir
}

// open returns the file a tensor's data lie in, after checking that they fit into it.
func (e *externals) open(x *external) (*externalFile, error) {
	f, err := e.file(x.location)
	if err != nil {
		return nil, fmt.Errorf("external data %q: %w", x.location, err)
	}
	if x.offset+x.length > f.size {
		return nil, fmt.Errorf("external data %q: bytes %d to %d are needed, the file has %d: %w",
			x.location, x.offset, x.offset+x.length, f.size, io.ErrUnexpectedEOF)
	}
	return f, nil
}

func (e *externals) file(location string) (*externalFile, error) {
	if f := e.opened[location]; f != nil {
		return f, nil
	}
	if e.dir == "" {
		return nil, errNoFolder
	}
	if !filepath.IsLocal(filepath.FromSlash(location)) {
		return nil, errors.New("the location is absolute or leaves the model's folder")
	}
	path, err := filepath.EvalSymlinks(filepath.Join(e.dir, filepath.FromSlash(location)))
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if rel, err := filepath.Rel(e.root, path); err != nil || !filepath.IsLocal(rel) {
		return nil, errors.New("a link leads out of the model's folder")
	}
	st, err := os.Stat(path) // before opening: to open a named pipe would wait for its writer
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	x := &externalFile{File: f, location: location, size: st.Size()}
	e.opened[location] = x
	e.order = append(e.order, x)
	return x, nil
}

// checkExternals opens every file the model keeps data in, so that a missing or short one is found
// before anything is written.
func (m *model) checkExternals() error {
	for i := range m.tensors {
		if !m.tensors[i].outside {
			continue
		}
		t, err := m.initializer(int32(i))
		if err != nil {
			return err
		}
		if _, err := m.externals.open(t.external); err != nil {
			return fmt.Errorf("tensor %q: %w", t.name(), err)
		}
	}
	return nil
}

func (e *externals) close() {
	for _, f := range e.order {
		f.Close()
	}
}
