package nn

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/tensor"
	"pgregory.net/rapid"

	"github.com/bnfuse/bnfuse/fuse"
)

// layerOfKind makes a layer of 4 input and 8 output channels, and an input for it.
func (s *source) layerOfKind(kind string, groups int, bias bool) (Module, *tensor.Dense) {
	var b *tensor.Dense
	if bias {
		b = s.dense(8)
	}
	axes := 2
	if len(kind) > 2 && kind[len(kind)-1] == 'd' {
		axes = int(kind[len(kind)-2] - '0')
	}
	kernel, size := []int{3, 2, 2}[:axes], []int{5, 4, 3}[:axes]
	x := s.dense(append([]int{2, 4}, size...)...)
	conv := Conv{Weight: s.dense(append([]int{8, 4 / groups}, kernel...)...), Bias: b, Groups: groups, Padding: []int{1}}
	transposed := ConvTranspose{
		Weight: s.dense(append([]int{4, 8 / groups}, kernel...)...), Bias: b, Groups: groups,
		Stride: []int{2}, OutputPadding: []int{1},
	}
	switch kind {
	case "Conv1d":
		return (*Conv1d)(&conv), x
	case "Conv2d":
		return (*Conv2d)(&conv), x
	case "Conv3d":
		return (*Conv3d)(&conv), x
	case "ConvTranspose1d":
		return (*ConvTranspose1d)(&transposed), x
	case "ConvTranspose2d":
		return (*ConvTranspose2d)(&transposed), x
	case "ConvTranspose3d":
		return (*ConvTranspose3d)(&transposed), x
	}
	return &Linear{Weight: s.dense(8, 5), Bias: b}, s.dense(3, 5)
}

// normsFor lists a norm of every kind that suits the layer.
func normsFor(kind string, n BatchNorm) []Norm {
	frozen := FrozenBatchNorm2d{Gamma: n.Gamma, Beta: n.Beta, Mean: n.Mean, Var: n.Var, Eps: n.Eps}
	sync := SyncBatchNorm(n)
	switch kind[len(kind)-2:] {
	case "2d":
		n := BatchNorm2d(n)
		return []Norm{&n, &frozen, &sync}
	case "3d":
		n := BatchNorm3d(n)
		return []Norm{&n, &sync}
	}
	n1d := BatchNorm1d(n)
	return []Norm{&n1d, &sync}
}

// Every layer kind, grouped or not, with and without bias, under every norm that suits it, affine or not.
func TestFoldEveryKind(t *testing.T) {
	for _, dtype := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		s := newSource(1)
		s.dtype = dtype
		for _, kind := range builtIn {
			for _, groups := range []int{1, 2, 4} {
				if kind == "Linear" && groups > 1 {
					continue
				}
				for _, bias := range []bool{true, false} {
					for _, affine := range []bool{true, false} {
						for _, norm := range normsFor(kind, s.norm(8, affine)) {
							t.Run(fmt.Sprint(dtype, kind, groups, bias, affine, kindOf(norm)), func(t *testing.T) {
								layer, x := s.layerOfKind(kind, groups, bias)
								out, plan := mustFuse(t, NewSequential(layer, norm), x, Options{})
								if out != layer || len(plan.Steps) != 1 {
									t.Errorf("got %T and %+v, want the layer alone", out, plan)
								}
							})
						}
					}
				}
			}
		}
	}
}

