package verify

import (
	"encoding/binary"
	"math"
	"strconv"
)

// format is a floating-point type of weights.
type format struct {
	name   string
	nBytes int
	digits int // binary digits of a normal number
	lowest int // exponent of the smallest normal number
	max    float64
}

var formats = map[int32]*format{
	typeDouble:   {"float64", 8, 53, -1022, math.MaxFloat64},
	typeFloat:    {"float32", 4, 24, -126, math.MaxFloat32},
	typeFloat16:  {"float16", 2, 11, -14, 65504},
	typeBFloat16: {"bfloat16", 2, 8, -126, 0x1.fep127},
}

// formatOf is nil for types that are no floating-point type of weights.
func formatOf(elem int32) *format { return formats[elem] }

// decode turns little-endian elements into float64, exactly.
func (f *format) decode(to []float64, b []byte) {
	switch {
	case f.nBytes == 8:
		for i := range to {
			to[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
	case f.nBytes == 4:
		for i := range to {
			to[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		}
	case f.digits == 8: // bfloat16 is the upper half of a float32
		for i := range to {
			to[i] = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16))
		}
	default:
		for i := range to {
			to[i] = fromFloat16(binary.LittleEndian.Uint16(b[2*i:]))
		}
	}
}

// text is a number of the format in the fewest digits that tell it from its neighbours, those of float32 for
// the shorter formats.
func (f *format) text(x float64) string {
	return strconv.FormatFloat(x, 'g', -1, 8*max(f.nBytes, 4))
}

func fromFloat16(h uint16) float64 {
	exponent, fraction := int(h>>10&31), float64(h&1023)
	x := 0.0
	switch exponent {
	case 0:
		x = math.Ldexp(fraction, -24)
	case 31:
		x = math.Inf(1)
		if fraction != 0 {
			x = math.NaN()
		}
	default:
		x = math.Ldexp(1024+fraction, exponent-25)
	}
	if h>>15 != 0 {
		x = math.Copysign(x, -1)
	}
	return x
}

// ulpExponent is the exponent of the unit in the last place of a number near x: that of the last digit
// that the format has for it.
func (f *format) ulpExponent(x float64) int {
	_, e := math.Frexp(x) // x = fraction·2^e, fraction in [½, 1)
	return max(e-1, f.lowest) - f.digits + 1
}

// round rounds the result of an operation on constants to the format.
func (f *format) round(x float64) float64 {
	switch {
	case f.nBytes == 8 || x == 0 || x-x != 0:
		return x
	case f.nBytes == 4:
		return float64(float32(x))
	}
	e := f.ulpExponent(x)
	r := math.Ldexp(math.RoundToEven(math.Ldexp(x, -e)), e)
	if math.Abs(r) > f.max {
		return math.Copysign(math.Inf(1), x)
	}
	return r
}
