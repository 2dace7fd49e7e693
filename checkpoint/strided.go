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

	mu     sync.Mutex
	window []byte // bytes of src, read ahead
	at     int64  // where in src the window begins
}

// windowBytes is what strided reads at once: a channels-last filter lies in one window.
const windowBytes = 1 << 18

func (s *strided) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
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
		if err := s.read(elem, at); err != nil {
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
func (s *strided) read(p []byte, at int64) error {
	end := s.at + int64(len(s.window))
	if at >= s.at && at+int64(len(p)) <= end {
		copy(p, s.window[at-s.at:])
		return nil
	}
	if s.window != nil && (at < s.at || at > end+windowBytes) {
		_, err := s.src.ReadAt(p, at)
		return err
	}
	window := s.window[:cap(s.window)]
	if window == nil {
		window = make([]byte, windowBytes)
	}
	n, err := s.src.ReadAt(window, at)
	if n < len(p) {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	s.window, s.at = window[:n], at
	copy(p, s.window)
	return nil
}