// What a plan says of a step.
func TestStep(t *testing.T) {
	s := newSource(2)
	norm := s.norm2d(3)
	norm.Eps = 0.25
	_, plan, err := FuseBN(NewSequential(&ReLU{}, NewSequential(s.conv2d(2, 3, 1), norm)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	own, err := affineOf(norm)
	if err != nil {
		t.Fatal(err)
	}
	want := fuse.Plan{Steps: []fuse.Step{{
		Norm:  fuse.NormInfo{Name: "1.1", Kind: "BatchNorm2d", Channels: 3, Eps: 0.25, Index: 4},
		Layer: fuse.LayerInfo{Name: "1.0", Kind: "Conv2d"}, Direction: fuse.After, Affine: own,
	}}}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Error(diff)
	}
}

// Norms in a row compose in float64, and the weight is rounded once: the bits are those of one product.
func TestChainRoundsOnce(t *testing.T) {
	s := newSource(3)
	s.dtype = tensor.Float32
	conv, first, second := s.conv2d(2, 3, 2), s.norm2d(3), s.norm2d(3)
	a, _ := affineOf(first)
	b, _ := affineOf(second)
	both, err := a.Then(b)
	if err != nil {
		t.Fatal(err)
	}
	w := mustValues(t, conv.Weight)
	for i := range w {
		w[i] = float64(float32(w[i] * both.Scale[i/8]))
	}
	bias := mustValues(t, conv.Bias)
	for i := range bias {
		bias[i] = float64(float32(float64(both.Scale[i]*bias[i]) + both.Shift[i]))
	}
	if _, plan := mustFuse(t, NewSequential(conv, first, second), s.dense(1, 2, 3, 3), Options{}); len(plan.Steps) != 2 {
		t.Fatalf("folded %d norms, want 2", len(plan.Steps))
	}
	if !slices.Equal(mustValues(t, conv.Weight), w) || !slices.Equal(mustValues(t, conv.Bias), bias) {
		t.Error("the composed fold has other bits than one product of each weight")
	}
}

// A bias that is there keeps its own type; a new one takes the weight's.
func TestBiasType(t *testing.T) {
	s := newSource(4)
	wide := s.dense(3)
	s.dtype = tensor.Float32
	norm := s.norm2d(3)
	with, without := &Conv2d{Weight: s.dense(3, 2, 1, 1), Bias: wide}, &Conv2d{Weight: s.dense(2, 3, 1, 1)}
	mustFuse(t, NewSequential(with, norm, without, s.norm2d(2)), s.dense(1, 2, 3, 3), Options{})
	if with.Bias.Dtype() != tensor.Float64 || without.Bias.Dtype() != tensor.Float32 {
		t.Errorf("the biases are %v and %v", with.Bias.Dtype(), without.Bias.Dtype())
	}
}

// Any nesting of any modules keeps its output, keeps what it cannot fold, and is done after one run.
func TestAnyNesting(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := newSource(rapid.Uint64().Draw(r, "seed"))
		var pool []Module // for modules that are used again
		var draw func(depth int) Module
		draw = func(depth int) Module {
			kinds := []string{"conv", "norm", "norm", "relu", "again", "sequential", "parallel", "block"}
			if depth == 0 {
				kinds = kinds[:5]
			}
			var m Module
			switch rapid.SampledFrom(kinds).Draw(r, "kind") {
			case "conv":
				m = s.conv2d(2, 2, 1)
			case "norm":
				norm := s.norm2d(2)
				norm.Training = rapid.IntRange(0, 9).Draw(r, "training") == 0
				m = norm
			case "relu":
				m = &ReLU{}
			case "again":
				if len(pool) == 0 {
					return &Identity{}
				}
				return rapid.SampledFrom(pool).Draw(r, "which")
			case "sequential":
				q := NewSequential()
				for i := range rapid.IntRange(0, 4).Draw(r, "children") {
					q.Children = append(q.Children, Child{fmt.Sprint(i), draw(depth - 1)})
				}
				m = q
			case "parallel":
				m = &DataParallel{Module: draw(depth - 1)}
			case "block":
				m = &residual{Body: draw(depth - 1)}
			}
			pool = append(pool, m)
			return m
		}
		q := NewSequential()
		for i := range rapid.IntRange(1, 5).Draw(r, "modules") {
			q.Children = append(q.Children, Child{fmt.Sprint(i), draw(3)})
		}
		x := s.dense(1, 2, 2, 2)
		want, err := q.Forward(x)
		if err != nil {
			r.Fatal(err)
		}
		out, plan, err := FuseBN(q, Options{Copy: rapid.Bool().Draw(r, "copy")})
		if err != nil {
			r.Fatal(err)
		}
		got, err := out.Forward(x)
		if err != nil {
			r.Fatal(err)
		}
		w, g := mustValues(t, want), mustValues(t, got)
		for i := range w {
			if math.Abs(w[i]-g[i]) > 1e-9+1e-9*math.Abs(w[i]) && !math.IsNaN(w[i]) {
				r.Fatalf("element %d is %v, want %v; plan %+v", i, g[i], w[i], plan)
			}
		}
		if _, again, err := FuseBN(out, Options{}); err != nil || len(again.Steps) != 0 {
			r.Fatalf("folding again took %d steps, error %v", len(again.Steps), err)
		}
	})
}
