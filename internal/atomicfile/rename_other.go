//go:build !linux

package atomicfile

// renameNew renames a file unless the name is taken, which is an [fs.ErrExist].
func renameNew(from, to string) error { return linkNew(from, to) }
