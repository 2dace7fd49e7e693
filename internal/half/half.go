// Package half converts the two 16-bit floating-point types to and from float64.
//
// In: the 16 bits of an IEEE 754 binary16 (Float16) or of the upper half of a binary32 (BFloat16), or a
// float64. Out: the other. Widening is exact. Narrowing rounds once, to nearest, ties to even, straight
// from float64: going through float32 would round twice and miss ties. What is too large becomes
// infinity, subnormals are kept, and every NaN narrows to the type's positive quiet NaN.
//
// The functions are pure, branch on nothing but the value, and are written to be read; package host
// has the fast forms and is tested against these.
package half

import "math"

// The positive quiet NaNs.
const (
	Float16NaN  uint16 = 0x7e00
	BFloat16NaN uint16 = 0x7fc0
)

// format is a binary floating-point type with a sign bit, an exponent biased by bias, and mantBits
// bits of mantissa, 16 in all.
type format struct {
	mantBits uint
	bias     int
	nan      uint16
}

var (
	binary16 = format{mantBits: 10, bias: 15, nan: Float16NaN}
	brain16  = format{mantBits: 7, bias: 127, nan: BFloat16NaN}
)

// Float16ToFloat64 widens a binary16, exactly. A NaN keeps its sign and the top of its payload, quiet.
func Float16ToFloat64(h uint16) float64 { return binary16.widen(h) }

// Float64ToFloat16 rounds to the nearest binary16, ties to even.
func Float64ToFloat16(x float64) uint16 { return binary16.narrow(x) }

// BFloat16ToFloat64 widens a bfloat16, exactly. A NaN keeps its sign and the top of its payload, quiet.
func BFloat16ToFloat64(h uint16) float64 { return brain16.widen(h) }

// Float64ToBFloat16 rounds to the nearest bfloat16, ties to even.
func Float64ToBFloat16(x float64) uint16 { return brain16.narrow(x) }

// The layout of a float64.
const (
	mantBits64 = 52
	bias64     = 1023
	maxExp64   = 2047 // the exponent field of infinities and NaNs
	quiet64    = 1 << (mantBits64 - 1)
)

func (f format) widen(h uint16) float64 {
	sign := uint64(h>>15) << 63
	maxExp := 2*f.bias + 1
	exp := int(h>>f.mantBits) & maxExp
	mant := uint64(h) & (1<<f.mantBits - 1)
	switch {
	case exp == maxExp && mant != 0:
		return math.Float64frombits(sign | maxExp64<<mantBits64 | quiet64 | mant<<(mantBits64-f.mantBits))
	case exp == maxExp:
		return math.Float64frombits(sign | maxExp64<<mantBits64)
	case exp == 0: // zero or subnormal: mant units of the smallest subnormal, a product that is exact
		x := float64(mant) * math.Float64frombits(uint64(1-f.bias-int(f.mantBits)+bias64)<<mantBits64)
		return math.Float64frombits(sign | math.Float64bits(x))
	}
	return math.Float64frombits(sign | uint64(exp-f.bias+bias64)<<mantBits64 | mant<<(mantBits64-f.mantBits))
}

func (f format) narrow(x float64) uint16 {
	bits := math.Float64bits(x)
	sign := uint16(bits>>63) << 15
	inf := uint16(2*f.bias+1) << f.mantBits
	exp := int(bits>>mantBits64) & maxExp64
	mant := bits & (1<<mantBits64 - 1)
	if exp == maxExp64 {
		if mant != 0 {
			return f.nan
		}
		return sign | inf
	}

	// x is mant·2^(e−52) with mant in [2^52, 2^53). A float64 subnormal is far below either type's
	// smallest and needs no exact mantissa to become zero.
	e := exp - bias64
	mant |= 1 << mantBits64
	drop := mantBits64 - f.mantBits // bits that do not fit
	if e < 1-f.bias {
		drop += uint(1 - f.bias - e) // a subnormal result has fewer
	}
	if drop > mantBits64+1 {
		return sign // below half the smallest subnormal
	}
	kept, rest := mant>>drop, mant&(1<<drop-1)
	if half := uint64(1) << (drop - 1); rest > half || rest == half && kept&1 == 1 {
		kept++
	}
	// For a normal result kept still holds the leading bit, which adds one to the exponent field; a
	// carry out of the mantissa adds one more, as it should.
	if e >= 1-f.bias {
		kept += uint64(e+f.bias-1) << f.mantBits
	}
	return sign | uint16(min(kept, uint64(inf)))
}
