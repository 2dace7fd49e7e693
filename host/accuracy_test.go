package host

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

const precision = 240 // bits of the exact values

func exactly(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }
func number() *big.Float           { return new(big.Float).SetPrec(precision) }

// exactAffine is a channel's map from its raw parameters: s = γ/√(σ²+ε), t = β − μ·s.
func exactAffine(n fuse.Norm, c int) (s, t *big.Float) {
	root := number().Sqrt(number().Add(exactly(n.Var[c]), exactly(n.Eps)))
	s = number().Quo(exactly(n.Gamma[c]), root)
	return s, number().Sub(exactly(n.Beta[c]), number().Mul(exactly(n.Mean[c]), s))
}

// The mantissa bits and smallest normal exponents of the types.
var places = map[fuse.DType]struct{ mantBits, minExp int }{
	fuse.Float64: {52, -1022}, fuse.Float32: {23, -126}, fuse.Float16: {10, -14}, fuse.BFloat16: {7, -126},
}

// unit is what the last place of want is worth in the type.
func unit(dt fuse.DType, want *big.Float) float64 {
	p := places[dt]
	return math.Ldexp(1, max(want.MantExp(nil)-1, p.minExp)-p.mantBits)
}

func distance(got float64, want *big.Float) float64 {
	d, _ := number().Sub(exactly(got), want).Float64()
	return math.Abs(d)
}

// TestAccuracy measures folded weights and biases against the exact values of the raw γ, β, μ, σ² and ε.
//
// A weight's scale is off by at most 2.5 roundings of float64 and its product by one more: in the types
// narrower than float64 the result is within a hair of half a unit, in float64 itself within 3.5 units.
func TestAccuracy(t *testing.T) {
	for _, c := range []struct {
		dt       fuse.DType
		channels int
		units    float64 // a weight may be off by
		share    float64 // of weights that must be the nearest number
	}{
		{fuse.Float32, 128, 1, 0.99999},
		{fuse.Float16, 32, 1, 0.99999},
		{fuse.BFloat16, 32, 1, 0.99999},
		{fuse.Float64, 32, 3.5, 0},
	} {
		t.Run(c.dt.String(), func(t *testing.T) {
			if testing.Short() {
				c.channels /= 16
			}
			norm, bias := randomNorm(c.channels)
			affine, err := norm.Affine()
			if err != nil {
				t.Fatal(err)
			}
			nearest, worst := weightAccuracy(t, c.dt, norm, affine)
			if worst > c.units || nearest < c.share {
				t.Errorf("weights: %.6f %% are the nearest number, the worst is off by %.4f units; want %.4f %% and %v", 100*nearest, worst, 100*c.share, c.units)
			}
			worstBias := biasAccuracy(c.dt, norm, affine, bias)
			if worstBias > 1 {
				t.Errorf("biases: the worst is off by %.4f of 1 unit + 2^-50·(|s·b| + |μ·s| + |β|)", worstBias)
			}
			t.Logf("%.6f %% of the weights are the nearest number, the worst is off by %.7f units; the worst bias by %.4f of its bound", 100*nearest, worst, worstBias)
		})
	}
}

// randomNorm draws parameters as a model stores them, in float32, and a bias.
func randomNorm(channels int) (n fuse.Norm, bias []float64) {
	r := rand.New(rand.NewPCG(31, 32))
	f32 := func(x float64) float64 { return float64(float32(x)) }
	n.Eps = f32(1e-5)
	for range channels {
		n.Gamma = append(n.Gamma, f32(r.NormFloat64()*0.5+1))
		n.Beta = append(n.Beta, f32(r.NormFloat64()))
		n.Mean = append(n.Mean, f32(r.NormFloat64()))
		n.Var = append(n.Var, f32(math.Exp(3*r.NormFloat64()-2)))
		bias = append(bias, f32(r.NormFloat64()))
	}
	return n, bias
}

func weightAccuracy(t *testing.T, dt fuse.DType, norm fuse.Norm, affine fuse.Affine) (nearest, worst float64) {
	const inner = 4096
	r := rand.New(rand.NewPCG(33, uint64(dt)))
	view := fuse.View{Groups: 1, Outer: 1, Channels: affine.Channels(), Inner: inner}
	before := make([]byte, view.Elems()*dt.Size())
	for i := range view.Elems() {
		elem.Store(dt, before[i*dt.Size():], r.NormFloat64()*0.05)
	}
	after := append([]byte(nil), before...)
	err := New().Scale(Wrap(after), []fuse.Segment{{Piece: fuse.Piece{Elems: view.Elems(), DType: dt}, After: fuse.Factor{View: view, Scale: affine.Scale}}})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for c := range affine.Channels() {
		s, _ := exactAffine(norm, c)
		for i := c * inner; i < (c+1)*inner; i++ {
			want := number().Mul(exactly(elem.Load(dt, before[i*dt.Size():])), s)
			off := 0.0
			if want.Sign() != 0 {
				off = distance(elem.Load(dt, after[i*dt.Size():]), want) / unit(dt, want)
			}
			if off <= 0.5 {
				count++
			}
			worst = max(worst, off)
		}
	}
	return float64(count) / float64(view.Elems()), worst
}

// biasAccuracy is the largest error of b' = s·b + t in terms of its bound.
func biasAccuracy(dt fuse.DType, norm fuse.Norm, affine fuse.Affine, bias []float64) (worst float64) {
	var f fuse.Fold
	f.After = affine
	folded := f.Bias(bias, nil, len(bias))
	for c, b := range bias {
		s, t := exactAffine(norm, c)
		product := number().Mul(s, exactly(b))
		want := number().Add(product, t)
		got := elem.Decode(dt, elem.Encode(dt, folded[c:c+1]))[0]
		sb, _ := product.Float64()
		ms := norm.Mean[c] * affine.Scale[c]
		bound := unit(dt, want) + 0x1p-50*(math.Abs(sb)+math.Abs(ms)+math.Abs(norm.Beta[c]))
		worst = max(worst, distance(got, want)/bound)
	}
	return worst
}
