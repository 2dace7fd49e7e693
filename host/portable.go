package host

import (
	"encoding/binary"
	"math"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/half"
)

// scalePortable multiplies the elements of b in plain Go. Element i's scale is s[i·step]: step is 0 for
// one scale, 1 for a scale an element. A result that is not a plain number goes to the reference's rule.
func scalePortable(dt fuse.DType, b []byte, s []float64, step int, n *counts) {
	switch dt {
	case fuse.Float64:
		for i, j := 0, 0; i+8 <= len(b); i, j = i+8, j+step {
			w := b[i : i+8 : i+8]
			p := math.Float64frombits(binary.LittleEndian.Uint64(w)) * s[j]
			if p-p != 0 || p == 0 {
				scaleElement(dt, w, s[j], 1, n)
				continue
			}
			binary.LittleEndian.PutUint64(w, math.Float64bits(p))
		}
	case fuse.Float32:
		for i, j := 0, 0; i+4 <= len(b); i, j = i+4, j+step {
			w := b[i : i+4 : i+4]
			p := float32(float64(math.Float32frombits(binary.LittleEndian.Uint32(w))) * s[j])
			if p-p != 0 || p == 0 {
				scaleElement(dt, w, s[j], 1, n)
				continue
			}
			binary.LittleEndian.PutUint32(w, math.Float32bits(p))
		}
	case fuse.Float16:
		scalePortable16(dt, b, s, step, half.Float16ToFloat64, half.Float64ToFloat16, half.Float16NaN&^0x0200, n)
	case fuse.BFloat16:
		scalePortable16(dt, b, s, step, half.BFloat16ToFloat64, half.Float64ToBFloat16, half.BFloat16NaN&^0x0040, n)
	}
}

// scalePortable16 is scalePortable for a type of 16 bits, whose infinity is inf.
func scalePortable16(dt fuse.DType, b []byte, s []float64, step int,
	widen func(uint16) float64, narrow func(float64) uint16, inf uint16, n *counts,
) {
	const sign = 1 << 15
	for i, j := 0, 0; i+2 <= len(b); i, j = i+2, j+step {
		w := b[i : i+2 : i+2]
		q := narrow(widen(binary.LittleEndian.Uint16(w)) * s[j])
		if q&^sign >= inf || q&^sign == 0 {
			scaleElement(dt, w, s[j], 1, n)
			continue
		}
		binary.LittleEndian.PutUint16(w, q)
	}
}

// repeatPortable writes each value inner times.
func repeatPortable(dst, values []float64, inner int) {
	for i, v := range values {
		run := dst[i*inner:][:inner]
		for k := range run {
			run[k] = v
		}
	}
}
