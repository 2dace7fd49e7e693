package verify

import (
	"fmt"
	"math"
	"math/big"
	"slices"
)

// bias compares the layer's bias, and what the fused model adds behind it, with
//
//	s_out·(b + Σ W·t_in) + t_out
//
// A Gemm's C may have a row for every row of the output; every other bias has one.
func (f *fold) bias() {
	was, err := f.biasInput(f.a)
	if err == nil {
		var got *biasInput
		if got, err = f.biasInput(f.b); err == nil {
			err = f.compareBias(got, was)
		}
	}
	if err != nil {
		f.problem("%v", err)
	}
}

// biasInput is input 2 of a layer; nothing for a layer that has none.
type biasInput struct {
	k      *array
	name   string
	at     value
	factor float64 // Gemm's beta
}

func (c *checker) biasInput(l *layer) (*biasInput, error) {
	in := &biasInput{factor: l.beta}
	if l.n.input(2) == "" || l.n.op == "MatMul" {
		return in, nil
	}
	in.at = l.n.g.find(l.n.in[2])
	in.name = in.at.label()
	if in.k = c.constant(in.at); in.k == nil || !in.k.isFloat() {
		return nil, fmt.Errorf("the bias %q is not a constant", in.name)
	}
	if product(in.k.dims) == 0 && l.out > 0 || len(in.k.dims) > 2 {
		return nil, fmt.Errorf("the bias %q has dims %v", in.name, in.k.dims)
	}
	if l.n.op != "Gemm" && len(in.k.dims) != 1 {
		return nil, fmt.Errorf("the bias %q has dims %v, and %v wants a vector", in.name, in.k.dims, l.n)
	}
	if d, ok := broadcast(in.k.dims, []int{in.rows(), l.out}); !ok || product(d) != in.rows()*l.out {
		return nil, fmt.Errorf("the bias %q has dims %v, the layer %d channels", in.name, in.k.dims, l.out)
	}
	return in, nil
}

func (in *biasInput) rows() int {
	if in.k == nil || len(in.k.dims) < 2 {
		return 1
	}
	return in.k.dims[0]
}

// value is element (r, o) in a bias of some rows; 0 where it is not read.
func (in *biasInput) value(r, o, rows, channels int) float64 {
	if in.k == nil || in.factor == 0 {
		return 0
	}
	return in.k.at(r*channels+o, []int{rows, channels})
}

func (f *fold) compareBias(got, was *biasInput) error {
	rows := max(got.rows(), was.rows())
	if got.rows() != rows && got.rows() != 1 || was.rows() != rows && was.rows() != 1 {
		return fmt.Errorf("the bias %q has %d rows, the original %d", got.name, got.rows(), was.rows())
	}
	elem := f.b.weight.elem()
	if was.k != nil {
		f.spendConstant(was.at)
		elem = was.k.elem
	}
	if got.k != nil {
		f.spendConstant(got.at)
		f.row.Bias.Tensor = got.name
		if got.k.elem != elem {
			return fmt.Errorf("the bias %q has type %d, and %d is wanted", got.name, got.k.elem, elem)
		}
	}
	if f.holder != nil {
		if f.holder.n.shift != nil && got.k != nil && slices.ContainsFunc(got.k.f, func(x float64) bool { return x != 0 }) {
			return fmt.Errorf("the bias %q is not zero, and neither is that of the norm behind the layer, %q", got.name, f.holder.params[0].label())
		}
		f.row.Bias.Tensor = f.holder.params[0].label()
		elem = f.holder.elem(elem)
		if f.holder.n.shift == nil && f.holder.k.elem != elem {
			return fmt.Errorf("the bias %q has type %d, and %d is wanted", f.row.Bias.Tensor, f.holder.k.elem, elem)
		}
	}
	sums, err := f.contracted()
	if err != nil {
		return err
	}
	check := &biasCheck{fold: f, format: formatOf(elem)}
	for r := range rows {
		for o := range f.a.out {
			b, g := was.value(r, o, rows, f.a.out), got.value(r, o, rows, f.a.out)
			check.channel(o, b, was.factor, g, got.factor, sums)
		}
	}
	tensor := f.row.Bias.Tensor
	f.row.Bias = check.Deviation
	f.row.Bias.Tensor = tensor
	if check.wrong > 0 {
		where := fmt.Sprintf("bias %q", tensor)
		if tensor == "" {
			where = "there is no bias"
		}
		f.problem("%s: %d of %d values are wrong, the first of channel %d: %v should be %v", where, check.wrong, check.Values,
			check.firstChannel, check.firstGot, check.firstWant)
	}
	return nil
}

