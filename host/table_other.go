//go:build !amd64

package host

import "github.com/bnfuse/bnfuse/fuse"

// multiply multiplies element i of b by the scale of the table's element at+i.
func (t *table) multiply(dt fuse.DType, b []byte, at int, n *counts) {
	multiplyPortable(dt, b, t.wide[at*t.step:], t.step, n)
}

// Only the assembly uses float32 scales.

func narrowOne(fuse.DType, *float32, float64) bool                        { return false }
func narrowRuns(fuse.DType, *[2 * tableRoom]float32, []float64, int) bool { return false }

// assembly is nothing here.
type assembly struct{}

func takesRuns(int) bool { return false }
func goesRound() bool    { return false }

func (*assembly) prepareByRun(int) {}

func (*assembly) spread32(_, _ []float32, _, _ int) {}

func (*assembly) spread64(each *[tableRoom]float64, runs []float64, n, inner int) {
	spreadPortable(each, runs, n, inner)
}

func widen(dst []float64, dt fuse.DType, b []byte) { widenPortable(dst, dt, b) }

func addProducts(lanes []float64, lane int, w, s []float64, step int) {
	addProductsPortable(lanes, lane, w, s, step)
}
