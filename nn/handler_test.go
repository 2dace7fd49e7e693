package nn

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
)

// gain is a layer of a user's own: y = x·Gain + Offset, one pair a channel.
type gain struct {
	Gain, Offset *tensor.Dense // [C]
	Folded       int
}

func (g *gain) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	in, err := input(x, 2)
	if err != nil {
		return nil, err
	}
	a, b := g.Gain.Data().([]float64), g.Offset.Data().([]float64)
	inner := product(in.shape[2:])
	for i := range in.values {
		c := i / inner % in.shape[1]
		in.values[i] = in.values[i]*a[c] + b[c]
	}
	return newDense(x.Dtype(), in.shape, in.values), nil
}

// foldGain folds in place, as a handler ported from Python would.
func foldGain(layer Module, norm Norm) (Module, error) {
	g := layer.(*gain)
	p, err := norm.Params()
	if err != nil {
		return nil, err
	}
	own, err := p.Affine()
	if err != nil {
		return nil, err
	}
	a, b := g.Gain.Data().([]float64), g.Offset.Data().([]float64)
	for c := range a {
		a[c] *= own.Scale[c]
		b[c] = own.Scale[c]*b[c] + own.Shift[c]
	}
	g.Folded++
	return g, nil
}

func (s *source) gain(channels int) *gain {
	return &gain{Gain: s.dense(channels), Offset: s.dense(channels)}
}

// A handler gets the layer, as a copy, and the norm itself; what it returns takes the layer's place.
func TestHandler(t *testing.T) {
	s := newSource(40)
	layer, norm := s.gain(3), s.norm2d(3)
	var calls int
	handler := BNFuserFunc(func(l Module, n Norm) (Module, error) {
		calls++
		if l == layer || n != norm {
			t.Error("the handler did not get a copy of the layer and the norm")
		}
		return foldGain(l, n)
	})
	before := snapshot(layer)
	m := NewSequential(&ReLU{}, layer, norm, norm)
	out, plan := mustFuse(t, m, s.dense(2, 3, 2, 2), Options{Handlers: map[string]BNFuser{"gain": handler}})
	fused := out.(*Sequential).Child("1").(*gain)
	if calls != 2 || fused.Folded != 2 || len(plan.Steps) != 2 || plan.Steps[0].Layer.Kind != "gain" {
		t.Errorf("%d calls, %d folded, plan %+v", calls, fused.Folded, plan)
	}
	if fused == layer || !slices.Equal(snapshot(layer), before) {
		t.Error("the layer that was given changed")
	}
}

