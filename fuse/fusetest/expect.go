package fusetest

import (
	"encoding/binary"
	"math"

	"github.com/bnfuse/bnfuse/fuse"
)

// This file is the definition of the arithmetic a second time. Every element is exact in float64, a
// product is Go's float64 product, and rounding to a type is done by the book: count the units of the
// last place, make the count whole, to even on a tie.

// format is a binary floating-point type: a sign bit, expBits of exponent, mantBits of mantissa.
type format struct{ expBits, mantBits int }

var formats = [...]format{
	fuse.Float64:  {11, 52},
	fuse.Float32:  {8, 23},
	fuse.Float16:  {5, 10},
	fuse.BFloat16: {8, 7},
}

func (f format) bias() int    { return 1<<(f.expBits-1) - 1 }
func (f format) sign() uint64 { return 1 << (f.expBits + f.mantBits) }
func (f format) inf() uint64  { return (1<<f.expBits - 1) << f.mantBits }

// decode is the value that bits stand for, exactly.
func (f format) decode(bits uint64) float64 {
	sign := 1.0
	if bits&f.sign() != 0 {
		sign = -1
		bits -= f.sign()
	}
	switch {
	case bits > f.inf():
		return math.NaN()
	case bits == f.inf():
		return math.Inf(int(sign))
	}
	mant, exp := bits&(1<<f.mantBits-1), int(bits>>f.mantBits)
	if exp == 0 {
		exp = 1
	} else {
		mant |= 1 << f.mantBits
	}
	return math.Copysign(math.Ldexp(float64(mant), exp-f.bias()-f.mantBits), sign)
}

// round gives the bits of the nearest number of the format, ties to even.
func (f format) round(x float64) uint64 {
	var sign uint64
	if math.Signbit(x) {
		sign = f.sign()
	}
	switch {
	case math.IsNaN(x):
		return f.inf() | 1<<(f.mantBits-1) // positive and quiet
	case math.IsInf(x, 0):
		return sign | f.inf()
	case x == 0:
		return sign
	}
	_, e := math.Frexp(x) // |x| lies in [2^(e−1), 2^e)
	e = max(e-1, 1-f.bias())
	units := math.RoundToEven(math.Ldexp(math.Abs(x), f.mantBits-e)) // the last place is worth 2^(e−mantBits)
	// The leading bit, which the format leaves out, is among the units unless the number is subnormal; a
	// carry goes into the exponent, and past the largest number to infinity.
	return sign | min(uint64(units)+uint64(e+f.bias()-1)<<f.mantBits, f.inf())
}

// outcome is what becomes of one weight.
type outcome struct {
	bits                uint64
	overflows, vanished int
}

// fold is the definition: w' = round((after·w)·before); a nil factor does not multiply.
func fold(dt fuse.DType, bits uint64, after, before *float64) outcome {
	f := formats[dt]
	w := f.decode(bits)
	if math.IsNaN(w) {
		return outcome{bits: bits}
	}
	p, byZero := w, w == 0
	for _, s := range []*float64{after, before} {
		if s != nil {
			p *= *s
			byZero = byZero || *s == 0
		}
	}
	out := outcome{bits: f.round(p)}
	got := f.decode(out.bits)
	if !math.IsInf(w, 0) && (math.IsInf(got, 0) || math.IsNaN(got)) {
		out.overflows = 1
	}
	if got == 0 && !byZero {
		out.vanished = 1
	}
	return out
}

// expectSegment does to the slab what Scale should.
func expectSegment(slab []byte, seg *fuse.Segment) {
	seg.Overflows, seg.Vanished = 0, 0
	known := map[[3]uint64]outcome{} // by weight and scales: large cases have few different ones
	size := seg.DType.Size()
	after, before := channels(&seg.After), channels(&seg.Before)
	for j := range seg.Elems {
		i := seg.First + j
		b := slab[seg.Offset+j*size:]
		key := [3]uint64{loadBits(seg.DType, b)}
		var a, c *float64
		if after != nil {
			a = &seg.After.Scale[after[i]]
			key[1] = math.Float64bits(*a)
		}
		if before != nil {
			c = &seg.Before.Scale[before[i]]
			key[2] = math.Float64bits(*c)
		}
		out, ok := known[key]
		if !ok {
			out = fold(seg.DType, key[0], a, c)
			known[key] = out
		}
		storeBits(seg.DType, b, out.bits)
		seg.Overflows += out.overflows
		seg.Vanished += out.vanished
	}
}

// channels is the channel of every element of the view, found by going through its four axes; nil
// without a factor.
func channels(f *fuse.Factor) []int {
	if f.Scale == nil {
		return nil
	}
	v := f.View
	list := make([]int, 0, v.Groups*v.Outer*v.Channels*v.Inner)
	for g := range v.Groups {
		for range v.Outer {
			for c := range v.Channels {
				for range v.Inner {
					list = append(list, g*v.Channels+c)
				}
			}
		}
	}
	return list
}

// scaleFor is the scale of an element, for messages.
func scaleFor(f *fuse.Factor, i int) any {
	if f.Scale == nil {
		return "none"
	}
	return f.Scale[channels(f)[i]]
}

// expectContraction adds to lanes what Contract should.
func expectContraction(slab []byte, c *fuse.Contraction, lanes []float64) {
	v, size := c.View, c.DType.Size()
	i := 0
	for g := range v.Groups {
		for o := range v.Outer {
			for ch := range v.Channels {
				for k := range v.Inner {
					j := i - c.First
					i++
					if j < 0 || j >= c.Elems {
						continue
					}
					output, term := g*v.Outer+o, ch*v.Inner+k
					if c.PerInner {
						output, term = k, ch
					}
					w := formats[c.DType].decode(loadBits(c.DType, slab[c.Offset+j*size:]))
					lane := &lanes[output*fuse.NumLanes+term%fuse.NumLanes]
					*lane += float64(w * c.Shift[g*v.Channels+ch])
				}
			}
		}
	}
}

func loadBits(dt fuse.DType, b []byte) uint64 {
	switch dt.Size() {
	case 8:
		return binary.LittleEndian.Uint64(b)
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return uint64(binary.LittleEndian.Uint16(b))
}

func storeBits(dt fuse.DType, b []byte, bits uint64) {
	switch dt.Size() {
	case 8:
		binary.LittleEndian.PutUint64(b, bits)
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(bits))
	default:
		binary.LittleEndian.PutUint16(b, uint16(bits))
	}
}
