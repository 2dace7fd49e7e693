//go:build !unix

package onnx

// sparse reports whether the file is known to have holes.
func (f *externalFile) sparse() bool { return false }
