// Package stream moves weights through an engine's slabs: read, multiply, write. It is the part that
// all writers of files share; what to write where is theirs.
//
// A few workers, each with one slab, take the next stretch of the output, read what it is made of, let
// the engine scale it, and write it. So reading, multiplying and writing overlap, and memory is bounded
// by the slabs whatever the file's size. Offsets are explicit (pread, pwrite): the bytes do not depend
// on how many workers there are or who comes first.
package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/bnfuse/bnfuse/fuse"
)

// Op is a stretch of an output: literal bytes, a copied range, or a copied range to be scaled.
type Op struct {
	Dst    io.WriterAt // nil: nothing is written, the weights are only scaled and counted
	DstOff int64
	Bytes  []byte // what to write; if nil, N bytes of Src from SrcOff on
	Src    io.ReaderAt
	SrcOff int64
	N      int64
	Scale  *Scale // the N bytes are elements to be scaled
	Sparse bool   // stretches of zeros need not be written: the output is made of holes
}

// Scale says how a tensor is scaled and counts what happened to it.
type Scale struct {
	DType         fuse.DType
	After, Before fuse.Factor

	Overflows, Vanished atomic.Int64 // see fuse.Segment
}

// Grows reports whether any scale is larger than 1, without which nothing can overflow.
func (s *Scale) Grows() bool {
	after, before := largest(s.After.Scale), largest(s.Before.Scale)
	return after > 1 || before > 1
}

func largest(scale []float64) float64 {
	m := 0.0
	for _, x := range scale {
		m = max(m, math.Abs(x))
	}
	return m
}

// Run carries out the operations that next returns until it returns false. progress, which may be nil,
// is called from several goroutines with the number of bytes done. The first error ends the run.
func Run(ctx context.Context, engine fuse.Engine, next func() (Op, bool), progress func(n int64)) error {
	slabs, slabBytes := engine.Slabs()
	c := &cutter{next: next, slabBytes: slabBytes}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range slabs {
		wg.Go(func() {
			if err := work(ctx, engine, slabBytes, c, progress); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func work(ctx context.Context, engine fuse.Engine, slabBytes int, c *cutter, progress func(int64)) (err error) {
	var slab fuse.Slab // allocated when there is work: small files need few
	defer func() {
		if slab != nil {
			err = errors.Join(err, slab.Free())
		}
	}()
	var b batch
	for ctx.Err() == nil && c.fill(&b) {
		if slab == nil {
			if slab, err = engine.NewSlab(slabBytes); err != nil {
				return err
			}
		}
		n, err := b.run(engine, slab)
		if err != nil {
			return err
		}
		if progress != nil {
			progress(n)
		}
	}
	return nil
}

// part is what of one Op goes through one slab.
type part struct {
	at    int // in the slab
	bytes []byte
	src   io.ReaderAt
	off   int64
	n     int
}

// extent is a run of slab bytes that is written in one go.
type extent struct {
	dst    io.WriterAt
	off    int64
	at, n  int
	sparse bool
}

// batch is the work of one slab.
type batch struct {
	parts    []part
	extents  []extent
	segments []fuse.Segment
	scales   []*Scale // by segment
}

func (b *batch) run(engine fuse.Engine, slab fuse.Slab) (n int64, err error) {
	mem := slab.Bytes()
	for _, p := range b.parts {
		dst := mem[p.at : p.at+p.n]
		if p.src == nil {
			copy(dst, p.bytes)
		} else if got, err := p.src.ReadAt(dst, p.off); got < p.n {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, fmt.Errorf("reading %d bytes at offset %d: %w", p.n, p.off, err)
		}
		n += int64(p.n)
	}
	if len(b.segments) > 0 {
		if err := engine.Scale(slab, b.segments); err != nil {
			return 0, err
		}
		for i, s := range b.segments {
			b.scales[i].Overflows.Add(int64(s.Overflows))
			b.scales[i].Vanished.Add(int64(s.Vanished))
		}
	}
	for _, e := range b.extents {
		data := mem[e.at : e.at+e.n]
		if e.sparse && zero(data) {
			continue
		}
		if _, err := e.dst.WriteAt(data, e.off); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func zero(b []byte) bool {
	for len(b) >= 8 {
		if b[0]|b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7] != 0 {
			return false
		}
		b = b[8:]
	}
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// maxParts bounds the parts of a batch, where a model has many tiny tensors.
const maxParts = 4096

// cutter cuts operations into slabs.
type cutter struct {
	mu        sync.Mutex
	next      func() (Op, bool)
	slabBytes int
	op        Op  // the rest of the operation at hand
	first     int // elements of its tensor already cut off
}

// fill makes the next batch; false when there is none.
func (c *cutter) fill(b *batch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.parts, b.extents, b.segments, b.scales = b.parts[:0], b.extents[:0], b.segments[:0], b.scales[:0]
	at := 0
	for len(b.parts) < maxParts {
		if c.op.N == 0 {
			op, ok := c.next()
			if !ok {
				break
			}
			if op.Bytes != nil {
				op.N = int64(len(op.Bytes))
			}
			c.op, c.first = op, 0
			continue
		}
		start, room := at, c.slabBytes-at
		if c.op.Scale != nil {
			start = (at + fuse.SegmentAlign - 1) &^ (fuse.SegmentAlign - 1)
			room = c.slabBytes - start
			room -= room % c.op.Scale.DType.Size()
		}
		n := int(min(c.op.N, int64(room)))
		if n <= 0 || len(b.parts) > 0 && c.op.N > int64(room) && room < c.slabBytes/2 {
			break // the rest of a large tensor is better cut at a fresh slab
		}
		c.cut(b, start, n)
		at = start + n
	}
	return len(b.parts) > 0
}

// cut moves the first n bytes of the operation at hand into the batch.
func (c *cutter) cut(b *batch, at, n int) {
	op := &c.op
	p := part{at: at, n: n}
	if op.Bytes != nil {
		p.bytes, op.Bytes = op.Bytes[:n], op.Bytes[n:]
	} else {
		p.src, p.off = op.Src, op.SrcOff
		op.SrcOff += int64(n)
	}
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
		e := extent{dst: op.Dst, off: op.DstOff, at: at, n: n, sparse: op.Sparse}
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

// Contract adds up Σ W·t of one weight: n bytes of src from off on, in ascending order, through one
// slab. model gives the contraction's view, shift, lanes and type; its piece is filled in here.
func Contract(ctx context.Context, engine fuse.Engine, src io.ReaderAt, off, n int64, model fuse.Contraction) (err error) {
	_, slabBytes := engine.Slabs()
	slab, err := engine.NewSlab(slabBytes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, slab.Free()) }()
	size := model.DType.Size()
	step := int64(slabBytes - slabBytes%size)
	for done := int64(0); done < n; {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		k := int(min(step, n-done))
		if got, err := src.ReadAt(slab.Bytes()[:k], off+done); got < k {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("reading %d bytes at offset %d: %w", k, off+done, err)
		}
		c := model
		c.Piece = fuse.Piece{Elems: k / size, First: int(done) / size, DType: model.DType}
		if err := engine.Contract(slab, []fuse.Contraction{c}); err != nil {
			return err
		}
		done += int64(k)
	}
	return nil
}