// sum is Σ W·t of the norms before the layer for one output channel, and what it may be off by.
type sum struct {
	hi, lo float64 // the value, in two parts
	mag    float64 // Σ |W|·(|μ·s| + |β|), times an eighth of the number of terms where those are many
}

// contracted sums the shifts of the norms before the layer over its weights; nil where there are none.
func (f *fold) contracted() ([]sum, error) {
	if f.into == nil || !f.shifts() {
		return nil, nil
	}
	type shift struct{ hi, lo, mag float64 }
	shifts := make([]shift, len(f.into))
	for i, a := range f.into {
		shifts[i].hi, _ = a.t.Float64()
		shifts[i].lo, _ = number().Sub(a.t, exact(shifts[i].hi)).Float64()
		shifts[i].mag, _ = a.mag.Float64()
	}
	sums := make([]sum, f.a.out)
	err := f.eachWeight(func(out, in int, w []float64) {
		s, t := &sums[out], shifts[in]
		for _, w := range w {
			p := w * t.hi
			s.add(p)
			s.lo += math.FMA(w, t.hi, -p) + w*t.lo
			s.mag += math.Abs(w) * t.mag
		}
	})
	terms := product(f.a.weight.dims) / max(f.a.out, 1)
	for i := range sums {
		sums[i].mag *= max(1, float64(terms)/8)
	}
	return sums, err
}

// add keeps in lo what is rounded off.
func (s *sum) add(x float64) {
	t := s.hi + x
	back := t - s.hi
	s.lo += (s.hi - (t - back)) + (x - back)
	s.hi = t
}

// biasCheck counts how far biases are from what they should be.
type biasCheck struct {
	Deviation
	*fold
	*format

	wrong               int
	firstChannel        int
	firstGot, firstWant float64
}

// channel checks one value: b and g are the old and the new bias, each with its factor.
func (c *biasCheck) channel(o int, b, factorB, g, factorG float64, sums []sum) {
	c.Values++
	a := c.after[o]
	if c.added[o].s.Cmp(exact(1)) != 0 {
		c.fail(o, c.added[o].s, exact(1))
		return
	}
	summed := 0.0 // by hi alone: whether it is a number
	if sums != nil {
		summed = c.a.alpha * sums[o].hi
	}
	if plain := b*factorB + summed; plain-plain != 0 || g-g != 0 {
		c.notFinite(o, plain, g*factorG)
		return
	}
	want := number().Mul(exact(b), exact(factorB))
	mag := number().Abs(want)
	if sums != nil {
		s := number().Add(exact(sums[o].hi), exact(sums[o].lo))
		want.Add(want, s.Mul(s, exact(c.a.alpha)))
		mag.Add(mag, number().Mul(exact(sums[o].mag), exact(math.Abs(c.a.alpha))))
	}
	want.Mul(want, a.s)
	want.Add(want, a.t)
	mag.Mul(mag, number().Abs(a.s))
	mag.Add(mag, a.mag)

	got := number().Mul(exact(g), exact(factorG))
	got.Add(got, c.added[o].t)
	ulp := c.ulpExponentOf(want)
	d := number().Sub(got, want)
	units, _ := number().SetMantExp(d, -ulp).Float64()
	units = math.Abs(units)
	// Half a unit of the type for the rounding, and what the operations before it in float64 are off by.
	tolerance, _ := number().SetMantExp(mag, -50-ulp).Float64()
	if c.row.Bias.Tensor == "" && tolerance < units { // nothing was written, so nothing was rounded
		c.fail(o, got, want)
	} else if units > 0.5+tolerance {
		c.fail(o, got, want)
	}
	if c.row.Bias.Tensor == "" {
		return
	}
	c.Worst = max(c.Worst, units)
	if units <= 0.5 {
		c.Rounded++
	}
}

func (c *biasCheck) fail(o int, got, want *big.Float) {
	if c.wrong++; c.wrong == 1 {
		c.firstChannel = o
		c.firstGot, _ = got.Float64()
		c.firstWant, _ = want.Float64()
	}
}

// notFinite checks a bias that is infinite or NaN, because the original's or a weight was.
func (c *biasCheck) notFinite(o int, b, g float64) {
	s, _ := c.after[o].s.Float64()
	want := b * s
	if b-b != 0 && same(want, g) {
		c.Rounded++
		return
	}
	c.Worst = math.Inf(1)
	if c.wrong++; c.wrong == 1 {
		c.firstChannel, c.firstGot, c.firstWant = o, g, want
	}
}
