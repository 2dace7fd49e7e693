package nn

import (
	"cmp"
	"errors"
	"fmt"
	"sync"

	"github.com/bnfuse/bnfuse/fuse"
)

// batch is what goes through a slab at once: segment i is a piece of folds[i]'s weight.
type batch struct {
	folds    []*fold
	segments []fuse.Segment
}

// scale multiplies the weights of the folds on the engine, and counts those that became infinite. The results lie
// beside the old weights, which nothing writes to, until the fold is written. Small weights share a slab, a large one
// goes through several, and as many slabs as the engine asks for are in flight.
func scale(engine fuse.Engine, folds []*fold) error {
	count, nBytes := engine.Slabs()
	batches, nBytes := pack(folds, nBytes)
	for _, f := range folds {
		f.weight.begin()
	}
	count = min(max(count, 1), len(batches))
	errs := make([]error, count)
	var running sync.WaitGroup
	for k := range count {
		running.Go(func() { errs[k] = scaleEvery(engine, nBytes, batches, k, count) })
	}
	running.Wait()
	if err := cmp.Or(errs...); err != nil {
		return fmt.Errorf("engine %s: %w", engine.Name(), err)
	}
	for _, b := range batches {
		for i, s := range b.segments {
			b.folds[i].overflows += s.Overflows
			b.folds[i].vanished += s.Vanished
		}
	}
	for _, f := range folds {
		if f.careful && f.overflows > 0 {
			return fmt.Errorf("engine %s: %d weights became infinite that should not", engine.Name(), f.overflows)
		}
	}
	return nil
}

// pack divides the weights into batches that fit in a slab of nBytes, and gives the size that the fullest
// of them needs.
func pack(folds []*fold, nBytes int) (batches []*batch, most int) {
	nBytes = max(nBytes, fuse.SegmentAlign)
	used := nBytes
	for _, f := range folds {
		dt, after := f.weight.dtype(), fuse.Factor{View: f.view, Scale: f.norms.After.Scale}
		for first := 0; first < f.weight.len(); {
			if nBytes-used < dt.Size() {
				batches, used = append(batches, &batch{}), 0
			}
			n := min((nBytes-used)/dt.Size(), f.weight.len()-first)
			b := batches[len(batches)-1]
			b.folds = append(b.folds, f)
			b.segments = append(b.segments, fuse.Segment{
				Piece: fuse.Piece{Offset: used, Elems: n, First: first, DType: dt},
				After: after,
			})
			first += n
			most = max(most, used+n*dt.Size())
			used += (n*dt.Size() + fuse.SegmentAlign - 1) / fuse.SegmentAlign * fuse.SegmentAlign
		}
	}
	return batches, most
}

// scaleEvery takes every count-th batch, from the k-th on, through a slab of its own.
func scaleEvery(engine fuse.Engine, nBytes int, batches []*batch, k, count int) (err error) {
	slab, err := engine.NewSlab(nBytes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, slab.Free()) }()
	for ; k < len(batches); k += count {
		b := batches[k]
		for i, s := range b.segments {
			if err := b.folds[i].weight.load(slab.Bytes()[s.Offset:], s.First, s.Elems); err != nil {
				return err
			}
		}
		if err := engine.Scale(slab, b.segments); err != nil {
			return err
		}
		for i, s := range b.segments {
			if err := b.folds[i].weight.store(slab.Bytes()[s.Offset:], s.First, s.Elems); err != nil {
				return err
			}
		}
	}
	return nil
}
