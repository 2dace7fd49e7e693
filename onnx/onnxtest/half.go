package onnxtest

import "math"

// narrow rounds x to nearest even in a binary format of sign, exponent and fraction (binary16 is 5
// and 10 bits, bfloat16 8 and 7), directly from float64.
func narrow(x float64, fracBits, expBits int) uint16 {
	sign := uint16(0)
	if math.Signbit(x) {
		sign = 1 << (fracBits + expBits)
	}
	inf := sign | uint16(1<<expBits-1)<<fracBits
	switch {
	case math.IsNaN(x):
		return inf | 1<<(fracBits-1)
	case math.IsInf(x, 0):
		return inf
	case x == 0:
		return sign
	}
	bias := 1<<(expBits-1) - 1
	_, e := math.Frexp(x) // |x| is in [2^(e-1), 2^e)
	exp := max(e-1, 1-bias)
	// The significand in units of the last place; a carry out of it moves to the next exponent.
	ulps := math.RoundToEven(math.Ldexp(math.Abs(x), fracBits-exp))
	bits := uint64(exp+bias-1)<<fracBits + uint64(ulps)
	if bits >= uint64(inf&^sign) {
		return inf
	}
	return sign | uint16(bits)
}

// widen is the exact value of a number in such a format.
func widen(bits uint16, fracBits, expBits int) float64 {
	frac := float64(bits & (1<<fracBits - 1))
	exp := int(bits>>fracBits) & (1<<expBits - 1)
	bias := 1<<(expBits-1) - 1
	sign := 1.0
	if bits>>(fracBits+expBits) != 0 {
		sign = -1
	}
	switch {
	case exp == 1<<expBits-1 && frac != 0:
		return math.NaN()
	case exp == 1<<expBits-1:
		return math.Inf(int(sign))
	case exp == 0:
		return sign * math.Ldexp(frac, 1-bias-fracBits)
	}
	return sign * math.Ldexp(frac+math.Ldexp(1, fracBits), exp-bias-fracBits)
}
