package host

import (
	"runtime"
	"sync"

	"github.com/bnfuse/bnfuse/fuse"
)

const (
	jobBytes   = 256 << 10 // what a worker takes at a time: enough to hide the taking, little enough to share out evenly
	splitAbove = 4 << 20   // slabs up to this size stay on the caller's goroutine: file writers have one for each core already
)

// crew does one call of Scale: the caller's goroutine and, for a large slab, one more for every other core; or of
// Contract, by the caller's alone. The workers take stretches of the segments in order until none is left. Which
// worker takes which does not matter: every element is scaled by itself, and the counts are sums.
type crew struct {
	workers []*worker
	others  sync.WaitGroup

	slab     []byte
	mu       sync.Mutex // guards what follows, and the segments' counts
	segments []fuse.Segment
	next     cursor
}

// cursor is a place between two elements of a call's segments.
type cursor struct{ segment, elem int }

// worker has the scratch memory of one goroutine.
type worker struct {
	table
	crew *crew
	run  func() // work and done; made once, since starting a goroutine with a closure allocates
}

func (c *crew) grow(n int) {
	for len(c.workers) < n {
		w := &worker{crew: c}
		w.run = func() {
			w.work()
			c.others.Done()
		}
		c.workers = append(c.workers, w)
	}
}

func (c *crew) scale(slab []byte, segments []fuse.Segment) {
	total := 0
	for i := range segments {
		seg := &segments[i]
		seg.Overflows, seg.Vanished = 0, 0
		total += seg.Elems * seg.DType.Size()
	}
	c.slab, c.segments, c.next = slab, segments, cursor{}
	n := 1
	if total > splitAbove {
		n = min(runtime.GOMAXPROCS(0), total/jobBytes)
	}
	c.grow(n)
	c.others.Add(n - 1)
	for _, w := range c.workers[1:n] {
		go w.run()
	}
	c.workers[0].work()
	c.others.Wait()
	c.slab, c.segments = nil, nil
}

func (w *worker) work() {
	c := w.crew
	for {
		at, end := c.take()
		if at == end {
			return
		}
		for ; at != end; at = (cursor{at.segment + 1, 0}) {
			seg := &c.segments[at.segment]
			if at.segment == end.segment {
				c.add(seg, w.scale(c.slab, seg, at.elem, end.elem))
				break
			}
			c.add(seg, w.scale(c.slab, seg, at.elem, seg.Elems))
		}
	}
}

// take gives out the next stretch of about jobBytes. A long segment is cut at a multiple of 64 elements
// from its start, so that its pieces stay aligned.
func (c *crew) take() (from, to cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from = c.next
	at := &c.next
	for budget := jobBytes; at.segment < len(c.segments); {
		seg := &c.segments[at.segment]
		size := seg.DType.Size()
		rest := seg.Elems - at.elem
		if rest*size > budget {
			at.elem += budget / size &^ 63
			break
		}
		budget -= rest * size
		*at = cursor{at.segment + 1, 0}
	}
	return from, c.next
}

func (c *crew) add(seg *fuse.Segment, n counts) {
	if n == (counts{}) {
		return
	}
	c.mu.Lock()
	seg.Overflows += n.overflows
	seg.Vanished += n.vanished
	c.mu.Unlock()
}

// crewPool keeps crews for the next call, so that a call allocates nothing once there are as many crews
// as calls at a time.
type crewPool struct {
	mu   sync.Mutex
	idle []*crew
}

func (p *crewPool) get() *crew {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return c
	}
	c := &crew{}
	c.grow(1)
	return c
}

func (p *crewPool) put(c *crew) {
	p.mu.Lock()
	p.idle = append(p.idle, c)
	p.mu.Unlock()
}
