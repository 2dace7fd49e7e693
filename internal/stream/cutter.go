package stream

import (
	"sync"

	"github.com/bnfuse/bnfuse/fuse"
)

// maxParts bounds the parts of a batch, where a model has many tiny tensors.
const maxParts = 4096

// Where the bytes of an output stand in a slab decides how fast they are copied into the file. It takes half as
// long again where the two begin at different places of a line of the cache, and a little longer where a write
// does not begin and end with a page, or a large one at a multiple of its size. So a large output is written in
// stretches of a power of two, and only an element that lies across their border moves it, by less than its size:
//
//	output    |     stretch 0      |     stretch 1      |     stretch 2      |
//	writes     [                 )[                   )[                      )
const (
	lineBytes = 64
	pageBytes = 4096
)

// cutter cuts operations into slabs.
type cutter struct {
	slabBytes int
	stretch   int // what of an output goes into a slab: the largest power of two in slabBytes
	align     int // of what is scaled
	source    func(idle bool) *Task

	mu    sync.Mutex // of what fill does
	task  *Task      // the one whose operations are being cut; nil for none
	op    Op         // the rest of its operation at hand
	first int        // elements of its tensor already cut off

	openMu sync.Mutex
	open   map[*Task]bool // taken from source and not done
}

// fill makes the next batch; false when there is none.
func (c *cutter) fill(b *batch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.parts, b.extents, b.segments, b.scales = b.parts[:0], b.extents[:0], b.segments[:0], b.scales[:0]
	at := 0
	for len(b.parts) < maxParts && at < c.stretch {
		if c.op.N == 0 || c.task.Err() != nil {
			if !c.nextOp(len(b.parts) == 0) {
				break
			}
			continue
		}
		start := c.place(at)
		n := c.fitting(c.slabBytes - start)
		if n <= 0 || len(b.parts) > 0 && int64(n) < c.op.N && n < c.worthWhile() {
			break // the operation is better cut at a fresh slab
		}
		c.cut(b, start, n)
		at = start + n
	}
	return len(b.parts) > 0
}

// worthWhile is how many bytes a piece of an operation should have at least.
func (c *cutter) worthWhile() int { return c.stretch / 8 }

// place is the first place from at on that suits the operation at hand: it stands in a line of the cache as its
// output does in the file, unless the engine wants it otherwise.
func (c *cutter) place(at int) int {
	line := min(lineBytes, c.worthWhile())
	start := at + int(c.op.DstOff-int64(at))&(line-1)
	if c.op.Scale != nil && start%c.align != 0 {
		return (at + c.align - 1) &^ (c.align - 1)
	}
	return start
}

// fitting is how many bytes of the operation at hand to put where there is room for so many: all of it, or as many
// as end a stretch of the output, or a page; and of weights, whole elements.
func (c *cutter) fitting(room int) int {
	if int64(room) >= c.op.N {
		return int(c.op.N)
	}
	n := room
	for _, unit := range [...]int{c.stretch, pageBytes} {
		if whole := room - int((c.op.DstOff+int64(room))%int64(unit)); whole >= c.worthWhile() {
			n = whole
			break
		}
	}
	if c.op.Scale != nil {
		n -= n % c.op.Scale.DType.Size()
	}
	return n
}

// nextOp puts the next operation, of this task or the next, at hand.
func (c *cutter) nextOp(idle bool) bool {
	for {
		if c.task == nil {
			if c.task = c.source(idle); c.task == nil {
				return false
			}
			c.take(c.task)
		}
		if c.task.Err() == nil {
			if op, ok := c.task.Next(); ok {
				if op.Bytes != nil {
					op.N = int64(len(op.Bytes))
				}
				c.op, c.first = op, 0
				return true
			}
		}
		c.release(c.task)
		c.task, c.op = nil, Op{}
	}
}

// cut moves the first n bytes of the operation at hand into the batch.
func (c *cutter) cut(b *batch, at, n int) {
	op := &c.op
	p := part{task: c.task, at: at, n: n}
	if op.Bytes != nil {
		p.bytes, op.Bytes = op.Bytes[:n], op.Bytes[n:]
	} else {
		p.src, p.off = op.Src, op.SrcOff
		op.SrcOff += int64(n)
	}
	c.task.uses.Add(1)
	b.parts = append(b.parts, p)
	if s := op.Scale; s != nil {
		elems := n / s.DType.Size()
		b.segments = append(b.segments, fuse.Segment{
			Piece:  fuse.Piece{Offset: at, Elems: elems, First: c.first, DType: s.DType},
			After:  s.After,
			Before: s.Before,
		})
		b.scales = append(b.scales, s)
		c.first += elems
	}
	if op.Dst != nil {
		e := extent{task: c.task, dst: op.Dst, off: op.DstOff, at: at, n: n, sparse: op.Sparse}
		if i := len(b.extents) - 1; i >= 0 && b.extents[i].follows(e) {
			b.extents[i].n += n
		} else {
			b.extents = append(b.extents, e)
		}
	}
	op.DstOff += int64(n)
	op.N -= int64(n)
}

func (a extent) follows(e extent) bool {
	return a.dst == e.dst && a.sparse == e.sparse && a.off+int64(a.n) == e.off && a.at+a.n == e.at
}
