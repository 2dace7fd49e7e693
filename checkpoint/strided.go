package checkpoint

import (
	"io"
	"slices"
	"sync"
)

// strided reads a tensor whose elements do not lie in the order of its shape, or are big-endian, as if they
// were little-endian and did.
type strided struct {
	src    io.ReaderAt
	off    int64 // of the first element
	size   int   // of an element
	shape  []int
	stride []int // in elements
	swap   int   // reverse groups of that many bytes; 0: not
}

// window is bytes of a source, read ahead. A call has one, and gives it back.
type window struct {
	bytes []byte
	at    int64 // where in the source it begins
}

// windowBytes is what strided reads at once: a channels-last filter lies in one window.
const windowBytes = 1 << 18

var windows = sync.Pool{New: func() any { return &window{bytes: make([]byte, windowBytes)} }}

func (s *strided) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	w := windows.Get().(*window)
	defer windows.Put(w)
	w.bytes = w.bytes[:0]
	done := 0
	elem := make([]byte, s.size)
	index := make([]int, len(s.shape))
	s.locate(index, off/int64(s.size))
	skip := int(off % int64(s.size)) // a read may begin within an element
	for done < len(p) {
		at := s.off
		for i, x := range index {
			at += int64(x) * int64(s.stride[i]) * int64(s.size)
		}
		if err := w.read(s.src, elem, at); err != nil {
			return done, err
		}
		if s.swap > 0 {
			for b := elem; len(b) > 0; b = b[s.swap:] {
				slices.Reverse(b[:s.swap])
			}
		}
		done += copy(p[done:], elem[skip:])
		skip = 0
		if !s.step(index) {
			break
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// locate gives the place along each axis of element n.
func (s *strided) locate(index []int, n int64) {
	for i, d := range slices.Backward(s.shape) {
		index[i] = int(n % int64(d))
		n /= int64(d)
	}
}

// step goes on to the next element, the last axis first; false behind the last one.
func (s *strided) step(index []int) bool {
	for i, d := range slices.Backward(s.shape) {
		if index[i]++; index[i] < d {
			return true
		}
		index[i] = 0
	}
	return false
}

// read copies from the window, which it moves when it must. Elements far from the last one, as those of a
// transposed matrix are, are read by themselves.
func (w *window) read(src io.ReaderAt, p []byte, at int64) error {
	end := w.at + int64(len(w.bytes))
	if at >= w.at && at+int64(len(p)) <= end {
		copy(p, w.bytes[at-w.at:])
		return nil
	}
	if len(w.bytes) > 0 && (at < w.at || at > end+windowBytes) {
		_, err := src.ReadAt(p, at)
		return err
	}
	ahead := w.bytes[:cap(w.bytes)]
	n, err := src.ReadAt(ahead, at)
	if n < len(p) {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	w.bytes, w.at = ahead[:n], at
	copy(p, w.bytes)
	return nil
}
