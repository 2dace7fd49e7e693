package onnx

import (
	"bufio"
	"io"
	"os"
)

// spool holds decoded copies of the few tensors that are not stored as plain little-endian elements, in
// a temporary file without a name.
type spool struct {
	dir string
	f   *os.File
	end int64

	named bool // the file still has its name
}

// add writes one tensor and returns where it begins.
func (s *spool) add(write func(io.Writer) error) (off int64, err error) {
	if s.f == nil {
		f, err := os.CreateTemp(s.dir, ".bnfuse-spool-*")
		if err != nil {
			return 0, err
		}
		s.f = f
		s.named = os.Remove(f.Name()) != nil // some systems keep the name of an open file
	}
	off = s.end
	w := bufio.NewWriterSize(io.NewOffsetWriter(s.f, off), 64<<10)
	if err := write(w); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	s.end, err = s.f.Seek(0, io.SeekEnd)
	return off, err
}

func (s *spool) ReadAt(p []byte, off int64) (int, error) { return s.f.ReadAt(p, off) }

func (s *spool) close() {
	if s.f != nil {
		s.f.Close()
		if s.named {
			os.Remove(s.f.Name())
		}
	}
}
