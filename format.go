package bnfuse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// checkFormat refuses a file that is known to be something other than an ONNX model, and says what. An
// ONNX model itself has no mark: whatever else is wrong with a file is for package onnx to say.
func checkFormat(path string) error {
	f, err := os.Open(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return fmt.Errorf("bnfuse: %s: %w", path, err)
	}
	defer f.Close()
	head := make([]byte, 64)
	n, err := io.ReadFull(f, head)
	if n == 0 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil // package onnx will meet it too
	}
	if what := otherFormat(head[:n]); what != "" {
		return fmt.Errorf("bnfuse: %s: not an ONNX model but %s", path, what)
	}
	return nil
}

// otherFormat tells what a file is by its first bytes, "" for what may be an ONNX model.
func otherFormat(head []byte) string {
	for _, f := range []struct {
		offset     int
		mark, what string
	}{
		{0, "PK\x03\x04", "a zip archive, perhaps a PyTorch checkpoint"},
		{0, "\x80\x02", "a pickle, perhaps a PyTorch checkpoint"},
		{0, "\x89HDF", "an HDF5 file, perhaps a Keras model"},
		{0, "GGUF", "a GGUF model"},
		{4, "TFL3", "a TensorFlow Lite model"},
		{0, "version https://git-lfs", "a Git LFS pointer: `git lfs pull` fetches the file itself"},
	} {
		if len(head) > f.offset && bytes.HasPrefix(head[f.offset:], []byte(f.mark)) {
			return f.what
		}
	}
	// A safetensors file begins with the length of its JSON header.
	if len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= 100<<20 {
		return "a safetensors checkpoint"
	}
	return ""
}
