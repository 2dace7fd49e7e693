package host

import (
	"encoding/binary"
	"math"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/half"
)

// multiplyPortable multiplies element i of b by s[i·step], in plain Go. A result that is not a plain
// number goes to the reference's rule.
func multiplyPortable(dt fuse.DType, b []byte, s []float64, step int, n *counts) {
	switch dt {
	case fuse.Float64:
		for j := 0; len(b) >= 8; b, j = b[8:], j+step {
			p := math.Float64frombits(binary.LittleEndian.Uint64(b)) * s[j]
			if p-p != 0 || p == 0 {
				scaleElement(dt, b, s[j], 1, n)
				continue
			}
			binary.LittleEndian.PutUint64(b, math.Float64bits(p))
		}
	case fuse.Float32:
		for j := 0; len(b) >= 4; b, j = b[4:], j+step {
			p := float32(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) * s[j])
			if p-p != 0 || p == 0 {
				scaleElement(dt, b, s[j], 1, n)
				continue
			}
			binary.LittleEndian.PutUint32(b, math.Float32bits(p))
		}
	case fuse.Float16:
		const inf = 0x7c00
		for j := 0; len(b) >= 2; b, j = b[2:], j+step {
			q := half.Float64ToFloat16(half.Float16ToFloat64(binary.LittleEndian.Uint16(b)) * s[j])
			if plain16(q, inf) {
				binary.LittleEndian.PutUint16(b, q)
				continue
			}
			scaleElement(dt, b, s[j], 1, n)
		}
	case fuse.BFloat16:
		const inf = 0x7f80
		for j := 0; len(b) >= 2; b, j = b[2:], j+step {
			q := half.Float64ToBFloat16(half.BFloat16ToFloat64(binary.LittleEndian.Uint16(b)) * s[j])
			if plain16(q, inf) {
				binary.LittleEndian.PutUint16(b, q)
				continue
			}
			scaleElement(dt, b, s[j], 1, n)
		}
	}
}

// plain16 reports whether q, of a type whose infinity is inf, is neither zero nor infinite nor NaN.
func plain16(q, inf uint16) bool { return q&0x7fff-1 < inf-1 }

// spreadPortable writes each of n runs' scales inner times.
func spreadPortable(each *[tableRoom]float64, runs []float64, n, inner int) {
	for i, s := range runs[:n] {
		run := each[i*inner:][:inner]
		for k := range run {
			run[k] = s
		}
	}
}

// widenPortable converts len(dst) elements of b to float64.
func widenPortable(dst []float64, dt fuse.DType, b []byte) {
	switch dt {
	case fuse.Float64:
		for i := range dst {
			dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
	case fuse.Float32:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		}
	case fuse.Float16:
		for i := range dst {
			dst[i] = half.Float16ToFloat64(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case fuse.BFloat16:
		for i := range dst {
			dst[i] = half.BFloat16ToFloat64(binary.LittleEndian.Uint16(b[2*i:]))
		}
	}
}

// addProductsPortable adds w[i]·s[i·step] to lane (lane+i) mod NumLanes, in ascending order.
func addProductsPortable(lanes []float64, lane int, w, s []float64, step int) {
	lanes = lanes[:fuse.NumLanes]
	j := 0
	for _, x := range w {
		lanes[lane%fuse.NumLanes] += float64(x * s[j])
		lane++
		j += step
	}
}
