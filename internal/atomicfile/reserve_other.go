//go:build !linux

package atomicfile

// Reserve sets the file's size.
func (f *File) Reserve(n int64, sparse bool) error { return f.named(f.Truncate(n)) }
