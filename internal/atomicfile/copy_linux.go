package atomicfile

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// CopyFrom makes the file a copy of the n bytes of src: a clone where the file system shares blocks
// between files, else a copy inside the kernel, else by reading and writing.
func (f *File) CopyFrom(src *os.File, n int64) error {
	if unix.IoctlFileClone(int(f.Fd()), int(src.Fd())) == nil {
		return nil
	}
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	got, err := io.Copy(f.File, io.LimitReader(src, n))
	if err == nil && got < n {
		err = io.ErrUnexpectedEOF
	}
	return f.named(err)
}