// A handler may replace a built-in one, return a module of another type, and leave the rest to FusePair.
func TestHandlerReplacesABuiltInOne(t *testing.T) {
	s := newSource(41)
	handler := BNFuserFunc(func(l Module, n Norm) (Module, error) {
		fused, err := FusePair(l, n)
		if err != nil {
			return nil, err
		}
		return &residual{Body: fused, Shortcut: &ReLU{}}, nil
	})
	m := NewSequential(s.conv2d(3, 3, 1), s.norm2d(3), s.norm2d(3))
	out, plan, err := FuseBN(m, Options{Handlers: map[string]BNFuser{"Conv2d": handler}})
	if err != nil || len(plan.Steps) != 1 || plan.Skips[0].Reason != fuse.ReasonNoLayer {
		t.Fatal(plan, err)
	}
	want := []string{"0.Body Conv2d", "0.Shortcut ReLU", "2 BatchNorm2d"}
	if got := paths(out); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A layer that a handler returned takes further norms in, without a module that is in use elsewhere changing.
func TestHandlerReturnsABuiltInLayer(t *testing.T) {
	s := newSource(42)
	conv := s.conv2d(3, 3, 1)
	before := snapshot(conv)
	handler := BNFuserFunc(func(l Module, n Norm) (Module, error) { return conv, nil })
	m := NewSequential(s.gain(3), s.norm2d(3), s.norm2d(3), s.gain(3), s.norm2d(3))
	out, plan, err := FuseBN(m, Options{Handlers: map[string]BNFuser{"gain": handler}})
	if err != nil || len(plan.Steps) != 3 {
		t.Fatal(plan, err)
	}
	if got, want := paths(out), []string{"0 Conv2d", "3 Conv2d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !slices.Equal(snapshot(conv), before) || out.(*Sequential).Child("0") == conv {
		t.Error("the module that the handler returned twice was folded into")
	}
}

// A refusal is a skip; the handler's half-done copy goes with it.
func TestHandlerRefuses(t *testing.T) {
	s := newSource(43)
	handler := BNFuserFunc(func(l Module, n Norm) (Module, error) {
		if _, err := foldGain(l, n); err != nil {
			return nil, err
		}
		return nil, fuse.Refuse(fuse.ReasonUnsupportedOp, "not today")
	})
	m := NewSequential(s.gain(3), s.norm2d(3))
	_, plan := mustFuse(t, m, s.dense(1, 3, 1, 1), Options{Handlers: map[string]BNFuser{"gain": handler}})
	if len(plan.Skips) != 1 || plan.Skips[0].Reason != fuse.ReasonUnsupportedOp || plan.Skips[0].Detail != "not today" {
		t.Errorf("skips are %+v", plan.Skips)
	}
}

// After any error nothing has changed, though pairs before it were ready to be folded.
func TestHandlerErrors(t *testing.T) {
	s := newSource(44)
	broken := errors.New("broken")
	fail := BNFuserFunc(func(l Module, n Norm) (Module, error) { return nil, broken })
	none := BNFuserFunc(func(l Module, n Norm) (Module, error) { return (*gain)(nil), nil })
	var calls int
	second := BNFuserFunc(func(l Module, n Norm) (Module, error) {
		if calls++; calls == 2 {
			return nil, broken
		}
		return foldGain(l, n)
	})
	for _, c := range []struct {
		name    string
		options Options
		want    error
		text    string
	}{
		{"unknown layer", Options{Layers: []string{"Linear", "Foo"}}, ErrNoHandler, `nn: layer type "Foo": layer type has no handler`},
		{"nil handler", Options{Handlers: map[string]BNFuser{"gain": nil}}, ErrNoHandler, `nn: layer type "gain": layer type has no handler`},
		{"nil function", Options{Handlers: map[string]BNFuser{"gain": BNFuserFunc(nil)}}, ErrNoHandler, `nn: layer type "gain": layer type has no handler`},
		{"failing handler", Options{Handlers: map[string]BNFuser{"gain": fail}}, broken, `nn: module "3": handler of gain: broken`},
		{"handler of nothing", Options{Handlers: map[string]BNFuser{"gain": none}}, ErrNilModule, `nn: module "3": handler of gain returned nothing: module is nil`},
		{"the second call fails", Options{Handlers: map[string]BNFuser{"gain": second}}, broken, `nn: module "5": handler of gain: broken`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := NewSequential(s.conv2d(3, 3, 1), s.norm2d(3), s.gain(3), s.norm2d(3), s.gain(3), s.norm2d(3))
			before := snapshot(m)
			out, plan, err := FuseBN(m, c.options)
			if !errors.Is(err, c.want) || err.Error() != c.text {
				t.Errorf("got %v, want %s", err, c.text)
			}
			if out != nil || plan.Steps != nil || !slices.Equal(snapshot(m), before) {
				t.Error("the model changed, or something was returned")
			}
		})
	}
}

// A selected layer is its handler's: what is inside is not folded, with a norm behind it or without.
func TestSelectedLayerIsOpaque(t *testing.T) {
	s := newSource(45)
	inner := NewSequential(s.conv2d(3, 3, 1), s.norm2d(3))
	m := NewSequential(&residual{Body: inner}, &ReLU{})
	handler := BNFuserFunc(func(l Module, n Norm) (Module, error) { return l, nil })
	_, plan, err := FuseBN(m, Options{Handlers: map[string]BNFuser{"residual": handler}})
	if err != nil || len(plan.Steps)+len(plan.Skips) != 0 || len(inner.Children) != 2 {
		t.Errorf("got %+v, %v", plan, err)
	}
}

