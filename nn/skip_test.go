package nn

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
)

// stranger has the name of a built-in type and computes something else.
type stranger struct{ Conv2d }

func (s *stranger) Forward(x *tensor.Dense) (*tensor.Dense, error) { return s.Conv2d.Forward(x) }

// holder holds a module where the search does not fold, but sees a use.
type holder struct {
	Body   Module
	hidden struct{ modules []any }
}

func (h *holder) Forward(x *tensor.Dense) (*tensor.Dense, error) { return h.Body.Forward(x) }

// device is a gorgonia engine whose memory Go must not touch.
type device struct{ tensor.StdEng }

func (device) AllocAccessible() bool { return false }

// Every reason for which nn keeps a norm. After each, the model is bit for bit what it was.
func TestEveryReason(t *testing.T) {
	s := newSource(20)
	vec := func(x ...float64) *tensor.Dense { return backed([]int{len(x)}, x) }
	small := func(x ...float32) *tensor.Dense { return backed([]int{len(x)}, x) }
	with := func(change func(*BatchNorm2d)) Norm {
		n := s.norm2d(3)
		change(n)
		return n
	}
	conv := func() *Conv2d { return s.conv2d(2, 3, 1) }
	pair := func(layer, norm Module) Module { return NewSequential(layer, norm) }
	masked := conv()
	masked.Weight.ResetMask(false)
	shared := conv()
	held := conv()
	value := &holder{Body: NewSequential(held, s.norm2d(3))}
	value.hidden.modules = []any{1, map[string]any{"x": [1]Module{held}}}
	for _, c := range []struct {
		name   string
		model  Module
		reason fuse.Reason
		detail string
	}{
		{"a norm first", NewSequential(s.norm2d(2), conv()), fuse.ReasonNoLayer, "no module is known to run right before it"},
		{"a norm after something else", pair(&ReLU{}, s.norm2d(2)), fuse.ReasonNoLayer, `ReLU "0" runs right before it`},
		{"a norm outside any Sequential", &residual{Body: s.norm2d(2)}, fuse.ReasonNoLayer, "no module is known to run right before it"},
		{"a norm alone", s.norm2d(2), fuse.ReasonNoLayer, "no module is known to run right before it"},
		{"a norm after a custom module", pair(&residual{Body: conv()}, s.norm2d(3)), fuse.ReasonNoLayer, `residual "0" runs right before it`},
		{"a layer used twice", NewSequential(shared, s.norm2d(3), &ReLU{}, &holder{Body: shared}), fuse.ReasonLayerShared, `Conv2d "0" is used in 2 places`},
		{"a layer used in an unexported field", value, fuse.ReasonLayerShared, `Conv2d "Body.0" is used in 2 places`},
		{"training", pair(conv(), with(func(n *BatchNorm2d) { n.Training = true })), fuse.ReasonTraining, "it normalizes by the batch"},
		{"no running statistics", pair(conv(), with(func(n *BatchNorm2d) { n.Mean, n.Var = nil, nil })), fuse.ReasonNormParams, "it has no running statistics and normalizes by the batch"},
		{"integer statistics", pair(conv(), with(func(n *BatchNorm2d) { n.Mean = tensor.New(tensor.WithBacking([]int{1, 2, 3})) })), fuse.ReasonNormParams, "its mean cannot be read: it holds int: only float32 and float64 are supported"},
		{"a matrix of statistics", pair(conv(), with(func(n *BatchNorm2d) { n.Beta = s.dense(3, 1) })), fuse.ReasonNormParams, "its beta cannot be read: its shape is [3 1], want one axis"},
		{"lengths that disagree", pair(conv(), with(func(n *BatchNorm2d) { n.Gamma = s.dense(2) })), fuse.ReasonChannels, "gamma, beta, mean and variance have 2, 3, 3 and 3 values"},
		{"channels that disagree", pair(conv(), s.norm2d(4)), fuse.ReasonChannels, "weight [3 2 1 1] has 3 output channels, norm has 4"},
		{"NaN", pair(conv(), with(func(n *BatchNorm2d) { n.Beta = vec(0, math.NaN(), 0) })), fuse.ReasonNotFinite, "channel 1: beta is NaN"},
		{"no variance", pair(conv(), with(func(n *BatchNorm2d) { n.Var, n.Eps = vec(1, 1, 0), 0 })), fuse.ReasonVariance, "channel 2: variance 0 + epsilon 0 is not positive"},
		{"a composed scale that overflows",
			pair(pair(conv(), with(func(n *BatchNorm2d) { n.Gamma = vec(1e200, 1, 1) })), with(func(n *BatchNorm2d) { n.Gamma = vec(1e200, 1, 1) })),
			fuse.ReasonNotFinite, ""},
		{"a norm of another rank", pair(conv(), &BatchNorm1d{Mean: s.dense(3), Var: vec(1, 1, 1)}), fuse.ReasonAxis, "a BatchNorm1d does not take the layer's output of 4 axes"},
		{"no weight", pair(&Conv2d{}, s.norm2d(3)), fuse.ReasonWeight, "weight: it is nil, empty or a scalar"},
		{"an empty weight", pair(&Conv2d{Weight: &tensor.Dense{}}, s.norm2d(3)), fuse.ReasonWeight, "weight: it is nil, empty or a scalar"},
		{"a masked weight", pair(masked, s.norm2d(3)), fuse.ReasonWeight, "weight: it is masked"},
		{"a weight in device memory", pair(&Conv2d{Weight: tensor.New(tensor.WithShape(3, 1, 1, 1), tensor.Of(tensor.Float32), tensor.WithEngine(device{}))}, s.norm2d(3)), fuse.ReasonWeight, "weight: its memory is not Go's"},
		{"an integer weight", pair(&Conv2d{Weight: tensor.New(tensor.WithShape(3, 1, 1, 1), tensor.WithBacking([]int8{1, 2, 3}))}, s.norm2d(3)), fuse.ReasonDType, "weight: it holds int8: only float32 and float64 are supported"},
		{"a weight of the wrong rank", pair(&Conv2d{Weight: s.dense(3, 2, 1)}, s.norm2d(3)), fuse.ReasonLayerShape, "weight [3 2 1] has 3 axes, want 4"},
		{"groups that do not divide", pair(&Conv2d{Weight: s.dense(3, 2, 1, 1), Groups: 2}, s.norm2d(3)), fuse.ReasonLayerShape, ""},
		{"negative groups", pair(&ConvTranspose2d{Weight: s.dense(2, 3, 1, 1), Groups: -1}, s.norm2d(3)), fuse.ReasonLayerShape, ""},
		{"a bias of the wrong length", pair(&Conv2d{Weight: s.dense(3, 2, 1, 1), Bias: s.dense(2)}, s.norm2d(3)), fuse.ReasonLayerShape, "weight [3 2 1 1] has 3 output channels, bias has 2"},
		{"a bias that cannot be read", pair(&Conv2d{Weight: s.dense(3, 2, 1, 1), Bias: tensor.New(tensor.WithBacking([]bool{true, true, true}))}, s.norm2d(3)), fuse.ReasonBias, "bias: it holds bool: only float32 and float64 are supported"},
		{"a weight that would become infinite",
			pair(&Linear{Weight: backed([]int{1, 1}, []float32{-3e38})}, &BatchNorm1d{Gamma: small(2), Mean: small(0), Var: small(1)}),
			fuse.ReasonOverflow, "channel 0: a weight of 3.0000000054977558e+38 times 2 is infinite in float32"},
		{"a bias that would become infinite",
			pair(&Linear{Weight: backed([]int{1, 1}, []float32{1})}, &BatchNorm1d{Beta: vec(1e39), Mean: small(0), Var: small(1)}),
			fuse.ReasonOverflow, "channel 0: the bias 1e+39 is infinite in float32"},
		{"a float64 weight that would become infinite",
			pair(&Linear{Weight: backed([]int{1, 1}, []float64{1e308})}, &BatchNorm1d{Gamma: vec(10), Mean: vec(0), Var: vec(1)}),
			fuse.ReasonOverflow, "channel 0: a weight of 1e+308 times 10 is infinite in float64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			steps := 0
			if c.name == "a composed scale that overflows" {
				steps = 1
			}
			before := snapshot(c.model)
			out, plan, err := FuseBN(c.model, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Steps) != steps || len(plan.Skips) != 1 {
				t.Fatalf("got %d steps and skips %+v", len(plan.Steps), plan.Skips)
			}
			got := plan.Skips[0]
			if got.Reason != c.reason || c.detail != "" && got.Detail != c.detail {
				t.Errorf("got %q, %q; want %q, %q", got.Reason, got.Detail, c.reason, c.detail)
			}
			if steps == 0 && (out != c.model || !slices.Equal(snapshot(out), before)) {
				t.Error("the model changed")
			}
		})
	}
}

