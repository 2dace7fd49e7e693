package onnx

import (
	"errors"

	"golang.org/x/sys/unix"
)

// nextData is the first stretch of [from, to) that is not a hole; empty, at to, where all of it is one.
func (f *externalFile) nextData(from, to int64) (int64, int64) {
	start, err := unix.Seek(int(f.Fd()), from, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) || err == nil && start >= to {
		return to, to
	}
	if err != nil { // the file system does not tell
		return from, to
	}
	end, err := unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE)
	if err != nil {
		return start, to
	}
	return start, min(end, to)
}
