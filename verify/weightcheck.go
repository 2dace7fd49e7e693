package verify

import (
	"math"
	"math/big"
)

// weightCheck counts how far weights are from what they should be.
type weightCheck struct {
	Error
	*format
	out, in []factor
	f       *fold
	slack   float64 // of a unit, beyond half of one
	strict  bool    // the scale is taken as defined

	wrong              int
	firstChannel       int
	firstWas, firstGot float64
}

// factor is an exact scale as the sum of two float64, good for 106 binary digits, and as defined.
type factor struct{ hi, lo, defined float64 }

func factors(list []affine) []factor {
	out := make([]factor, len(list))
	for i, a := range list {
		out[i].hi, _ = a.s.Float64()
		out[i].lo, _ = number().Sub(a.s, exact(out[i].hi)).Float64()
		out[i].defined = a.defined
	}
	return out
}

func newWeightCheck(format *format, f *fold) *weightCheck {
	c := &weightCheck{format: format, f: f, out: factors(f.after)}
	if f.into != nil {
		c.in = factors(f.into)
	}
	// A norm's scale takes three and a half roundings in float64, composing it with another one more,
	// multiplying a weight by it one more. Each is half a unit of float64 or less.
	roundings := float64(5*len(f.row.Norms) + 2)
	c.slack = math.Ldexp(roundings, format.digits-53)
	if format.digits == 53 {
		c.strict, c.slack = true, 0
		if c.in != nil {
			c.slack = 1 // it is multiplied twice
		}
	}
	return c
}

// run checks weights of one pair of channels. Each is compared with the product in twice the digits of
// float64; where that cannot decide, exactly.
func (c *weightCheck) run(out, in int, got, was []float64) {
	s := c.out[out]
	if c.in != nil {
		s = s.times(c.in[in])
	}
	for i, w := range was {
		p := w * s.hi
		if a := math.Abs(p); !(a > 1e-280 && a < 1e280) {
			c.exactly(out, in, got[i], w)
			continue
		}
		rest := math.FMA(w, s.hi, -p) + w*s.lo
		e := max(int(math.Float64bits(p)>>52&0x7ff)-1023, c.lowest) - c.digits + 1
		scale := math.Float64frombits(uint64(1023-e) << 52) // 2^-e
		units := math.Abs((p-got[i])+rest) * scale
		if near(units, 0.5) || !(units < 1e6) {
			c.exactly(out, in, got[i], w)
			continue
		}
		c.count(out, units, w, got[i], s.defined)
	}
}

// near reports whether two numbers are too close to tell which is larger.
func near(x, y float64) bool { return math.Abs(x-y) < 0x1p-40 }

func (s factor) times(t factor) factor {
	p := s.hi * t.hi
	return factor{p, math.FMA(s.hi, t.hi, -p) + (s.hi*t.lo + s.lo*t.hi), s.defined * t.defined}
}

// count adds a weight that is some units off.
func (c *weightCheck) count(out int, units, was, got, defined float64) {
	c.Worst = max(c.Worst, units)
	if units <= 0.5 {
		c.Rounded++
		return
	}
	if c.strict {
		p := was * defined
		units = math.Abs(got-p) / math.Ldexp(1, c.ulpExponent(p))
		if p == got {
			return
		}
	}
	if units > 0.5+c.slack {
		c.fail(out, was, got)
	}
}

func (c *weightCheck) fail(out int, was, got float64) {
	if c.wrong++; c.wrong == 1 {
		c.firstChannel, c.firstWas, c.firstGot = out, was, got
	}
}

// exactly is the slow way: for zeros, subnormal and infinite numbers, and near ties.
func (c *weightCheck) exactly(out, in int, got, was float64) {
	sign := c.f.after[out].s.Sign()
	if c.in != nil {
		sign *= c.f.into[in].s.Sign()
	}
	switch {
	case math.IsNaN(was): // notNumbers compares it
		c.Rounded++
		return
	case math.IsInf(was, 0) || was == 0:
		want := was * float64(sign)
		if want == got && math.Signbit(want) == math.Signbit(got) || math.IsNaN(want) && math.IsNaN(got) || sign == 0 && got == 0 {
			c.Rounded++
		} else {
			c.Worst = math.Inf(1)
			c.fail(out, was, got)
		}
		return
	case got-got != 0:
		c.Worst = math.Inf(1)
		c.fail(out, was, got)
		return
	}
	want := number().Mul(exact(was), c.f.after[out].s)
	defined := c.out[out].defined
	if c.in != nil {
		want.Mul(want, c.f.into[in].s)
		defined *= c.in[in].defined
	}
	units := c.unitsBetween(got, want)
	if got == 0 && math.Signbit(got) != want.Signbit() && want.Sign() != 0 {
		units = max(units, 1) // it vanished with the wrong sign
		c.fail(out, was, got)
	}
	c.count(out, units, was, got, defined)
}

// unitsBetween is the distance in units in the last place of the exact value.
func (f *format) unitsBetween(got float64, want *big.Float) float64 {
	if got-got != 0 {
		return math.Inf(1)
	}
	d := number().Sub(exact(got), want)
	x, _ := d.SetMantExp(d, -f.ulpExponentOf(want)).Float64()
	return math.Abs(x)
}

func (f *format) ulpExponentOf(x *big.Float) int {
	if x.Sign() == 0 {
		return f.lowest - f.digits + 1
	}
	return max(x.MantExp(nil)-1, f.lowest) - f.digits + 1
}

// notNumbers checks that a NaN keeps its bits.
func (c *weightCheck) notNumbers(got, was []float64, rawGot, rawWas []byte) {
	size := c.nBytes
	for i, w := range was {
		if w != w && string(rawGot[i*size:(i+1)*size]) != string(rawWas[i*size:(i+1)*size]) {
			c.Worst = math.Inf(1)
			c.fail(0, w, got[i])
		}
	}
}

// formula is what a weight should be.
func (c *weightCheck) formula() string {
	switch {
	case len(c.f.row.Norms) == 0:
		return "the original's"
	case c.in != nil:
		return "s·W·s"
	}
	return "s·W"
}
