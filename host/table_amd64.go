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
var hasAVX512 = hasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL &&
	cpu.X86.HasAVX512VBMI2 && cpu.X86.HasBMI2

const (
	firstExact = 32   // where the quick functions are in doubt, the exact ones go on for so many,
	mostExact  = 4096 // and each time that this did not help twice as many, up to this: as 0.9 makes ties of many
)

// exactBlock is how many elements the exact function of a type does, or leaves, at a time.
func exactBlock(dt fuse.DType) int {
	if hasAVX512 {
		return wideBlock
	}
	return [...]int{fuse.Float64: 16, fuse.Float32: 32, fuse.Float16: 8, fuse.BFloat16: 8}[dt]
}

// multiply multiplies element i of b by the scale of the table's element at+i. Each form goes as far as it
// can, then the next does what is in its way: quick, exact, and the reference's rule.
func (t *table) multiply(dt fuse.DType, b []byte, at int, n *counts) {
	if !hasAVX2 {
		multiplyPortable(dt, b, t.wide[at*t.step:], t.step, n)
		return
	}
	size, block := dt.Size(), exactBlock(dt)
	for i, end := 0, len(b)/size; i < end; {
		limit := end - i
		if t.narrow != nil && limit >= wideBlock {
			done := t.quick(dt, b[i*size:], at+i, n)
			t.asm.stretch = min(2*t.asm.stretch, mostExact)
			if done > 0 || t.asm.stretch == 0 {
				t.asm.stretch = firstExact
			}
			i += done
			limit = min(end-i, t.asm.stretch)
		}
		if end-i < block {
			t.tail(dt, b[i*size:], at+i, n)
			return
		}
		limit -= limit % block
		done := t.exact(dt, b[i*size:(i+limit)*size], at+i, n)
		i += done
		if done < limit {
			for range block {
				scaleElement(dt, b[i*size:], t.scale(at+i), 1, n)
				i++
			}
		}
	}
}

// quick does blocks in float32.
func (t *table) quick(dt fuse.DType, b []byte, at int, n *counts) (done int) {
	elems := len(b) / dt.Size()
	var vanished int
	switch run, in := at/t.inner, at%t.inner; {
	case t.byRun && t.inner >= uniformMin:
		done, vanished = longQuick(dt, &b[0], elems, &t.narrow[run], t.inner-in, t.inner)
	case t.byRun:
		done, vanished = runsQuick(dt, &b[0], elems, &t.narrow[run], &t.asm.lanes32[in], t.inner)
	default:
		done, vanished = perElementQuick(dt, &b[0], elems, t.narrow, at%t.elems, t.elems, t.step)
	}
	n.vanished += vanished
	return done
}

// exact does blocks in float64.
func (t *table) exact(dt fuse.DType, b []byte, at int, n *counts) (done int) {
	elems := len(b) / dt.Size()
	var vanished int
	switch run, in := at/t.inner, at%t.inner; {
	case t.byRun && t.inner >= uniformMin:
		done, vanished = longExact(dt, &b[0], elems, &t.runs[run], t.inner-in, t.inner)
	case t.byRun:
		done, vanished = runsExact(dt, &b[0], elems, &t.runs[run], &t.asm.lanes64[in][0], t.inner)
	default:
		var few [firstExact]float64
		s, in, period := t.wideScales(at, elems, few[:])
		done, vanished = perElementExact(dt, &b[0], elems, s, in, period, t.step)
	}
	n.vanished += vanished
	return done
}

// wideScales gives the float64 scales of n of the table's elements from at on: where the first is, and after how
// many they begin again. If they are not there yet it copies a few, and spreads them all for many.
func (t *table) wideScales(at, n int, few []float64) (s []float64, in, period int) {
	switch {
	case t.wide != nil:
	case n <= len(few):
		t.copyScales(few[:n], at)
		return few, 0, n
	default:
		t.spreadWide()
	}
	return t.wide, at % t.elems, t.elems
}

