package fuse

import (
	"errors"
	"strings"
	"sync"
)

// Join makes one engine of several, of equal kind, that share the slabs of a run: each slab is one
// engine's, and callers that take a slab when it is free keep all of them busy. An engine that reports
// [ErrDeviceLost] gets no further slabs, so that the work can be done again on the others; the joined
// engine reports it itself once none is left.
func Join(engines ...Engine) *Joined {
	return &Joined{engines: engines, live: make([]int, len(engines)), lost: make([]bool, len(engines))}
}

// Joined is several engines as one; see [Join].
type Joined struct {
	engines []Engine

	mu   sync.Mutex
	live []int // slabs given out, by engine
	lost []bool
}

// Name joins the engines' names: "cuda:0+cuda:1".
func (j *Joined) Name() string {
	var names []string
	for _, e := range j.engines {
		names = append(names, e.Name())
	}
	return strings.Join(names, "+")
}

// Slabs adds up the engines' numbers of slabs; their size is the largest. With no engine left it is one, which cannot
// be had.
func (j *Joined) Slabs() (n, nBytes int) {
	nBytes = SegmentAlign
	for i, e := range j.engines {
		count, size := e.Slabs()
		if nBytes = max(nBytes, size); !j.isLost(i) {
			n += count
		}
	}
	return max(n, 1), nBytes
}

// Align is the largest of the engines'.
func (j *Joined) Align() int {
	align := 1
	for _, e := range j.engines {
		align = max(align, e.Align())
	}
	return align
}

// Usable reports whether any engine is left.
func (j *Joined) Usable() bool {
	for i := range j.engines {
		if !j.isLost(i) {
			return true
		}
	}
	return false
}

// Lost names the engines whose device is lost.
func (j *Joined) Lost() []string {
	var names []string
	for i, e := range j.engines {
		if j.isLost(i) {
			names = append(names, e.Name())
		}
	}
	return names
}

// NewSlab takes a slab of the engine that has given out the fewest.
func (j *Joined) NewSlab(nBytes int) (Slab, error) {
	best := -1
	j.mu.Lock()
	for i := range j.engines {
		if !j.lost[i] && (best < 0 || j.live[i] < j.live[best]) {
			best = i
		}
	}
	if best >= 0 {
		j.live[best]++
	}
	j.mu.Unlock()
	if best < 0 {
		return nil, ErrDeviceLost
	}
	s, err := j.engines[best].NewSlab(nBytes)
	if err != nil {
		j.giveBack(best)
		return nil, j.note(best, err)
	}
	return &joinedSlab{Slab: s, of: j, engine: best}, nil
}

// Scale is that of the engine the slab belongs to.
func (j *Joined) Scale(slab Slab, segments []Segment) error {
	s, err := j.own(slab)
	if err != nil {
		return err
	}
	return j.note(s.engine, j.engines[s.engine].Scale(s.Slab, segments))
}

// Contract is that of the engine the slab belongs to.
func (j *Joined) Contract(slab Slab, contractions []Contraction) error {
	s, err := j.own(slab)
	if err != nil {
		return err
	}
	return j.note(s.engine, j.engines[s.engine].Contract(s.Slab, contractions))
}

func (j *Joined) own(slab Slab) (*joinedSlab, error) {
	if s, ok := slab.(*joinedSlab); ok && s.of == j {
		return s, nil
	}
	return nil, errors.New("fuse: the slab is another engine's")
}

// Close closes all engines.
func (j *Joined) Close() error {
	var errs []error
	for _, e := range j.engines {
		errs = append(errs, e.Close())
	}
	return errors.Join(errs...)
}

func (j *Joined) isLost(i int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lost[i]
}

// note remembers an engine whose device is lost.
func (j *Joined) note(i int, err error) error {
	if errors.Is(err, ErrDeviceLost) {
		j.mu.Lock()
		j.lost[i] = true
		j.mu.Unlock()
	}
	return err
}

func (j *Joined) giveBack(i int) {
	j.mu.Lock()
	j.live[i]--
	j.mu.Unlock()
}

// joinedSlab is a slab that knows its engine.
type joinedSlab struct {
	Slab
	of     *Joined
	engine int
}

func (s *joinedSlab) Free() error {
	s.of.giveBack(s.engine)
	return s.Slab.Free()
}
