// Package stream moves weights through an engine's slabs: read, multiply, write. It is the part that
// all writers of files share; what to write where is theirs.
//
// A few workers, each with one slab, take the next stretch of the output, read what it is made of, let
// the engine scale it, and write it. So reading, multiplying and writing overlap, and memory is bounded
// by the slabs whatever the file's size. Offsets are explicit (pread, pwrite): the bytes do not depend
// on how many workers there are or who comes first.
package stream

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/regular"
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

// Progress makes of a function that wants the bytes done so far, of a total, one that takes the bytes just done,
// as Run has them; nil of nil.
func Progress(progress func(done, total int64), total int64) func(n int64) {
	if progress == nil {
		return nil
	}
	var done atomic.Int64
	return func(n int64) { progress(done.Add(n), total) }
}

// Run carries out the operations that next returns until it returns false. progress, which may be nil,
// is called from several goroutines with the number of bytes just done. The first error ends the run.
func Run(ctx context.Context, engine fuse.Engine, next func() (Op, bool), progress func(n int64)) error {
	t := &Task{Next: next, Progress: progress}
	given := false
	err := Serve(ctx, engine, func(context.Context, bool) *Task {
		if given {
			return nil
		}
		given = true
		return t
	})
	return cmp.Or(err, t.Err())
}

// Serve carries out the tasks that source gives, side by side: the operations of small ones share a slab.
// What cannot be read or written fails its own task alone. An error is the engine's or the context's, and
// then every task that was taken and is not done fails with it.
//
// source is called by one goroutine at a time. With idle set it waits for a task, and nil says that there
// will be none. Without, a slab is filled in part: then nil says that there can be none until one of those
// at hand is done. It waits no longer than its context lasts.
func Serve(ctx context.Context, engine fuse.Engine, source func(ctx context.Context, idle bool) *Task) error {
	slabs, slabBytes := engine.Slabs()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &cutter{
		slabBytes: slabBytes,
		stretch:   1 << (bits.Len(uint(slabBytes)) - 1),
		align:     engine.Align(),
		source:    func(idle bool) *Task { return source(ctx, idle) },
		open:      map[*Task]bool{},
	}
	var wg sync.WaitGroup
	for range slabs {
		wg.Go(func() {
			if err := work(ctx, engine, slabBytes, c); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	err := context.Cause(ctx)
	c.abandon(err)
	return err
}

func work(ctx context.Context, engine fuse.Engine, slabBytes int, c *cutter) (err error) {
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
		if err := b.run(engine, slab); err != nil {
			return err
		}
		for _, p := range b.parts {
			c.release(p.task)
		}
	}
	return nil
}

// part is what of one Op goes through one slab.
type part struct {
	task  *Task
	at    int // in the slab
	bytes []byte
	src   io.ReaderAt
	off   int64
	n     int
}

// extent is a run of slab bytes that is written in one go.
type extent struct {
	task   *Task
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

// run reads, multiplies and writes. An error is the engine's.
func (b *batch) run(engine fuse.Engine, slab fuse.Slab) error {
	mem := slab.Bytes()
	for _, p := range b.parts {
		if err := p.read(mem[p.at : p.at+p.n]); err != nil {
			p.task.fail(err)
		}
	}
	if len(b.segments) > 0 {
		if err := engine.Scale(slab, b.segments); err != nil {
			return err
		}
		for i, s := range b.segments {
			b.scales[i].Overflows.Add(int64(s.Overflows))
			b.scales[i].Vanished.Add(int64(s.Vanished))
		}
	}
	for _, e := range b.extents {
		if err := e.write(mem[e.at : e.at+e.n]); err != nil {
			e.task.fail(err)
		}
	}
	for _, p := range b.parts {
		if p.task.Progress != nil {
			p.task.Progress(int64(p.n))
		}
	}
	return nil
}

func (p *part) read(dst []byte) error {
	if p.src == nil {
		copy(dst, p.bytes)
		return nil
	}
	return regular.ReadAt(p.src, dst, p.off)
}

func (e *extent) write(data []byte) error {
	if e.task.Err() != nil || e.sparse && zero(data) {
		return nil
	}
	_, err := e.dst.WriteAt(data, e.off)
	return err
}

// zero reports whether all bytes are zero: the first is, and each is as the one before it.
func zero(b []byte) bool { return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1]) }
