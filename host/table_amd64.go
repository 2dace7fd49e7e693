package host

import (
	"math"

	"golang.org/x/sys/cpu"

	"github.com/bnfuse/bnfuse/fuse"
)

// hasAVX2 is whether this processor has what the assembly uses. Tests set it to false.
var hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C && cpu.X86.HasPOPCNT

// hasAVX512 is whether to use twice as wide vectors too. The processors before Ice Lake have them but
// slow their clock down for them; VBMI2 tells these apart.
var hasAVX512 = hasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VBMI2

// exactBlock is how many elements the exact function of a type does, or leaves, at a time.
func exactBlock(dt fuse.DType) int {
	return [...]int{fuse.Float64: 16, fuse.Float32: 32, fuse.Float16: 8, fuse.BFloat16: 8}[dt]
}

const (
	quickBlock = 32   // the same of the wide and quick functions
	afterWide  = 1024 // where a wide function stops, the next go on for this many elements: zeros come in crowds
)

// multiply multiplies element i of b by the scale of the table's element at+i. Each form goes as far as it
// can, then the next does the block in its way: wide, quick, exact, and the reference's rule.
func (t *table) multiply(dt fuse.DType, b []byte, at int, n *counts) {
	if !hasAVX2 {
		multiplyPortable(dt, b, t.wide[at*t.step:], t.step, n)
		return
	}
	size, block := dt.Size(), exactBlock(dt)
	for i, end := 0, len(b)/size; i < end; {
		limit := end - i // how far the next form may go
		if hasAVX512 && limit >= quickBlock && (dt == fuse.Float32 || t.narrow != nil) {
			done := t.multiplyWide(dt, &b[i*size], limit, at+i)
			i, limit = i+done, min(limit-done, afterWide)
		}
		if t.narrow != nil && limit >= quickBlock {
			done, vanished := quick(dt, &b[i*size], limit, &t.narrow[(at+i)*t.step], t.step)
			i, n.vanished = i+done, n.vanished+vanished
			limit = min(limit-done, quickBlock)
		}
		if limit == 0 {
			continue
		}
		if limit < block {
			t.multiplyTail(dt, b[i*size:], at+i, n)
			return
		}
		done, vanished := 0, 0
		if t.wide != nil {
			done, vanished = exact(dt, &b[i*size], limit, &t.wide[(at+i)*t.step], t.step)
		} else {
			var s [quickBlock]float64
			limit = min(limit, quickBlock)
			t.copyScales(s[:limit], at+i)
			done, vanished = exact(dt, &b[i*size], limit, &s[0], 1)
		}
		i, n.vanished = i+done, n.vanished+vanished
		if limit-done >= block {
			for range block {
				scaleElement(dt, b[i*size:], t.scale(at+i), 1, n)
				i++
			}
		}
	}
}

// multiplyWide does blocks with nothing special in them.
func (t *table) multiplyWide(dt fuse.DType, w *byte, n, at int) (done int) {
	switch dt {
	case fuse.Float32:
		return wideF32(w, n, &t.wide[at*t.step], t.step)
	case fuse.Float16:
		return wideF16(w, n, &t.narrow[at*t.step], t.step)
	}
	return wideBF16(w, n, &t.narrow[at*t.step], t.step)
}

// multiplyTail does what is left behind the last whole block, as a block filled up with zeros.
func (t *table) multiplyTail(dt fuse.DType, b []byte, at int, n *counts) {
	if len(b) == 0 {
		return
	}
	const most = 32 // elements of the largest exact block
	var weights [most * 4]byte
	var s [most]float64
	copy(weights[:], b)
	t.copyScales(s[:len(b)/dt.Size()], at)
	done, vanished := exact(dt, &weights[0], exactBlock(dt), &s[0], 1)
	if done > 0 {
		copy(b, weights[:])
		n.vanished += vanished
		return
	}
	for ; len(b) > 0; b = b[dt.Size():] {
		scaleElement(dt, b, t.scale(at), 1, n)
		at++
	}
}

// scale is the scale of the table's element i.
func (t *table) scale(i int) float64 { return t.runs[i/t.inner] }

// copyScales writes the scales of the table's elements at, at+1 ….
func (t *table) copyScales(dst []float64, at int) {
	run, k := at/t.inner, at%t.inner
	for i := range dst {
		dst[i] = t.runs[run]
		if k++; k == t.inner {
			run, k = run+1, 0
		}
	}
}

func quick(dt fuse.DType, w *byte, n int, s *float32, step int) (done, vanished int) {
	if dt == fuse.Float16 {
		return quickF16(w, n, s, step)
	}
	return quickBF16(w, n, s, step)
}

func exact(dt fuse.DType, w *byte, n int, s *float64, step int) (done, vanished int) {
	switch dt {
	case fuse.Float64:
		return scaleF64(w, n, s, step)
	case fuse.Float32:
		return scaleF32(w, n, s, step)
	case fuse.Float16:
		return scaleF16(w, n, s, step)
	}
	return scaleBF16(w, n, s, step)
}

// narrowOne narrows one scale and reports whether the quick functions may use it.
func narrowOne(dst *float32, s float64) bool {
	*dst = float32(s)
	a := math.Abs(float64(*dst))
	return hasAVX2 && (s == 0 || a >= 0x1p-126 && a <= math.MaxFloat32)
}

// narrowRuns narrows n scales, a multiple of 8, and reports whether the quick functions may use them.
func narrowRuns(dst *[tableElems]float32, src *[tableElems]float64, n int) bool {
	return hasAVX2 && narrow(&dst[0], &src[0], n)
}

// patterns say, for runs of inner elements, which of the scales in one vector each lane of the vectors
// made of it takes: eight runs' float32 scales make inner vectors of eight elements, four runs' float64
// scales make inner vectors of four. A lane is 32 bits, so a float64 takes two.
type patterns struct {
	inner32, inner64 int // which runs the patterns are for
	lanes32, lanes64 [uniformMin][8]uint32
}

// spread32 writes each of n runs' scales, a multiple of 8, inner times.
func (p *patterns) spread32(each, runs *[tableElems]float32, n, inner int) {
	if p.inner32 != inner {
		p.inner32 = inner
		for i := range inner * 8 {
			p.lanes32[i/8][i%8] = uint32(i / inner)
		}
	}
	spread32(&each[0], &runs[0], n/8, &p.lanes32[0][0], inner)
}

// spread64 is spread32 for float64.
func (p *patterns) spread64(each, runs *[tableElems]float64, n, inner int) {
	if !hasAVX2 {
		spreadPortable(each, runs, n, inner)
		return
	}
	if p.inner64 != inner {
		p.inner64 = inner
		for i := range inner * 4 {
			run := uint32(i / inner)
			p.lanes64[i/4][i%4*2], p.lanes64[i/4][i%4*2+1] = 2*run, 2*run+1
		}
	}
	spread64(&each[0], &runs[0], n/4, &p.lanes64[0][0], inner)
}
