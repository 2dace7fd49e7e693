package zoo

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// reserve sets room for n bytes aside behind the end of a file.
func reserve(f *os.File, n int64) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, end, n)
}
