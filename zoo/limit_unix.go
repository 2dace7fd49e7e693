//go:build unix

package zoo

import "golang.org/x/sys/unix"

// filesAllowed is how many files this process may have open. Go has raised it to what the system lets it have.
func filesAllowed() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1 << 10
	}
	return int(min(uint64(limit.Cur), 1<<20))
}
