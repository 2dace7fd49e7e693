package verify

import (
	"fmt"
	"math"
	"math/big"
)

// digits of every number that stands for an exact one; the issue asks for 200.
const digits = 256

func exact(x float64) *big.Float { return new(big.Float).SetPrec(digits).SetFloat64(x) }

func number() *big.Float { return new(big.Float).SetPrec(digits) }

// affine is the map y = s·x + t of one channel, exactly.
type affine struct {
	s, t *big.Float

	// mag is |μ·s| + |β|, of a chain its sum: what t may be off by is measured against it.
	mag *big.Float

	// defined is s as bnfuse defines it, each operation in float64. A float64 weight has no more digits
	// than that, so it can only be judged by the scale as defined, which is judged by the exact one.
	defined float64
}

// then is the map of a followed by next.
func (a affine) then(next affine) affine {
	out := affine{s: number().Mul(next.s, a.s), t: number().Mul(next.s, a.t), defined: next.defined * a.defined}
	out.t.Add(out.t, next.t)
	out.mag = number().Mul(number().Abs(next.s), a.mag)
	out.mag.Add(out.mag, next.mag)
	return out
}

func identity(channels int) []affine {
	out := make([]affine, channels)
	for i := range out {
		out[i] = affine{exact(1), exact(0), exact(0), 1}
	}
	return out
}

// batchNorm is γ·(x − μ)/√(σ² + ε) + β.
func batchNorm(gamma, beta, mean, variance, eps float64) (affine, error) {
	for _, x := range []float64{gamma, beta, mean, variance, eps} {
		if x-x != 0 {
			return affine{}, fmt.Errorf("a parameter is %v", x)
		}
	}
	d := number().Add(exact(variance), exact(eps))
	if d.Sign() <= 0 {
		return affine{}, fmt.Errorf("the variance %v and epsilon %v are not positive", variance, eps)
	}
	s := number().Quo(exact(gamma), number().Sqrt(d))
	shift := number().Mul(exact(mean), s)
	return affine{
		s:       s,
		t:       number().Sub(exact(beta), shift),
		mag:     number().Add(number().Abs(shift), exact(math.Abs(beta))),
		defined: gamma / math.Sqrt(variance+eps),
	}, nil
}

// written is the map of an Add, Sub, Mul or Div by k.
func written(op string, first bool, k float64) (affine, error) {
	if k-k != 0 {
		return affine{}, fmt.Errorf("the constant is %v", k)
	}
	a := affine{exact(1), exact(0), exact(math.Abs(k)), 1}
	switch op {
	case "Add":
		a.t = exact(k)
	case "Sub":
		a.t = exact(-k)
		if first {
			a.s, a.t, a.defined = exact(-1), exact(k), -1
		}
	case "Mul":
		a.s, a.mag, a.defined = exact(k), exact(0), k
	case "Div":
		if k == 0 || first {
			return affine{}, fmt.Errorf("it divides %v by the layer's output, or that by zero", k)
		}
		a.s, a.mag, a.defined = number().Quo(exact(1), exact(k)), exact(0), 1/k
	}
	return a, nil
}
