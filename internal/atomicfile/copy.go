package atomicfile

import (
	"context"
	"io"
	"os"
)

// copyStep is how much is copied before looking whether to go on.
const copyStep = 64 << 20

// CopyFrom makes the file a copy of the n bytes of src: a clone where the file system shares blocks
// between files, else a copy, inside the kernel where that can. It stops when ctx ends.
func (f *File) CopyFrom(ctx context.Context, src *os.File, n int64) error {
	if clone(f.File, src) {
		return nil
	}
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for done := int64(0); done < n; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		got, err := io.Copy(f.File, io.LimitReader(src, min(n-done, copyStep)))
		if err == nil && got == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return f.named(err)
		}
		done += got
	}
	return nil
}