// Selected by name, a type of the user's own is still not taken for a built-in one.
func TestStrangerIsNotABuiltInLayer(t *testing.T) {
	s := newSource(21)
	m := NewSequential(&stranger{*s.conv2d(2, 3, 1)}, s.norm2d(3))
	_, plan, err := FuseBN(m, Options{Layers: []string{"stranger"}, Handlers: map[string]BNFuser{"stranger": BNFuserFunc(FusePair)}})
	if err != nil || len(plan.Skips) != 1 || plan.Skips[0].Reason != fuse.ReasonUnsupportedOp {
		t.Errorf("got %+v, %v", plan, err)
	}
}

// The norm before one that stays still goes, and the one behind it has no layer any more.
func TestOverflowEndsAChain(t *testing.T) {
	one := func(x float32) *tensor.Dense { return backed([]int{1}, []float32{x}) }
	norm := func(gamma float32) *BatchNorm1d { return &BatchNorm1d{Gamma: one(gamma), Mean: one(0), Var: one(1)} }
	fc := &Linear{Weight: backed([]int{1, 1}, []float32{1e30})}
	m := NewSequential(fc, norm(8), norm(1e20), norm(2))
	out, plan := mustFuse(t, m, backed([]int{1, 1}, []float32{1e-30}), Options{})
	if got, want := paths(out), []string{"0 Linear", "2 BatchNorm1d", "3 BatchNorm1d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if plan.Skips[0].Reason != fuse.ReasonOverflow || plan.Skips[1].Reason != fuse.ReasonNoLayer {
		t.Errorf("skips are %+v", plan.Skips)
	}
}

