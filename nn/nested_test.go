package nn

import (
	"errors"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
)

// residual is a module of a user's own: y = x + Body(x), or x + Body(Shortcut(x)).
type residual struct {
	Body     Module
	Shortcut Module
}

func (r *residual) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	y, err := r.Body.Forward(x)
	if err != nil {
		return nil, err
	}
	if r.Shortcut != nil {
		if x, err = r.Shortcut.Forward(x); err != nil {
			return nil, err
		}
	}
	return x.Add(y)
}

// structure says what is left of a model: the paths of the modules that hold no others.
func TestSequentialSemantics(t *testing.T) {
	s := newSource(10)
	conv := func() Module { return s.conv2d(3, 3, 1) }
	norm := func() Module { return s.norm2d(3) }
	seq := NewSequential
	for _, c := range []struct {
		name  string
		model Module
		want  []string
	}{
		{"a norm right after a layer goes", seq(conv(), norm(), &ReLU{}), []string{"0 Conv2d", "2 ReLU"}},
		{"any other norm stays", seq(norm(), conv(), &ReLU{}, norm()),
			[]string{"0 BatchNorm2d", "1 Conv2d", "2 ReLU", "3 BatchNorm2d"}},
		{"nothing is looked through", seq(conv(), &Identity{}, norm(), conv(), &Dropout{P: 0.5}, norm()),
			[]string{"0 Conv2d", "1 Identity", "2 BatchNorm2d", "3 Conv2d", "4 Dropout", "5 BatchNorm2d"}},
		{"norms in a row all go", seq(conv(), norm(), norm(), norm(), &ReLU{}), []string{"0 Conv2d", "4 ReLU"}},
		{"a single element takes the place of the whole", seq(conv(), norm()), []string{" Conv2d"}},
		{"and of a nested one, under its name", seq(&ReLU{}, seq(conv(), norm())), []string{"0 ReLU", "1 Conv2d"}},
		{"a nested one that begins with a norm", seq(conv(), seq(norm(), &ReLU{}, &Identity{})),
			[]string{"0 Conv2d", "1.1 ReLU", "1.2 Identity"}},
		{"at any depth", seq(&ReLU{}, conv(), seq(seq(seq(norm(), &ReLU{}), &ReLU{}))),
			[]string{"0 ReLU", "1 Conv2d", "2.0 ReLU", "2.1 ReLU"}},
		{"and from any depth", seq(seq(&ReLU{}, seq(&ReLU{}, conv())), seq(seq(norm()), &ReLU{})),
			[]string{"0.0 ReLU", "0.1.0 ReLU", "0.1.1 Conv2d", "1 ReLU"}},
		{"an emptied one disappears", seq(conv(), seq(seq(norm()), norm()), &ReLU{}), []string{"0 Conv2d", "2 ReLU"}},
		{"a wrapper is looked through", &DataParallel{seq(conv(), norm(), &ReLU{})},
			[]string{"Module.0 Conv2d", "Module.2 ReLU"}},
		{"and takes the single element", &DataParallel{seq(conv(), norm())}, []string{"Module Conv2d"}},
		{"in the middle, too", seq(&DataParallel{seq(&ReLU{}, conv())}, norm(), conv(), &DataParallel{norm()}),
			[]string{"0.Module.0 ReLU", "0.Module.1 Conv2d", "2 Conv2d"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _ := mustFuse(t, c.model, s.dense(2, 3, 4, 4), Options{})
			if got := paths(out); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// The model of qsparse's own test of nested Sequentials.
func TestQsparseComplexSequential(t *testing.T) {
	s := newSource(11)
	pair := func(transposed bool) Module {
		if transposed {
			return NewSequential(&ConvTranspose2d{Weight: s.dense(4, 4, 3, 3), Bias: s.dense(4)}, s.norm2d(4))
		}
		return NewSequential(s.conv2d(4, 4, 3), s.norm2d(4))
	}
	m := NewSequential(pair(false), NewSequential(pair(false), pair(true)), pair(true), s.conv2d(4, 4, 3), NewSequential(s.norm2d(4)))
	out, plan := mustFuse(t, m, s.dense(1, 4, 8, 8), Options{})
	want := []string{"0 Conv2d", "1.0 Conv2d", "1.1 ConvTranspose2d", "2 ConvTranspose2d", "3 Conv2d"}
	if got := paths(out); !slices.Equal(got, want) || len(plan.Skips) != 0 {
		t.Errorf("got %q, want %q", got, want)
	}
}

// In place, the Sequential that was given sees the fold as well, even where its only child is returned.
func TestInPlace(t *testing.T) {
	s := newSource(12)
	conv := s.conv2d(3, 3, 1)
	inner := NewSequential(conv, s.norm2d(3))
	m := NewSequential(inner, &ReLU{})
	out, _ := mustFuse(t, m, s.dense(1, 3, 2, 2), Options{})
	if out != m || m.Child("0") != conv || len(inner.Children) != 1 {
		t.Error("the given Sequentials do not show the fold")
	}
	single := NewSequential(conv, s.norm2d(3))
	if out, _, err := FuseBN(single, Options{}); err != nil || out != conv || len(single.Children) != 1 {
		t.Errorf("got %T and %d children, error %v", out, len(single.Children), err)
	}
}

// network is a module of a user's own, with children in every kind of place.
type network struct {
	Stem   *Sequential
	Blocks []*residual
	Heads  map[string]Module
	Pair   [2]Module
	Extra  struct{ Tail Module }
	Config any
	Norm   Norm
	Conv   Conv2d
	Weight *tensor.Dense
}

func (n *network) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	order := []Module{n.Stem}
	for _, b := range n.Blocks {
		order = append(order, b)
	}
	order = append(order, n.Heads["a"], n.Heads["b"], n.Pair[0], n.Pair[1], n.Extra.Tail, n.Norm, &n.Conv)
	return NewSequential(order...).Forward(x)
}

// Every Sequential in a custom module is folded, at any depth; a norm that is a field of its own is not.
func TestCustomModule(t *testing.T) {
	s := newSource(13)
	pair := func() *Sequential { return NewSequential(s.conv2d(3, 3, 1), s.norm2d(3)) }
	m := &network{
		Stem:   pair(),
		Blocks: []*residual{{Body: NewSequential(pair(), &ReLU{}, &residual{Body: pair()})}, {Body: &Identity{}, Shortcut: pair()}},
		Heads:  map[string]Module{"b": pair(), "a": pair()},
		Pair:   [2]Module{s.conv2d(3, 3, 1), s.norm2d(3)},
		Norm:   s.norm2d(3),
		Conv:   *s.conv2d(3, 3, 1),
	}
	m.Extra.Tail = &DataParallel{pair()}
	m.Config = []any{3, "x", pair()}
	out, plan := mustFuse(t, m, s.dense(1, 3, 2, 2), Options{})
	want := []string{
		"Stem.0 Conv2d", // a field of type *Sequential cannot become a Conv2d
		"Blocks.0.Body.0 Conv2d", "Blocks.0.Body.1 ReLU", "Blocks.0.Body.2.Body Conv2d",
		"Blocks.1.Body Identity", "Blocks.1.Shortcut Conv2d",
		"Heads.a Conv2d", "Heads.b Conv2d",
		"Pair.0 Conv2d", "Pair.1 BatchNorm2d",
		"Extra.Tail.Module Conv2d",
		"Config.2 Conv2d",
		"Norm BatchNorm2d", "Conv Conv2d",
	}
	if got := paths(out); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	var kept []string
	for _, skip := range plan.Skips {
		kept = append(kept, skip.Norm.Name+": "+string(skip.Reason))
	}
	if want := []string{"Pair.1: no layer beside it", "Norm: no layer beside it"}; !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
}

// list is a module that keeps its children where reflection does not look.
type list struct{ modules []Module }

func (l *list) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return NewSequential(l.modules...).Forward(x)
}

func (l *list) NamedChildren() []Child {
	return append(NewSequential(l.modules...).Children, Child{Name: "none"})
}

func (l *list) ReplaceChild(name string, m Module) bool {
	if name != "0" {
		return false
	}
	l.modules[0] = m
	return true
}

// A Parent names its children itself; where it does not take a replacement, the Sequential stays.
func TestParent(t *testing.T) {
	s := newSource(14)
	pair := func() Module { return NewSequential(s.conv2d(3, 3, 1), s.norm2d(3)) }
	out, _ := mustFuse(t, &list{[]Module{pair(), pair()}}, s.dense(1, 3, 2, 2), Options{})
	if got, want := paths(out), []string{"0 Conv2d", "1.0 Conv2d"}; !slices.Equal(got[:2], want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A Sequential that is used twice is folded within, once; across its borders nothing is.
func TestSharedSequential(t *testing.T) {
	s := newSource(15)
	shared := NewSequential(s.norm2d(3), s.conv2d(3, 3, 1), s.norm2d(3), s.conv2d(3, 3, 1))
	m := NewSequential(s.conv2d(3, 3, 1), shared, s.norm2d(3), shared)
	_, plan := mustFuse(t, m, s.dense(1, 3, 2, 2), Options{})
	if len(plan.Steps) != 1 || plan.Steps[0].Norm.Name != "1.2" {
		t.Errorf("steps are %+v, want the pair inside", plan.Steps)
	}
	want := []fuse.Reason{fuse.ReasonNoLayer, fuse.ReasonLayerShared}
	for i, skip := range plan.Skips {
		if skip.Reason != want[i] {
			t.Errorf("%s: %s, want %s", skip.Norm.Name, skip.Reason, want[i])
		}
	}
}

// A norm object used twice goes from both places: each layer takes it in, and it is itself not changed.
func TestSharedNorm(t *testing.T) {
	s := newSource(16)
	norm := s.norm2d(3)
	m := NewSequential(s.conv2d(3, 3, 1), norm, &ReLU{}, s.conv2d(3, 3, 1), norm, &ReLU{}, norm)
	out, plan := mustFuse(t, m, s.dense(1, 3, 2, 2), Options{})
	if len(plan.Steps) != 2 || len(plan.Skips) != 1 {
		t.Errorf("got %d steps and %d skips", len(plan.Steps), len(plan.Skips))
	}
	if got, want := paths(out), []string{"0 Conv2d", "2 ReLU", "3 Conv2d", "5 ReLU", "6 BatchNorm2d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Models that cannot be walked are errors that say where.
func TestBrokenModels(t *testing.T) {
	loop := NewSequential(&ReLU{})
	loop.Children = append(loop.Children, Child{"self", &DataParallel{loop}})
	block := &residual{}
	block.Body = NewSequential(block)
	for _, c := range []struct {
		name  string
		model Module
		want  error
		text  string
	}{
		{"nil", nil, ErrNilModule, `nn: module "": module is nil`},
		{"nil pointer", (*Conv2d)(nil), ErrNilModule, `nn: module "": module is nil`},
		{"nil child", NewSequential(&ReLU{}, nil), ErrNilModule, `nn: module "1": module is nil`},
		{"nil pointer child", NewSequential(&residual{Body: NewSequential((*Linear)(nil))}), ErrNilModule, `nn: module "0.Body.0": module is nil`},
		{"empty wrapper", NewSequential(&DataParallel{}), ErrNilModule, `nn: module "0.Module": module is nil`},
		{"cycle", loop, ErrCycle, `nn: module "self.Module": module contains itself`},
		{"cycle through a custom module", block, ErrCycle, `nn: module "Body.0": module contains itself`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := FuseBN(c.model, Options{})
			if !errors.Is(err, c.want) || err.Error() != c.text {
				t.Errorf("got %v, want %s", err, c.text)
			}
		})
	}
}
