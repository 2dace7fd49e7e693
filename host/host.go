// Package host is the CPU engine: it multiplies weights in plain memory.
//
// In: a slab of little-endian weights and a table of segments, each with the scales of its channels.
// Out: the same bytes, scaled in place, and how many weights overflowed or vanished. For a norm before
// a layer also the partial sums of Σ W·t.
//
// Promised are the bits. [ReferenceScale] and [ReferenceContract], one short loop each, define them for
// every engine. The fast forms beside them give the same bits and are tested against them: Go assembly
// where the processor has AVX2, F16C and FMA, plain Go elsewhere. They do the plain cases only; a
// result that is infinite or NaN, or too close to a rounding tie to be sure of, goes down to a slower
// and simpler form, at last to the reference's rule for one element.
//
// Not promised is the use of more than one core for a slab of ordinary size: callers keep several slabs
// in flight, as [Engine.Slabs] says. Only a slab of many megabytes is split over the cores.
package host

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/piece"
)

// Engine is the CPU engine. It is safe for concurrent use as long as no slab is used by two calls at
// once, and it holds nothing but scratch memory.
type Engine struct {
	crews crewPool
	idle  sync.Pool // memory of freed slabs: *[slabBytes]byte
}

var _ fuse.Engine = (*Engine)(nil)

// New makes an engine. It cannot fail, and closing it does nothing.
func New() *Engine { return &Engine{} }

// Name is "cpu".
func (e *Engine) Name() string { return "cpu" }

// slabBytes is a mebibyte of a file, and a page more, so that it need not begin where the slab does.
const slabBytes = 1<<20 + 4<<10

// Slabs asks for one slab a core, each small enough to stay in the core's cache between the read that
// fills it and the write that empties it. More than 32 would be memory for nothing: files are not read
// and written faster than that many cores copy.
func (e *Engine) Slabs() (n, nBytes int) { return min(runtime.GOMAXPROCS(0), 32), slabBytes }

// Align is 1: a piece may lie anywhere in its slab, as weights do in files.
func (e *Engine) Align() int { return 1 }

// Scale multiplies the segments of the slab in place, each as [ReferenceScale] does. When a segment
// breaks its contract nothing is touched, and the error says which and why.
func (e *Engine) Scale(s fuse.Slab, segments []fuse.Segment) error {
	b := s.Bytes()
	for i := range segments {
		if err := piece.CheckSegment(len(b), 1, &segments[i]); err != nil {
			return fmt.Errorf("host: segment %d: %w", i, err)
		}
	}
	c := e.crews.get()
	c.scale(b, segments)
	e.crews.put(c)
	return nil
}

// Contract adds the contractions' products to their lanes, each as [ReferenceContract] does, in the
// order given. When one breaks its contract nothing is touched, and the error says which and why.
func (e *Engine) Contract(s fuse.Slab, contractions []fuse.Contraction) error {
	b := s.Bytes()
	for i := range contractions {
		if err := piece.CheckContraction(len(b), 1, &contractions[i]); err != nil {
			return fmt.Errorf("host: contraction %d: %w", i, err)
		}
	}
	c := e.crews.get()
	for i := range contractions {
		c.workers[0].contract(b, &contractions[i])
	}
	e.crews.put(c)
	return nil
}

// Close does nothing: the engine holds plain memory.
func (e *Engine) Close() error { return nil }
