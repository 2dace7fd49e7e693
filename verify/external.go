package verify

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// externals are the files a model keeps tensor data in, in the model's folder.
type externals struct {
	dir    string
	opened map[string]*os.File
	model  *os.File
}

func (e *externals) of(path string, f *os.File) {
	e.dir, e.opened, e.model = filepath.Dir(path), map[string]*os.File{}, f
}

func (e *externals) openExternal(x *external, nBytes int64) (io.Reader, error) {
	if e.dir == "" {
		return nil, errors.New("external data of a model that is not in a folder")
	}
	if !filepath.IsLocal(filepath.FromSlash(x.location)) {
		return nil, fmt.Errorf("external data %q: the location is absolute or leaves the model's folder", x.location)
	}
	f := e.opened[x.location]
	if f == nil {
		path := filepath.Join(e.dir, filepath.FromSlash(x.location))
		st, err := os.Stat(path) // before opening: to open a named pipe would wait for its writer
		if err == nil && !st.Mode().IsRegular() {
			err = errors.New("not a regular file")
		}
		if err == nil {
			f, err = os.Open(path)
		}
		if err != nil {
			return nil, fmt.Errorf("external data %q: %w", x.location, bare(err))
		}
		e.opened[x.location] = f
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if x.len >= 0 && x.len != nBytes || x.off > st.Size()-nBytes {
		return nil, fmt.Errorf("external data %q: the tensor needs %d bytes from %d on, the file has %d and the model says %d: %w",
			x.location, nBytes, x.off, st.Size(), x.len, io.ErrUnexpectedEOF)
	}
	return io.NewSectionReader(f, x.off, nBytes), nil
}

func (e *externals) close() {
	for _, f := range e.opened {
		f.Close()
	}
	if e.model != nil {
		e.model.Close()
	}
}