// A type that has a built-in layer's name and is made of modules is searched as any other.
func TestNamesakeIsWalked(t *testing.T) {
	type Linear struct{ residual }
	s := newSource(48)
	m := NewSequential(&Linear{residual{Body: NewSequential(s.conv2d(3, 3, 1), s.norm2d(3))}}, s.norm2d(3))
	before := snapshot(m)
	for _, o := range []Options{{Copy: true}, {}} {
		if !slices.Equal(snapshot(m), before) {
			t.Error("the original changed")
		}
		out, plan := mustFuse(t, m, s.dense(1, 3, 2, 2), o)
		if len(plan.Steps) != 1 || len(plan.Skips) != 1 || plan.Skips[0].Reason != fuse.ReasonUnsupportedOp {
			t.Errorf("got %+v", plan)
		}
		if got, want := paths(out), []string{"0.Body Conv2d", "1 BatchNorm2d"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// FusePair leaves both of its arguments alone and refuses what FuseBN would skip.
func TestFusePair(t *testing.T) {
	s := newSource(46)
	conv, norm := s.conv2d(2, 3, 2), s.norm2d(3)
	before := snapshot(NewSequential(conv, norm))
	fused, err := FusePair(conv, norm)
	if err != nil {
		t.Fatal(err)
	}
	x := s.dense(1, 2, 3, 3)
	compare(t, "output", forward(t, fused, x), forward(t, NewSequential(conv, norm), x), tolerances[tensor.Float64])
	if !slices.Equal(snapshot(NewSequential(conv, norm))[1:], before[1:]) {
		t.Error("an argument changed")
	}
	for name, args := range map[string]struct {
		layer Module
		norm  Norm
	}{
		"nil layer": {nil, norm}, "nil norm": {conv, (*BatchNorm2d)(nil)}, "no layer": {&ReLU{}, norm}, "other channels": {conv, s.norm2d(4)},
		"training": {conv, &BatchNorm2d{Training: true}},
	} {
		var refusal *fuse.Refusal
		if _, err := FusePair(args.layer, args.norm); !errors.As(err, &refusal) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}

// ownNorm is a norm of a user's own; its parameters may fail to come.
type ownNorm struct {
	BatchNorm2d
	Err error
}

func (n *ownNorm) Params() (fuse.Norm, error) {
	if n.Err != nil {
		return fuse.Norm{}, n.Err
	}
	return n.BatchNorm2d.Params()
}

func TestOwnNorm(t *testing.T) {
	s := newSource(47)
	m := NewSequential(s.conv2d(3, 3, 1), &ownNorm{BatchNorm2d: *s.norm2d(3)}, &ownNorm{BatchNorm2d: *s.norm2d(3), Err: errors.New("offline")})
	_, plan := mustFuse(t, m, s.dense(1, 3, 2, 2), Options{})
	if len(plan.Steps) != 1 || plan.Skips[0].Reason != fuse.ReasonNormParams || plan.Skips[0].Detail != "offline" {
		t.Errorf("got %+v", plan)
	}
}

// One line a fold, and a warning where weights are too small for their type.
func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	one := func(x float32) *tensor.Dense { return backed([]int{1}, []float32{x}) }
	fc := &Linear{Weight: backed([]int{1, 2}, []float32{1e-30, 1})}
	norm := &BatchNorm1d{Gamma: one(1e-20), Mean: one(0), Var: one(1)}
	if _, _, err := FuseBN(NewSequential(fc, norm, &ReLU{}, norm), Options{Log: log}); err != nil {
		t.Fatal(err)
	}
	const want = `level=INFO msg="norm folded" norm=1 norm_kind=BatchNorm1d layer=0 layer_kind=Linear
level=WARN msg="weights became zero" layer=0 count=1
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
