// Package regular opens and reads files that hold something. To open a named pipe would wait for its writer, and a
// folder fails at the first read only.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrNotRegular is returned for a folder, a named pipe, a device or a socket.
var ErrNotRegular = errors.New("not a regular file")

// Open opens a regular file for reading and gives its size. The error does not have the path, which the caller
// knows.
func Open(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotRegular
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// ReadAt fills b from offset off on. A file that ends before is [io.ErrUnexpectedEOF].
func ReadAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at offset %d: %w", len(b), off, err)
}
