package host

import (
	"math"

	"golang.org/x/sys/cpu"

	"github.com/bnfuse/bnfuse/fuse"
)

// hasAVX2 is whether this processor has what the assembly uses. Tests set it to false.
var hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasPOPCNT && cpu.X86.HasF16C

// scaleUniform multiplies the elements of b by s.
func (t *table) scaleUniform(dt fuse.DType, b []byte, s float64, n *counts) {
	t.wide[0] = s
	if !hasAVX2 {
		scalePortable(dt, b, t.wide[:], 0, n)
		return
	}
	a := math.Abs(float64(float32(s)))
	t.narrowed[0], t.narrowOK = float32(s), s == 0 || a >= 0x1p-126 && a <= math.MaxFloat32
	t.run(dt, b, 0, n)
}

// scaleEach multiplies each element of b by its scale in t.wide.
func (t *table) scaleEach(dt fuse.DType, b []byte, n *counts) {
	if !hasAVX2 {
		scalePortable(dt, b, t.wide[:], 1, n)
		return
	}
	t.run(dt, b, 1, n)
}

// narrow makes t.narrowed of the first n wide scales.
func (t *table) narrow(n int) {
	if !hasAVX2 {
		return
	}
	whole := (n + 7) &^ 7
	clear(t.wide[n:whole])
	t.narrowOK = narrow(&t.narrowed[0], &t.wide[0], whole)
}

// repeat writes each value inner times. dst has room for 3 more.
func repeat(dst, values []float64, inner int) {
	if hasAVX2 {
		expand(&dst[0], &values[0], len(values), inner)
		return
	}
	repeatPortable(dst, values, inner)
}

// quickBlock and exactBlock are how many elements the assembly does or leaves at a time.
const quickBlock = 32

func exactBlock(dt fuse.DType) int {
	return [...]int{fuse.Float64: 16, fuse.Float32: 32, fuse.Float16: 8, fuse.BFloat16: 8}[dt]
}

// run multiplies element i of b by t.wide[i·step]: a quick function as far as it goes, then the exact
// one for the block in its way, then the reference's rule for the block in that one's way.
func (t *table) run(dt fuse.DType, b []byte, step int, n *counts) {
	size, block := dt.Size(), exactBlock(dt)
	for i, end := 0, len(b)/size; i < end; {
		limit := end - i
		if size == 2 && t.narrowOK && limit >= quickBlock {
			done, vanished := quick(dt, &b[i*size], limit, &t.narrowed[i*step], step)
			i, n.vanished = i+done, n.vanished+vanished
			if limit -= done; limit >= quickBlock {
				limit = quickBlock
			}
		}
		if limit < block {
			t.tail(dt, b[i*size:], i, step, n)
			return
		}
		done, vanished := scale(dt, &b[i*size], limit, &t.wide[i*step], step)
		i, n.vanished = i+done, n.vanished+vanished
		if limit-done >= block {
			for range block {
				scaleElement(dt, b[i*size:], t.wide[i*step], 1, n)
				i++
			}
		}
	}
}

// tail does the elements behind the last whole block, the i-th of a run and those that follow it, as a
// block filled up with zeros.
func (t *table) tail(dt fuse.DType, b []byte, i, step int, n *counts) {
	if len(b) == 0 {
		return
	}
	const most = 32
	var weights [most * 4]byte // 16 float64, 32 float32, 8 of the others
	var scales [most]float64
	copy(weights[:], b)
	for j := range len(b) / dt.Size() {
		scales[j] = t.wide[(i+j)*step]
	}
	done, vanished := scale(dt, &weights[0], exactBlock(dt), &scales[0], 1)
	if done > 0 {
		copy(b, weights[:])
		n.vanished += vanished
		return
	}
	for j := 0; len(b) > 0; j++ {
		scaleElement(dt, b, scales[j], 1, n)
		b = b[dt.Size():]
	}
}

func quick(dt fuse.DType, w *byte, n int, s *float32, step int) (done, vanished int) {
	if dt == fuse.Float16 {
		return quickF16(w, n, s, step)
	}
	return quickBF16(w, n, s, step)
}

func scale(dt fuse.DType, w *byte, n int, s *float64, step int) (done, vanished int) {
	switch dt {
	case fuse.Float64:
		return scaleF64(w, n, s, step)
	case fuse.Float32:
		return scaleF32(w, n, s, step)
	case fuse.Float16:
		return scaleF16(w, n, s, step)
	default:
		return scaleBF16(w, n, s, step)
	}
}
