package atomicfile

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Reserve sets the file's size and, where the file system can, allocates its blocks, so that a full
// disk is met before anything is written and writers find the space in one piece. A sparse file gets
// its size alone.
func (f *File) Reserve(n int64, sparse bool) error {
	if n == 0 {
		return nil
	}
	if !sparse {
		for {
			err := unix.Fallocate(int(f.Fd()), 0, 0, n)
			if err == nil {
				return nil
			}
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
				return f.named(err)
			}
			break
		}
	}
	return f.named(f.Truncate(n))
}
