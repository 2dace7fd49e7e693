package verify

import (
	"fmt"
	"io"
	"math"
)

// array is a small constant. Floating-point values are float64, exactly.
type array struct {
	elem int32
	dims []int
	f    []float64
	i    []int64
}

const (
	maxRank  = 64
	maxArray = 1 << 20 // elements
)

func (k *array) isFloat() bool { return formatOf(k.elem) != nil }

// load reads a small tensor; nil for one that is large or of another type.
func (t *tensor) load() (*array, error) {
	n := t.nElem()
	if t.sparse || elemBytes(t.elem) == 0 || n < 0 || n > maxArray {
		return nil, nil
	}
	r, err := t.data()
	if err != nil {
		return nil, err
	}
	b := make([]byte, n*elemBytes(t.elem))
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.name, err)
	}
	k := &array{elem: t.elem, dims: t.dims}
	if f := formatOf(t.elem); f != nil {
		k.f = make([]float64, n)
		f.decode(k.f, b)
		return k, nil
	}
	format := intFormats[t.elem]
	for ; len(b) > 0; b = b[format.nBytes:] {
		k.i = append(k.i, format.decode(b))
	}
	return k, nil
}

// sameArray reports whether two constants are equal, bit for bit.
func sameArray(b, a *array) bool {
	if b.elem != a.elem || len(b.dims) != len(a.dims) || len(b.f) != len(a.f) || len(b.i) != len(a.i) {
		return false
	}
	for i := range b.dims {
		if b.dims[i] != a.dims[i] {
			return false
		}
	}
	for i := range b.f {
		if math.Float64bits(b.f[i]) != math.Float64bits(a.f[i]) {
			return false
		}
	}
	for i := range b.i {
		if b.i[i] != a.i[i] {
			return false
		}
	}
	return true
}

// at is the element that broadcasting puts at index i of a tensor of shape to.
func (k *array) at(i int, to []int) float64 { return k.f[sourceIndex(i, to, k.dims)] }

// sourceIndex is the index, in a tensor of shape from, of what broadcasting puts at index i of shape to.
func sourceIndex(i int, to, from []int) int {
	at, stride := 0, 1
	for d := len(to) - 1; d >= 0; d-- {
		x := i % to[d]
		i /= to[d]
		if j := d - len(to) + len(from); j >= 0 {
			if from[j] != 1 {
				at += x * stride
			}
			stride *= from[j]
		}
	}
	return at
}

// broadcast is the shape that two shapes broadcast to; an axis is -1 where it is not known.
func broadcast(a, b []int) ([]int, bool) {
	out := make([]int, max(len(a), len(b)))
	for i := range out {
		x, y := 1, 1
		if j := i - len(out) + len(a); j >= 0 {
			x = a[j]
		}
		if j := i - len(out) + len(b); j >= 0 {
			y = b[j]
		}
		switch {
		case x == y || y == 1:
			out[i] = x
		case x == 1:
			out[i] = y
		case x < 0:
			out[i] = y
		case y < 0:
			out[i] = x
		default:
			return nil, false
		}
	}
	return out, true
}
