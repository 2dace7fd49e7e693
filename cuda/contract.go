//go:build cuda && cgo

package cuda

import (
	"fmt"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/piece"
	"github.com/bnfuse/bnfuse/kernels"
	"gorgonia.org/cu"
)

// Contract adds the products W·t of the pieces to the lanes of their outputs. It must equal, for every
// element in ascending order,
//
//	lanes[output][term mod 32] += round(w·t)
func (e *Engine) Contract(s fuse.Slab, contractions []fuse.Contraction) error {
	mine, err := e.own(s)
	if err != nil {
		return err
	}
	work := mine.room.contractions[:0]
	for i := range contractions {
		c := &contractions[i]
		if err := piece.CheckContraction(mine.nBytes, e.Align(), c); err != nil {
			return fmt.Errorf("%s: contraction %d: %w", e.Name(), i, err)
		}
		if c.Elems > 0 {
			work = append(work, c)
		}
	}
	mine.room.contractions = work
	for len(work) > 0 {
		n := mine.room.independent(work)
		if err := mine.contract(work[:n]); err != nil {
			return err
		}
		work = work[n:]
	}
	return nil
}

// independent is how many contractions, from the first on, have lanes of their own. Two pieces of one tensor
// may share an output, whose lanes then take the pieces in turn: they cannot go in one launch.
func (r *room) independent(work []*fuse.Contraction) int {
	if r.lanes == nil {
		r.lanes = map[*float64]bool{}
	}
	clear(r.lanes)
	for i, c := range work {
		if r.lanes[&c.Lanes[0]] {
			return i
		}
		r.lanes[&c.Lanes[0]] = true
	}
	return len(work)
}

// outputsOf are the outputs [from, to) that a piece adds to.
func outputsOf(c *fuse.Contraction) (from, to int) {
	if c.PerInner {
		return 0, c.View.Inner
	}
	length := c.View.Channels * c.View.Inner
	return c.First / length, (c.First+c.Elems-1)/length + 1
}

// lanesOf are the lanes that a piece adds to.
func lanesOf(c *fuse.Contraction) []float64 {
	from, to := outputsOf(c)
	return c.Lanes[from*fuse.NumLanes : to*fuse.NumLanes]
}

// contractTables are a call's tables in the slab's second buffer: [contractions][shifts][lanes]. The lanes come
// back alone.
type contractTables struct{ contractionsAt, shiftsAt, lanesAt, nBytes int }

func layOutContract(work []*fuse.Contraction) (t contractTables) {
	var a arena
	t.contractionsAt = a.reserve(len(work) * sizeOf[contraction]())
	t.shiftsAt = a.nBytes
	for _, c := range work {
		a.reserve(8 * len(c.Shift))
	}
	t.lanesAt = a.nBytes
	for _, c := range work {
		a.reserve(8 * len(lanesOf(c)))
	}
	t.nBytes = a.nBytes
	return t
}

func (s *slab) contract(work []*fuse.Contraction) error {
	t := layOutContract(work)
	if err := s.run(func() error { return s.startContract(work, t) }); err != nil {
		return err
	}
	lanes := arena{t.lanesAt}
	for _, c := range work {
		to := lanesOf(c)
		copy(to, view[float64](s.tables.host, lanes.reserve(8*len(to)), len(to)))
	}
	return nil
}

// startContract queues copies in, the launch and the copy of the lanes out.
func (s *slab) startContract(work []*fuse.Contraction, t contractTables) error {
	if err := s.tables.grow(s.engine.device, t.nBytes); err != nil {
		return err
	}
	spans := s.room.spans[:0]
	for _, c := range work {
		spans = append(spans, spanOf(c.Piece))
	}
	s.room.spans = spans
	table := view[contraction](s.tables.host, t.contractionsAt, len(work))
	tiles := s.fillContractions(work, table, arena{t.shiftsAt}, arena{t.lanesAt})
	if err := s.toDevice(&s.tables, span{0, t.nBytes}); err != nil {
		return err
	}
	if err := s.toDevice(&s.data, join(spans)...); err != nil {
		return err
	}
	err := s.engine.device.launch("contract", tiles, s.stream, &s.room.arguments,
		uint64(s.tables.device)+uint64(t.contractionsAt), uint64(len(work)), uint64(tiles))
	if err != nil {
		return err
	}
	return s.toHost(&s.tables, span{t.lanesAt, t.nBytes})
}

// fillContractions writes the table, and the shifts and lanes from their arenas' offsets on. It gives the
// number of tiles.
func (s *slab) fillContractions(work []*fuse.Contraction, table []contraction, shifts, lanes arena) (tiles int) {
	put := func(a *arena, values []float64) cu.DevicePtr {
		at := a.reserve(8 * len(values))
		copy(view[float64](s.tables.host, at, len(values)), values)
		return s.tables.device + cu.DevicePtr(at)
	}
	for i, c := range work {
		from, to := outputsOf(c)
		table[i] = contraction{
			data:  s.data.device + cu.DevicePtr(c.Offset),
			elems: int64(c.Elems), first: int64(c.First), dtype: int64(c.DType), firstTile: int64(tiles),
			terms: terms{
				shift: put(&shifts, c.Shift),
				outer: int64(c.View.Outer), channels: int64(c.View.Channels), inner: int64(c.View.Inner),
			},
			firstOutput: int64(from), outputs: int64(to - from),
			lanes: put(&lanes, lanesOf(c)),
		}
		perTile := kernels.Threads / kernels.Lanes // a warp takes an output
		if c.PerInner {
			table[i].perInner, perTile = 1, kernels.Lanes // a thread of a warp takes one
		}
		tiles += (to - from + perTile - 1) / perTile
	}
	return tiles
}
