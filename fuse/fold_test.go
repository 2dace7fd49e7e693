package fuse

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func affine(scale, shift float64) Affine {
	return Affine{Scale: []float64{scale}, Shift: []float64{shift}}
}

// Norms after a layer are added in the order of the data: each is behind those already there. Norms
// before it are added from the layer outwards: each is in front.
func TestFoldAddOrder(t *testing.T) {
	var f Fold
	for _, a := range []Affine{affine(2, 3), affine(5, 7)} {
		if err := f.Add(After, a); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(affine(10, 5*3+7), f.After); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
	for _, a := range []Affine{affine(2, 3), affine(5, 7)} {
		if err := f.Add(Before, a); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(affine(10, 2*7+3), f.Before); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
}

func TestFoldAddLeavesTheFoldOnError(t *testing.T) {
	var f Fold
	if err := f.Add(After, affine(1e200, 1)); err != nil {
		t.Fatal(err)
	}
	if err := f.Add(After, affine(1e200, 1)); err == nil {
		t.Fatal("a scale of 1e400 is no error")
	}
	if diff := cmp.Diff(Fold{After: affine(1e200, 1)}, f); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFoldBias(t *testing.T) {
	after := Affine{Scale: []float64{2, -3}, Shift: []float64{10, 20}}
	for _, c := range []struct {
		name          string
		fold          Fold
		b, contracted []float64
		want          []float64
	}{
		{"a norm after", Fold{After: after}, []float64{1, 2}, nil, []float64{12, 14}},
		{"a norm after, no bias", Fold{After: after}, nil, nil, []float64{10, 20}},
		{"a norm before", Fold{}, []float64{1, 2}, []float64{5, 6}, []float64{6, 8}},
		{"a norm before, no bias", Fold{}, nil, []float64{5, 6}, []float64{5, 6}},
		{"both: the layer's sum passes through the norm after it", Fold{After: after}, []float64{1, 2}, []float64{5, 6}, []float64{22, -4}},
		{"none", Fold{}, []float64{1, 2}, nil, []float64{1, 2}},
	} {
		got := c.fold.Bias(c.b, c.contracted, 2)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// s·b is rounded before t is added.
func TestFoldBiasIsNotFused(t *testing.T) {
	s := 1 + 0x1p-30
	f := Fold{After: affine(s, -1)}
	got := f.Bias([]float64{s}, nil, 1)[0]
	product := s * s
	if fused := math.FMA(s, s, -1); got != product-1 || got == fused {
		t.Errorf("%x, want %x and not %x", got, product-1, fused)
	}
}

// Folding two norms at once is what folding one after the other is, as far as float64 goes.
func TestFoldComposes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Float64Range(-4, 4)
		norms := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Affine {
			return affine(number.Draw(t, "scale"), number.Draw(t, "shift"))
		}), 1, 4).Draw(t, "norms")
		x := number.Draw(t, "x")

		var f Fold
		want := x
		for _, n := range norms {
			if err := f.Add(After, n); err != nil {
				t.Fatal(err)
			}
			want = n.Scale[0]*want + n.Shift[0]
		}
		got := f.Bias([]float64{x}, nil, 1)[0]
		if math.Abs(got-want) > 1e-11 {
			t.Fatalf("%v norms of %v: %v, want %v", len(norms), x, got, want)
		}
	})
}

// The order of the sum is part of the bits: lane j takes lane j+16, then 8, 4, 2 and 1.
func TestSumLanesOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const outputs = 5
	lanes := make([]float64, outputs*NumLanes)
	for i := range lanes {
		lanes[i] = math.Ldexp(r.NormFloat64(), r.IntN(60))
	}
	var tree func(l []float64, j, stride int) float64 // the sum of lanes j, j+stride, j+2·stride …
	tree = func(l []float64, j, stride int) float64 {
		if stride == NumLanes {
			return l[j]
		}
		return tree(l, j, 2*stride) + tree(l, j+stride, 2*stride)
	}
	want := make([]float64, outputs)
	for o := range want {
		want[o] = tree(lanes[o*NumLanes:], 0, 1)
	}
	if diff := cmp.Diff(want, SumLanes(lanes)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := SumLanes(nil); len(got) != 0 {
		t.Errorf("no lanes have the sums %v", got)
	}
}

func TestRefusal(t *testing.T) {
	err := Refuse(ReasonVariance, "channel %d", 3)
	if got, want := err.Error(), "variance plus epsilon is not positive: channel 3"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