// A type that has a handler and is not selected keeps its norms, and the plan says which layer it is.
func TestNotSelected(t *testing.T) {
	s := newSource(22)
	conv, fc := s.conv2d(2, 3, 1), &Linear{Weight: s.dense(4, 3)}
	norm := BatchNorm1d(s.norm(4, true))
	m := NewSequential(conv, s.norm2d(3), &MaxPool2d{Kernel: []int{2}}, &Flatten{}, fc, &norm)
	_, plan := mustFuse(t, m, s.dense(1, 2, 2, 2), Options{Layers: []string{"Linear"}})
	if len(plan.Steps) != 1 || plan.Steps[0].Layer.Name != "4" {
		t.Errorf("steps are %+v", plan.Steps)
	}
	want := fuse.Skip{
		Norm:  fuse.NormInfo{Name: "1", Kind: "BatchNorm2d", Channels: 3, Eps: 1e-5, Index: 2},
		Layer: fuse.LayerInfo{Name: "0", Kind: "Conv2d"}, Reason: fuse.ReasonNotSelected, Detail: `Conv2d "0" runs right before it`,
	}
	if plan.Skips[0] != want {
		t.Errorf("got %+v, want %+v", plan.Skips[0], want)
	}
	if _, plan, _ := FuseBN(m, Options{Layers: []string{}}); len(plan.Steps) != 0 {
		t.Error("an empty selection folded something")
	}
}
