package fuse

import (
	"errors"
	"testing"
)

// counter is an engine that counts what it is asked.
type counter struct {
	name  string
	slabs int
	calls int
	err   error
}

type countedSlab struct{ of *counter }

func (s countedSlab) Bytes() []byte { return nil }
func (s countedSlab) Free() error   { s.of.slabs--; return nil }

func (c *counter) Name() string                       { return c.name }
func (c *counter) Slabs() (int, int)                  { return 2, 64 }
func (c *counter) Align() int                         { return 16 }
func (c *counter) NewSlab(int) (Slab, error)          { c.slabs++; return countedSlab{c}, nil }
func (c *counter) Scale(Slab, []Segment) error        { c.calls++; return c.err }
func (c *counter) Contract(Slab, []Contraction) error { c.calls++; return c.err }
func (c *counter) Close() error                       { return nil }

// Slabs go to both engines in turn and back to the one they came from; a lost device gets no more.
func TestJoin(t *testing.T) {
	a, b := &counter{name: "a"}, &counter{name: "b"}
	j := Join(a, b)
	if n, nBytes := j.Slabs(); j.Name() != "a+b" || n != 4 || nBytes != 64 {
		t.Errorf("%s with %d slabs of %d bytes", j.Name(), n, nBytes)
	}
	var slabs []Slab
	for range 4 {
		s, err := j.NewSlab(64)
		if err != nil {
			t.Fatal(err)
		}
		slabs = append(slabs, s)
		if err := errors.Join(j.Scale(s, nil), j.Contract(s, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if a.slabs != 2 || b.slabs != 2 || a.calls != 4 || b.calls != 4 {
		t.Errorf("a has %d slabs and %d calls, b %d and %d", a.slabs, a.calls, b.slabs, b.calls)
	}
	a.err = ErrDeviceLost
	if err := j.Scale(slabs[0], nil); !errors.Is(err, ErrDeviceLost) || !j.Usable() {
		t.Errorf("a lost device: %v, usable %v", err, j.Usable())
	}
	if got := j.Lost(); len(got) != 1 || got[0] != "a" {
		t.Errorf("lost: %q", got)
	}
	for range 3 {
		if _, err := j.NewSlab(64); err != nil {
			t.Fatal(err)
		}
	}
	if a.slabs != 2 || b.slabs != 5 {
		t.Errorf("after a is lost: a has %d slabs, b %d", a.slabs, b.slabs)
	}
	b.err = ErrDeviceLost
	_ = j.Scale(slabs[1], nil)
	if _, err := j.NewSlab(64); !errors.Is(err, ErrDeviceLost) || j.Usable() {
		t.Errorf("all devices lost: %v, usable %v", err, j.Usable())
	}
	if n, nBytes := j.Slabs(); n < 1 || nBytes < 64 {
		t.Errorf("all devices lost: %d slabs of %d bytes", n, nBytes)
	}
	if n, nBytes := Join().Slabs(); n < 1 || nBytes < 1 {
		t.Errorf("no device: %d slabs of %d bytes", n, nBytes)
	}
	if foreign := (countedSlab{a}); j.Scale(foreign, nil) == nil || j.Contract(foreign, nil) == nil {
		t.Error("another engine's slab is taken")
	}
	for _, s := range slabs {
		if err := s.Free(); err != nil {
			t.Fatal(err)
		}
	}
	if a.slabs != 0 || b.slabs != 3 {
		t.Errorf("freed: a has %d slabs, b %d", a.slabs, b.slabs)
	}
}
