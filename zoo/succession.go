package zoo

import (
	"errors"
	"sync"

	"github.com/bnfuse/bnfuse/fuse"
)

// succession is the engine at work, and what follows it when its device is lost: what is left of several
// devices, then the engine of last resort.
type succession struct {
	fallback func() fuse.Engine // nil: there is none
	warn     func(text string)

	mu     sync.Mutex
	engine fuse.Engine
	gate   *gate
	era    int // counts the losses
}

func newSuccession(e fuse.Engine, fallback func() fuse.Engine, warn func(string)) *succession {
	return &succession{engine: e, gate: newGate(e), fallback: fallback, warn: warn}
}

// current gives the engine for the stream.
func (s *succession) current() (fuse.Engine, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine, s.era
}

// limited gives the engine for those who look at weights while they decide.
func (s *succession) limited() (fuse.Engine, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gate, s.era
}

// lost hears that the engine of an era failed, and tells whether there is another to do the work again.
func (s *succession) lost(era int, err error) (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if era < s.era {
		return true // another model brought the news
	}
	if !errors.Is(err, fuse.ErrDeviceLost) {
		return false
	}
	if j, ok := s.engine.(*fuse.Joined); ok && j.Usable() {
		s.era++
		s.warn("going on without a device of " + j.Name() + ": " + err.Error())
		return true
	}
	if s.fallback == nil {
		return false
	}
	s.warn("going on without " + s.engine.Name() + ": " + err.Error())
	s.engine, s.fallback = s.fallback(), nil
	s.gate = newGate(s.engine)
	s.era++
	return true
}

// gate is an engine that gives out few slabs at a time: however many models are being decided at once,
// the memory they need for looking at weights is bounded.
type gate struct {
	fuse.Engine
	places chan struct{}
}

// gateBytes is about how much memory a gate gives out, or one slab.
const gateBytes = 8 << 20

func newGate(e fuse.Engine) *gate {
	n, nBytes := e.Slabs()
	return &gate{e, make(chan struct{}, max(1, min(n, gateBytes/nBytes)))}
}

// Slabs says how many slabs there can be at once.
func (g *gate) Slabs() (n, nBytes int) {
	_, nBytes = g.Engine.Slabs()
	return cap(g.places), nBytes
}

// NewSlab waits for a place.
func (g *gate) NewSlab(nBytes int) (fuse.Slab, error) {
	g.places <- struct{}{}
	s, err := g.Engine.NewSlab(nBytes)
	if err != nil {
		<-g.places
		return nil, err
	}
	return &gatedSlab{s, g}, nil
}

// Scale is the engine's.
func (g *gate) Scale(s fuse.Slab, segments []fuse.Segment) error {
	return g.Engine.Scale(s.(*gatedSlab).Slab, segments)
}

// Contract is the engine's.
func (g *gate) Contract(s fuse.Slab, contractions []fuse.Contraction) error {
	return g.Engine.Contract(s.(*gatedSlab).Slab, contractions)
}

// gatedSlab gives its place back when it is freed.
type gatedSlab struct {
	fuse.Slab
	of *gate
}

func (s *gatedSlab) Free() error {
	defer func() { <-s.of.places }()
	return s.Slab.Free()
}
