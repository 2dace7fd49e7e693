//go:build unix

package onnx

import "syscall"

// sparse reports whether the file has holes: fewer blocks than its size asks for.
func (f *externalFile) sparse() bool {
	st, err := f.Stat()
	if err != nil {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && sys.Blocks*512 < st.Size()
}
