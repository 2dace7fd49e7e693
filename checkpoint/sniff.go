package checkpoint

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// Sniff tells whether a file of size bytes is a checkpoint: Safetensors, PyTorch or "". A walk over a folder
// asks it about every file, so it looks closer than Format, which is told that the file is a model: of the
// zip archives it knows PyTorch's from .npz, .docx and .jar, of the pickles PyTorch's from all others. name
// matters for an index of shards alone. Little of the file is read, and what cannot be read is no checkpoint.
func Sniff(f io.ReaderAt, size int64, name string) string {
	head := make([]byte, max(0, min(size, sniffBytes)))
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	head = head[:n]
	switch format := Format(name, head); {
	case IsIndex(name):
		return format
	case format == PyTorch && isZip(head) && !isTorchZip(f, size, head):
		return ""
	case format == PyTorch && !isZip(head) && !isTorchPickle(head):
		return ""
	default:
		return format
	}
}

// sniffBytes hold the first header of a zip archive with the name of its entry.
const sniffBytes = 512

// isTorchZip reports whether an archive has the pickle that torch.save writes. It writes it first, so that a
// file is known that has lost its end, and with it the archive's directory; archives packed again may have it
// anywhere.
func isTorchZip(f io.ReaderAt, size int64, head []byte) bool {
	if isTorchEntry(firstEntry(head)) {
		return true
	}
	z, err := zip.NewReader(&sparing{f, maxSniffedDirectory}, size)
	if err != nil {
		return false
	}
	for _, e := range z.File {
		if isTorchEntry(e.Name) {
			return true
		}
	}
	return false
}

// isTorchEntry knows data.pkl, in the archive's root or in a folder there.
func isTorchEntry(name string) bool {
	dir, ok := strings.CutSuffix(name, "data.pkl")
	return ok && (dir == "" || strings.IndexByte(dir, '/') == len(dir)-1)
}

// firstEntry is the name of a zip archive's first entry, "" where head does not hold it.
func firstEntry(head []byte) string {
	const nameLen, name = 26, 30 // offsets in a local file header
	if len(head) < name {
		return ""
	}
	n := int(binary.LittleEndian.Uint16(head[nameLen:]))
	if len(head) < name+n {
		return ""
	}
	return string(head[name : name+n])
}

// legacyMagic is the number 0x1950a86a20f9469cfc6c, with which PyTorch's legacy format begins, and long1 the opcode
// for one of ten bytes.
const (
	legacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
	long1       = "\x8a\x0a"
)

// isTorchPickle knows the legacy format's magic number behind the pickle's PROTO and, since protocol 4, FRAME.
func isTorchPickle(head []byte) bool {
	const proto, frame = 2, 9 // bytes
	if !isPickle(head) {
		return false
	}
	rest := head[proto:]
	if len(rest) > frame && rest[0] == 0x95 {
		rest = rest[frame:]
	}
	return bytes.HasPrefix(rest, []byte(long1+legacyMagic))
}

// maxSniffedDirectory bounds what is read of an archive's directory: a checkpoint of 10,000 storages has
// about 1 MB.
const maxSniffedDirectory = 4 << 20

// sparing reads no more than left bytes.
type sparing struct {
	r    io.ReaderAt
	left int
}

var errSpent = errors.New("more was read than a look at a file is worth")

func (s *sparing) ReadAt(p []byte, off int64) (int, error) {
	if s.left -= len(p); s.left < 0 {
		return 0, errSpent
	}
	return s.r.ReadAt(p, off)
}
