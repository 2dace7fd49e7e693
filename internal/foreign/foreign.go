// Package foreign names what is often met where a model should be, by its first bytes, so that an error can
// say more than that a file is no model.
package foreign

import "bytes"

// HeadBytes are enough for Name.
const HeadBytes = 64

// Name says what a file is that begins with head, "" for what is not known, as an ONNX model.
func Name(head []byte) string {
	if IsPointer(head) {
		return "a Git LFS pointer: `git lfs pull` fetches the file itself"
	}
	for _, f := range []struct {
		offset     int
		mark, what string
	}{
		{0, "\x89HDF", "an HDF5 file, perhaps a Keras model"},
		{0, "GGUF", "a GGUF model"},
		{0, "{", "a JSON file; the index of a sharded checkpoint is named *.safetensors.index.json or *.bin.index.json"},
		{4, "TFL3", "a TensorFlow Lite model"},
		{0, "\x1f\x8b", "a file packed by gzip; unpack it first"},
		{0, "\x93NUMPY", "an array of NumPy"},
		{0, "\x89PNG", "a picture"},
		{0, "\x7fELF", "a program or library"},
		{0, "<", "an HTML or XML file, perhaps the page of a download that failed"},
		{0, "#", "a text file"},
	} {
		if len(head) > f.offset && bytes.HasPrefix(head[f.offset:], []byte(f.mark)) {
			return f.what
		}
	}
	return ""
}

// IsPointer knows what Git LFS leaves in place of a large file that it has not fetched.
func IsPointer(head []byte) bool {
	return bytes.HasPrefix(head, []byte("version https://git-lfs"))
}