// tail does what is left behind the last whole block, as a block filled up with zeros.
func (t *table) tail(dt fuse.DType, b []byte, at int, n *counts) {
	if len(b) == 0 {
		return
	}
	const most = 32 // elements of the largest exact block
	var weights [most * 8]byte
	var s [most]float64
	copy(weights[:], b)
	t.copyScales(s[:len(b)/dt.Size()], at)
	done, vanished := perElementExact(dt, &weights[0], exactBlock(dt), s[:], 0, most, 1)
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
func (t *table) scale(i int) float64 { return t.runs[i%t.elems/t.inner] }

// copyScales writes the scales of the table's elements at, at+1 ….
func (t *table) copyScales(dst []float64, at int) {
	at %= t.elems
	run, k := at/t.inner, at%t.inner
	for i := range dst {
		dst[i] = t.runs[run]
		if k++; k == t.inner {
			run, k = run+1, 0
		}
		if at++; at == t.elems {
			at, run, k = 0, 0, 0
		}
	}
}

// The functions for each type. A compiler that sees which is called keeps their arguments off the heap. Those for
// AVX-512 have no step: there is no table of one scale then, as takesRuns has it.

func perElementQuick(dt fuse.DType, w *byte, n int, s []float32, in, period, step int) (done, vanished int) {
	switch {
	case dt == fuse.Float32: // with AVX-512 only
		return wideQuickF32(w, n, &s[0], in, period)
	case hasAVX512 && dt == fuse.Float16:
		return wideQuickF16(w, n, &s[0], in, period)
	case hasAVX512:
		return wideQuickBF16(w, n, &s[0], in, period)
	case dt == fuse.Float16:
		return quickF16(w, n, &s[in*step], step)
	}
	return quickBF16(w, n, &s[in*step], step)
}

func runsQuick(dt fuse.DType, w *byte, n int, s *float32, lanes *uint32, inner int) (done, vanished int) {
	switch dt {
	case fuse.Float32:
		return runsQuickF32(w, n, s, lanes, inner)
	case fuse.Float16:
		return runsQuickF16(w, n, s, lanes, inner)
	}
	return runsQuickBF16(w, n, s, lanes, inner)
}

func longQuick(dt fuse.DType, w *byte, n int, s *float32, left, inner int) (done, vanished int) {
	switch dt {
	case fuse.Float32:
		return longQuickF32(w, n, s, left, inner)
	case fuse.Float16:
		return longQuickF16(w, n, s, left, inner)
	}
	return longQuickBF16(w, n, s, left, inner)
}

func perElementExact(dt fuse.DType, w *byte, n int, s []float64, in, period, step int) (done, vanished int) {
	if hasAVX512 {
		return wideExact(dt, w, n, &s[0], in, period)
	}
	switch first := &s[in*step]; dt {
	case fuse.Float64:
		return scaleF64(w, n, first, step)
	case fuse.Float32:
		return scaleF32(w, n, first, step)
	case fuse.Float16:
		return scaleF16(w, n, first, step)
	default:
		return scaleBF16(w, n, first, step)
	}
}

func wideExact(dt fuse.DType, w *byte, n int, s *float64, in, period int) (done, vanished int) {
	switch dt {
	case fuse.Float64:
		return wideF64(w, n, s, in, period)
	case fuse.Float32:
		return wideF32(w, n, s, in, period)
	case fuse.Float16:
		return wideF16(w, n, s, in, period)
	}
	return wideBF16(w, n, s, in, period)
}

func runsExact(dt fuse.DType, w *byte, n int, s *float64, lanes *uint32, inner int) (done, vanished int) {
	switch dt {
	case fuse.Float64:
		return runsF64(w, n, s, lanes, inner)
	case fuse.Float32:
		return runsF32(w, n, s, lanes, inner)
	case fuse.Float16:
		return runsF16(w, n, s, lanes, inner)
	}
	return runsBF16(w, n, s, lanes, inner)
}

func longExact(dt fuse.DType, w *byte, n int, s *float64, left, inner int) (done, vanished int) {
	switch dt {
	case fuse.Float64:
		return longF64(w, n, s, left, inner)
	case fuse.Float32:
		return longF32(w, n, s, left, inner)
	case fuse.Float16:
		return longF16(w, n, s, left, inner)
	}
	return longBF16(w, n, s, left, inner)
}

// narrowOne narrows one scale and reports whether the quick function for one scale takes it.
func narrowOne(dt fuse.DType, dst *float32, s float64) bool {
	*dst = float32(s)
	a := math.Abs(float64(*dst))
	return hasAVX2 && dt.Size() == 2 && (s == 0 || a >= 0x1p-126 && a <= math.MaxFloat32)
}

// narrowRuns narrows n scales, a multiple of 8, and reports whether the quick functions for runs take them.
func narrowRuns(dt fuse.DType, dst *[2 * tableRoom]float32, src []float64, n int) bool {
	switch {
	case hasAVX512 && dt == fuse.Float32:
		return wideSplit(&dst[0], &src[0], n)
	case hasAVX512 && dt.Size() == 2:
		return wideNarrow(&dst[0], &src[0], n)
	}
	return hasAVX2 && dt.Size() == 2 && narrow(&dst[0], &src[0], n)
}

// assembly is what the calls of the assembly keep from one to the next.
//
// The lanes say, for the first elements of a table of runs, which lane of a vector of scales is theirs, if the
// vector begins with the first run's. Spreading makes inner vectors of eight elements of eight runs' float32
// scales, or of four of four runs' float64 scales; the runs functions look at 32 elements' lanes from any element
// of the first run on, and at one behind them. A lane is 32 bits, so a float64 takes two.
type assembly struct {
	inner32, inner64 int // which runs the lanes are for
	lanes32          [8 * uniformMin]uint32
	lanes64          [8 * uniformMin][2]uint32

	stretch int // how far the exact functions go on where the quick ones were last in doubt
}

// fewestInner is the least Inner for the runs functions: a block of 32 then is in no more than eight runs, as many
// as a vector has float64 scales, wherever it begins.
const fewestInner = 5

// takesRuns reports whether there are functions that take the scales of runs of inner elements as they are, not
// spread.
func takesRuns(inner int) bool { return hasAVX512 && inner >= fewestInner }

// goesRound reports whether multiply takes more elements than a table of setRound has, and begins again where it ends.
func goesRound() bool { return hasAVX512 }

// prepareByRun sets what these functions need.
func (a *assembly) prepareByRun(inner int) {
	if inner < uniformMin {
		a.setLanes32(inner)
		a.setLanes64(inner)
	}
}

func (a *assembly) setLanes32(inner int) {
	if a.inner32 != inner {
		a.inner32 = inner
		for i := range inner * 8 {
			a.lanes32[i] = uint32(i / inner)
		}
	}
}

func (a *assembly) setLanes64(inner int) {
	if a.inner64 != inner {
		a.inner64 = inner
		for i := range inner * 8 {
			run := uint32(i / inner)
			a.lanes64[i] = [2]uint32{2 * run, 2*run + 1}
		}
	}
}

// spread32 writes each of n runs' scales, a multiple of 8, inner times.
func (a *assembly) spread32(each, runs []float32, n, inner int) {
	a.setLanes32(inner)
	spread32(&each[0], &runs[0], n/8, &a.lanes32[0], inner)
}

// spread64 is spread32 for float64.
func (a *assembly) spread64(each *[tableRoom]float64, runs []float64, n, inner int) {
	if !hasAVX2 {
		spreadPortable(each, runs, n, inner)
		return
	}
	a.setLanes64(inner)
	spread64(&each[0], &runs[0], n/4, &a.lanes64[0][0], inner)
}
