package fusetest

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

// The wanted bits are only as good as round. Here it is compared with math/big, which rounds to any
// precision, ties to even.
func TestRoundIsThatOfBig(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, dt := range dtypes {
		f := formats[dt]
		for range 20_000 {
			// Every exponent of the type and some beyond, short mantissas often, for ties.
			x := math.Ldexp(1+float64(r.Uint64()>>12>>r.IntN(52))*0x1p-52, r.IntN(2*f.bias()+2*f.mantBits)-f.bias()-2*f.mantBits)
			if r.IntN(2) == 0 {
				x = -x
			}
			if math.IsInf(x, 0) || x == 0 {
				continue
			}
			want := nearestByBig(f, x)
			if got := f.decode(f.round(x)); got != want {
				t.Fatalf("%v: %x rounds to %x, want %x", dt, x, got, want)
			}
		}
	}
}

// nearestByBig is the nearest number of the format; a subnormal one has fewer bits.
func nearestByBig(f format, x float64) float64 {
	exact := new(big.Float).SetPrec(200).SetFloat64(x)
	prec := min(f.mantBits+1, exact.MantExp(nil)-1+f.bias()+f.mantBits)
	if prec <= 0 { // below the smallest subnormal: only more than half of it rounds up
		tiny := math.Ldexp(1, 1-f.bias()-f.mantBits)
		if math.Abs(x) > tiny/2 {
			return math.Copysign(tiny, x)
		}
		return math.Copysign(0, x)
	}
	y, _ := new(big.Float).SetPrec(uint(prec)).Set(exact).Float64()
	if math.Abs(y) >= math.Ldexp(1, f.bias()+1) {
		return math.Inf(int(math.Copysign(1, x)))
	}
	return y
}

func TestDecodeEncode(t *testing.T) {
	for _, dt := range []fuse.DType{fuse.Float16, fuse.BFloat16} {
		f := formats[dt]
		for bits := range uint64(1 << 16) {
			if bits&^f.sign() > f.inf() {
				continue
			}
			if got := f.round(f.decode(bits)); got != bits {
				t.Fatalf("%v: %#x came back as %#x", dt, bits, got)
			}
		}
	}
}

func TestEveryCaseHasANameAndAReason(t *testing.T) {
	for _, cases := range [][]Case{layerCases(), valueCases(), shapeCases(), contractCases(), brokenCases(fuse.SegmentAlign)} {
		seen := map[string]bool{}
		for _, c := range cases {
			if c.Name == "" || c.Reason == "" {
				t.Errorf("case %q has the reason %q", c.Name, c.Reason)
			}
			if seen[c.Name] {
				t.Errorf("two cases are called %q", c.Name)
			}
			seen[c.Name] = true
		}
	}
}
