//go:build unix

package zoo

import (
	"os"

	"golang.org/x/sys/unix"
)

// tryLock keeps other runs away from a file while it is open. Where the file system has no locks, it cannot.
func tryLock(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != unix.EWOULDBLOCK
}
