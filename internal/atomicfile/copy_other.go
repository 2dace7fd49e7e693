//go:build !linux

package atomicfile

import (
	"io"
	"os"
)

// CopyFrom makes the file a copy of the n bytes of src.
func (f *File) CopyFrom(src *os.File, n int64) error {
	got, err := io.Copy(f.File, io.NewSectionReader(src, 0, n))
	if err == nil && got < n {
		err = io.ErrUnexpectedEOF
	}
	return f.named(err)
}
