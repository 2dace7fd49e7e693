//go:build !amd64

package host

import "github.com/bnfuse/bnfuse/fuse"

// scaleUniform multiplies the elements of b by s.
func (t *table) scaleUniform(dt fuse.DType, b []byte, s float64, n *counts) {
	t.wide[0] = s
	scalePortable(dt, b, t.wide[:], 0, n)
}

// scaleEach multiplies each element of b by its scale in t.wide.
func (t *table) scaleEach(dt fuse.DType, b []byte, n *counts) {
	scalePortable(dt, b, t.wide[:], 1, n)
}

// narrow has nothing to do: only the assembly uses float32 scales.
func (t *table) narrow(int) {}

// repeat writes each value inner times.
func repeat(dst, values []float64, inner int) { repeatPortable(dst, values, inner) }
