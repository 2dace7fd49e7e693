package nn

import (
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
)

// values of types that are modules without a pointer.
type (
	branches []Module
	numbered map[int]Module
	byValue  struct{ Body Module }
	call     func(x *tensor.Dense) (*tensor.Dense, error)
)

func (b branches) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return NewSequential(b...).Forward(x)
}

func (n numbered) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return NewSequential(n[2], n[10]).Forward(x)
}

func (b byValue) Forward(x *tensor.Dense) (*tensor.Dense, error) { return b.Body.Forward(x) }

func (c call) Forward(x *tensor.Dense) (*tensor.Dense, error) { return c(x) }

// A module need not be a pointer to a struct.
func TestModulesOfOtherKinds(t *testing.T) {
	s := newSource(70)
	pair := func() Module { return NewSequential(s.conv2d(3, 3, 1), s.norm2d(3)) }
	identity := call(func(x *tensor.Dense) (*tensor.Dense, error) { return x, nil })
	m := NewSequential(branches{pair(), identity}, numbered{10: pair(), 2: pair()}, byValue{pair()}, identity)
	for _, o := range []Options{{Copy: true}, {}} {
		out, plan := mustFuse(t, m, s.dense(1, 3, 2, 2), o)
		// What is inside a plain struct cannot be replaced, only folded.
		want := []string{"0.0 Conv2d", "0.1 call", "1.2 Conv2d", "1.10 Conv2d", "2.Body.0 Conv2d", "3 call"}
		if got := paths(out); !slices.Equal(got, want) || len(plan.Steps) != 4 {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A slice that holds itself is a cycle, too.
func TestSliceThatHoldsItself(t *testing.T) {
	b := make(branches, 1)
	b[0] = b
	if _, _, err := FuseBN(b, Options{}); err == nil || err.Error() != `nn: module "0": module contains itself` {
		t.Errorf("got %v", err)
	}
	loop := []any{nil}
	loop[0] = loop // not modules: there is nothing to find, and an end to it
	m := &holder{Body: &Identity{}}
	m.hidden.modules = loop
	if _, _, err := FuseBN(m, Options{}); err != nil {
		t.Error(err)
	}
}

// unexported is a module as people write them in Go.
type unexported struct {
	conv  Conv2d
	body  *Sequential
	other *struct{ body *Sequential }
}

func (u *unexported) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	return NewSequential(&u.conv, u.body).Forward(x)
}

// What an unexported field holds is not folded, and a layer it shares with the rest is not either.
func TestUnexportedFields(t *testing.T) {
	s := newSource(71)
	u := &unexported{conv: *s.conv2d(3, 3, 1), body: NewSequential(s.conv2d(3, 3, 1), s.norm2d(3))}
	u.other = &struct{ body *Sequential }{u.body} // behind a pointer: not looked at
	m := NewSequential(u, &u.conv, s.norm2d(3), u.body.Children[0].Module, s.norm2d(3))
	_, plan := mustFuse(t, m, s.dense(1, 3, 2, 2), Options{})
	if len(plan.Steps) != 0 || len(plan.Skips) != 2 {
		t.Fatalf("got %+v", plan)
	}
	for _, skip := range plan.Skips {
		if skip.Reason != fuse.ReasonLayerShared {
			t.Errorf("%s: %s", skip.Norm.Name, skip.Reason)
		}
	}
}
