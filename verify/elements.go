package verify

import (
	"encoding/binary"
	"io"
	"math"
)

// reader gives a weight's elements in their stored order.
type reader struct {
	r      io.Reader
	format *format
	raw    []byte
}

func (c *checker) elements(w *weight) (*reader, error) {
	r := &reader{format: formatOf(w.elem())}
	if w.t == nil {
		r.r = &arrayReader{w.made.f}
		r.format = formats[typeDouble] // exact
		return r, nil
	}
	var err error
	r.r, err = w.t.data()
	return r, err
}

// next reads the next elements, all that there is room for.
func (r *reader) next(to []float64) error {
	n := len(to) * r.format.nBytes
	if cap(r.raw) < n {
		r.raw = make([]byte, n)
	}
	r.raw = r.raw[:n]
	if _, err := io.ReadFull(r.r, r.raw); err != nil {
		return err
	}
	r.format.decode(to, r.raw)
	return nil
}

// arrayReader streams numbers as raw_data of float64 has them.
type arrayReader struct{ f []float64 }

func (r *arrayReader) Read(p []byte) (int, error) {
	if len(r.f) == 0 {
		return 0, io.EOF
	}
	n := 0
	for len(p)-n >= 8 && len(r.f) > 0 {
		binary.LittleEndian.PutUint64(p[n:], math.Float64bits(r.f[0]))
		r.f, n = r.f[1:], n+8
	}
	return n, nil
}
