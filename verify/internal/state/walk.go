package state

import (
	"io"
	"slices"
)

// walk streams the elements of a view that do not lie in the order of its shape, or have their highest byte
// first.
type walk struct {
	v     *view
	size  int64
	unit  int     // of bytes to be reversed; 0 for none
	index []int64 // of the next element
	left  int64   // elements
	ready []byte  // of an element that is half read
	elem  []byte

	window []byte // bytes of the storage
	at     int64
	served int // elements from the window since it was moved
}

const (
	windowBytes = 1 << 18 // a filter of a convolution that is stored channels last
	fewServed   = 256     // a window that gives fewer elements is slower than reading each by itself
)

func newWalk(v *view) *walk {
	w := &walk{v: v, size: sizeOf(v.dtype), index: make([]int64, len(v.shape)), left: 1, served: fewServed}
	for _, d := range v.shape {
		w.left *= d
	}
	w.elem = make([]byte, w.size)
	if v.bigEndian {
		w.unit = int(w.size)
		if v.dtype == "C64" {
			w.unit = 4 // two numbers
		}
	}
	return w
}

func (w *walk) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(w.ready) == 0 {
			if w.left == 0 {
				break
			}
			if err := w.next(); err != nil {
				return n, err
			}
		}
		k := copy(p[n:], w.ready)
		w.ready = w.ready[k:]
		n += k
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// next gets one element ready and goes on to the next, the last axis first.
func (w *walk) next() error {
	at := w.v.first
	for i, x := range w.index {
		at += x * w.v.stride[i]
	}
	if err := w.fetch(at * w.size); err != nil {
		return err
	}
	for e := w.elem; w.unit > 0 && len(e) > 0; e = e[w.unit:] {
		slices.Reverse(e[:w.unit])
	}
	w.ready = w.elem
	w.left--
	for i := range slices.Backward(w.index) {
		if w.index[i]++; w.index[i] < w.v.shape[i] {
			break
		}
		w.index[i] = 0
	}
	return nil
}

// fetch reads the element at a byte of the storage, from the window where that pays.
func (w *walk) fetch(at int64) error {
	if at < w.at || at+w.size > w.at+int64(len(w.window)) {
		if w.served < fewServed {
			_, err := w.v.r.ReadAt(w.elem, at)
			return unexpected(err)
		}
		if w.window == nil {
			w.window = make([]byte, windowBytes)
		}
		n, err := w.v.r.ReadAt(w.window[:windowBytes], at)
		if int64(n) < w.size {
			return unexpected(err)
		}
		w.window, w.at, w.served = w.window[:n], at, 0
	}
	w.served++
	copy(w.elem, w.window[at-w.at:])
	return nil
}
