package verify

import (
	"fmt"
	"math"
	"math/big"
)

// weightCheck counts how far weights are from what they should be.
type weightCheck struct {
	Deviation
	*format
	out, in []factor
	f       *fold
	slack   float64 // of a unit, beyond half of one
	strict  bool    // float64: the bits must be those of the definition, computed in float64

	wrong              int
	firstChannel       int
	firstWas, firstGot float64
	firstWant          float64
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
	c.strict = format.digits == 53
	return c
}

// run checks weights of one pair of channels. Each is compared with the product in twice the digits of
// float64; where that cannot decide, exactly.
func (c *weightCheck) run(out, in int, got, was []float64) {
	s, before := c.out[out], 1.0
	defined := s.defined
	if c.in != nil {
		s, before = s.times(c.in[in]), c.in[in].defined
	}
	for i, w := range was {
		p := w * s.hi
		a := math.Abs(p)
		rest := math.FMA(w, s.hi, -p) + w*s.lo
		e := max(int(math.Float64bits(p)>>52&0x7ff)-1023, c.lowest) - c.digits + 1
		units := math.Abs((p-got[i])+rest) * math.Float64frombits(uint64(1023-e)<<52) // · 2^-e
		if !(a > 1e-280 && a < 1e280) || near(units, 0.5) || !(units < 1e6) {
			units = c.exactly(out, in, got[i], w)
		}
		c.Worst = max(c.Worst, units)
		if units <= 0.5 {
			c.Rounded++
		}
		if units > 0.5+c.slack || c.strict && !same(float64(defined*w)*before, got[i]) {
			c.fail(out, in, w, got[i])
		}
	}
}

// same reports whether two numbers are equal, or none is a number.
func same(x, y float64) bool { return x == y || x != x && y != y }

// near reports whether two numbers are too close to tell which is larger.
func near(x, y float64) bool { return math.Abs(x-y) < 0x1p-40 }

func (s factor) times(t factor) factor {
	p := s.hi * t.hi
	return factor{hi: p, lo: math.FMA(s.hi, t.hi, -p) + (s.hi*t.lo + s.lo*t.hi)}
}

func (c *weightCheck) fail(out, in int, was, got float64) {
	if c.wrong++; c.wrong == 1 {
		c.firstChannel, c.firstWas, c.firstGot, c.firstWant = out, was, got, c.wanted(out, in, was)
	}
}

// first says what the first wrong weight is and should be.
func (c *weightCheck) first() string {
	got, want := c.text(c.firstGot), c.text(c.firstWant)
	if got == want {
		want = "other bits of it" // a NaN's
	}
	said := fmt.Sprintf("%s should be %s", got, want)
	if len(c.f.row.Norms) > 0 {
		said += ", since it was " + c.text(c.firstWas)
	}
	return said
}

// wanted is what a weight should be, for messages.
func (c *weightCheck) wanted(out, in int, was float64) float64 {
	s, defined, before := c.f.after[out].s, c.out[out].defined, 1.0
	if c.in != nil {
		s, before = number().Mul(s, c.f.into[in].s), c.in[in].defined
	}
	switch {
	case was-was != 0 || was == 0:
		return was * float64(s.Sign())
	case c.strict:
		return float64(defined*was) * before
	}
	want, _ := number().Mul(exact(was), s).Float64()
	return c.round(want)
}

// exactly is the slow way to the units that a weight is off by: for zeros, subnormal and infinite
// numbers, and near ties. A zero must have the product's sign.
func (c *weightCheck) exactly(out, in int, got, was float64) float64 {
	s := c.f.after[out].s
	if c.in != nil {
		s = number().Mul(s, c.f.into[in].s)
	}
	if was-was != 0 || was == 0 {
		want := was * float64(s.Sign())
		switch {
		case want != want && got != got, want == got && math.Signbit(want) == math.Signbit(got), s.Sign() == 0 && got == 0:
			return 0 // notNumbers compares the bits of those that were NaN
		}
		return math.Inf(1)
	}
	want := number().Mul(exact(was), s)
	if got == 0 && want.Sign() != 0 && math.Signbit(got) != want.Signbit() {
		return math.Inf(1)
	}
	return c.unitsBetween(got, want)
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
func (c *weightCheck) notNumbers(out, in int, got, was []float64, rawGot, rawWas []byte) {
	size := c.nBytes
	for i, w := range was {
		if w != w && string(rawGot[i*size:(i+1)*size]) != string(rawWas[i*size:(i+1)*size]) {
			c.fail(out, in, w, got[i])
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
