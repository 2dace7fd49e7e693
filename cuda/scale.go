//go:build cuda && cgo

package cuda

import (
	"fmt"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/piece"
	"gorgonia.org/cu"
)

// Scale multiplies the segments of the slab in place, in one launch, and sets their counts. It must equal,
// for every element,
//
//	w' = round((after·w)·before)
//
// with host.ReferenceScale's rules for NaN, infinity and zero.
func (e *Engine) Scale(s fuse.Slab, segments []fuse.Segment) error {
	mine, err := e.own(s)
	if err != nil {
		return err
	}
	work := mine.room.segments[:0]
	for i := range segments {
		seg := &segments[i]
		if err := piece.CheckSegment(mine.nBytes, e.Align(), seg); err != nil {
			return fmt.Errorf("%s: segment %d: %w", e.Name(), i, err)
		}
		seg.Overflows, seg.Vanished = 0, 0
		if seg.Elems > 0 && (seg.After.Scale != nil || seg.Before.Scale != nil) {
			work = append(work, seg)
		}
	}
	mine.room.segments = work
	if len(work) == 0 {
		return nil
	}
	return mine.scale(work)
}

// own is the slab as this engine's.
func (e *Engine) own(s fuse.Slab) (*slab, error) {
	mine, ok := s.(*slab)
	if !ok || mine.engine != e {
		return nil, fmt.Errorf("%s: the slab is not this engine's, or freed", e.Name())
	}
	return mine, nil
}

// scaleTables are a call's tables in the slab's second buffer: [counts][segments][scales]. The counts are zero
// on the way in, and come back alone.
type scaleTables struct{ countsAt, segmentsAt, scalesAt, nBytes int }

func layOutScale(segments []*fuse.Segment) (t scaleTables) {
	var a arena
	t.countsAt = a.reserve(len(segments) * sizeOf[counts]())
	t.segmentsAt = a.reserve(len(segments) * sizeOf[segment]())
	t.scalesAt = a.nBytes
	for _, seg := range segments {
		a.reserve(8 * len(clip(seg.After, seg.Piece).scale))
		a.reserve(8 * len(clip(seg.Before, seg.Piece).scale))
	}
	t.nBytes = a.nBytes
	return t
}

func (s *slab) scale(segments []*fuse.Segment) error {
	t := layOutScale(segments)
	if err := s.run(func() error { return s.startScale(segments, t) }); err != nil {
		return err
	}
	for i, n := range view[counts](s.tables.host, t.countsAt, len(segments)) {
		segments[i].Overflows, segments[i].Vanished = int(n.overflows), int(n.vanished)
	}
	return nil
}

// startScale queues copies in, the launch and copies out.
func (s *slab) startScale(segments []*fuse.Segment, t scaleTables) error {
	if err := s.tables.grow(s.engine.device, t.nBytes); err != nil {
		return err
	}
	spans := s.room.spans[:0]
	for _, seg := range segments {
		spans = append(spans, spanOf(seg.Piece))
	}
	s.room.spans, spans = spans, join(spans)
	clear(s.tables.host[t.countsAt:t.segmentsAt])
	tiles := s.fillSegments(segments, view[segment](s.tables.host, t.segmentsAt, len(segments)), arena{t.scalesAt})
	if err := s.toDevice(&s.tables, span{0, t.nBytes}); err != nil {
		return err
	}
	if err := s.toDevice(&s.data, spans...); err != nil {
		return err
	}
	at := uint64(s.tables.device)
	err := s.engine.device.launch("scale", tiles, s.stream, &s.room.arguments,
		at+uint64(t.segmentsAt), uint64(len(segments)), uint64(tiles), at+uint64(t.countsAt))
	if err != nil {
		return err
	}
	if err := s.toHost(&s.data, spans...); err != nil {
		return err
	}
	return s.toHost(&s.tables, span{t.countsAt, t.segmentsAt})
}

// fillSegments writes the table, and the scales from the arena's offset on. It gives the number of tiles.
func (s *slab) fillSegments(segments []*fuse.Segment, table []segment, scales arena) (tiles int) {
	for i, seg := range segments {
		data := s.data.device + cu.DevicePtr(seg.Offset)
		table[i] = segment{data: data, elems: int64(seg.Elems), dtype: int64(seg.DType), firstTile: int64(tiles)}
		tiles += scaleTiles(data, seg.Elems, seg.DType)
		for _, x := range []struct {
			from fuse.Factor
			to   *factor
		}{{seg.After, &table[i].after}, {seg.Before, &table[i].before}} {
			c := clip(x.from, seg.Piece)
			if c.scale == nil {
				continue
			}
			at := scales.reserve(8 * len(c.scale))
			copy(view[float64](s.tables.host, at, len(c.scale)), c.scale)
			*x.to = newFactor(s.tables.device+cu.DevicePtr(at), c.view, c.first)
		}
	}
	return tiles
}

// clipped is a factor without the channels that a piece does not reach.
type clipped struct {
	scale []float64
	view  fuse.View
	first int // of the piece, in the view
}

// clip leaves out channels where they are the slow axis, as with a large weight that comes in many pieces.
func clip(f fuse.Factor, p fuse.Piece) clipped {
	v := f.View
	if f.Scale == nil || v.Groups != 1 || v.Outer != 1 {
		return clipped{f.Scale, v, p.First}
	}
	from, to := p.First/v.Inner, (p.First+p.Elems-1)/v.Inner+1
	v.Channels = to - from
	return clipped{f.Scale[from:to], v, p.First - from*v.Inner}
}
