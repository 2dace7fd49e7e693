package stream

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/regular"
)

// Weight is where the elements of a weight lie: NBytes of Src from Off on.
type Weight struct {
	Src         io.ReaderAt
	Off, NBytes int64
}

// Contract gives Σ W·t for each of a number of outputs: it goes through the weight in ascending order, through
// one slab. c gives the contraction's view, shift and type; its piece and lanes are filled in here.
func (w Weight) Contract(ctx context.Context, engine fuse.Engine, c fuse.Contraction, outputs int) (sums []float64, err error) {
	_, slabBytes := engine.Slabs()
	slab, err := engine.NewSlab(slabBytes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, slab.Free()) }()
	c.Lanes = make([]float64, outputs*fuse.NumLanes)
	size := c.DType.Size()
	step := int64(slabBytes - slabBytes%size)
	for done := int64(0); done < w.NBytes; {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		k := int(min(step, w.NBytes-done))
		if err := regular.ReadAt(w.Src, slab.Bytes()[:k], w.Off+done); err != nil {
			return nil, err
		}
		c.Piece = fuse.Piece{Elems: k / size, First: int(done) / size, DType: c.DType}
		if err := engine.Contract(slab, []fuse.Contraction{c}); err != nil {
			return nil, err
		}
		done += int64(k)
	}
	return fuse.SumLanes(c.Lanes), nil
}

// Overflows counts the finite weights that s would make infinite, by trying it: nothing is written.
func (w Weight) Overflows(ctx context.Context, engine fuse.Engine, s *Scale) (int64, error) {
	given := false
	err := Run(ctx, engine, func() (op Op, ok bool) {
		op, ok = Op{Src: w.Src, SrcOff: w.Off, N: w.NBytes, Scale: s}, !given
		given = true
		return op, ok
	}, nil)
	return s.Overflows.Load(), err
}

// Vanished is a warning about a layer of which whole channels became zero by s, though the norm's scale is not
// zero; none where there is no such channel.
func (w Weight) Vanished(s *Scale, layer string) (warnings []string, err error) {
	if s.Vanished.Load() == 0 {
		return nil, nil
	}
	zeros, err := w.zeroChannels(s)
	if err != nil || zeros == 0 {
		return nil, err
	}
	return []string{fmt.Sprintf("%s: %d channels became zero: their weights times the norm's scale are too small for %v", layer, zeros, s.DType)}, nil
}

// zeroChannels counts the channels of the norm after the layer (of the one before it, where there is none
// after) that held a weight other than zero and hold none once they are scaled, though the norm's scale is not
// zero.
func (w Weight) zeroChannels(s *Scale) (int, error) {
	by := s.After
	if by.Scale == nil {
		by = s.Before
	}
	size := s.DType.Size()
	had, has := make([]bool, len(by.Scale)), make([]bool, len(by.Scale))
	buf, one := make([]byte, 64<<10), make([]byte, 8)
	for done := int64(0); done < w.NBytes; done += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), w.NBytes-done)]
		if err := regular.ReadAt(w.Src, buf, w.Off+done); err != nil {
			return 0, err
		}
		for i := 0; i < len(buf); i += size {
			x := elem.Load(s.DType, buf[i:])
			if x == 0 {
				continue
			}
			at := int(done+int64(i)) / size
			c := by.View.Channel(at)
			had[c] = true
			x *= by.Scale[c]
			if s.After.Scale != nil && s.Before.Scale != nil {
				x *= s.Before.Scale[s.Before.View.Channel(at)]
			}
			elem.Store(s.DType, one, x)
			has[c] = has[c] || by.Scale[c] == 0 || elem.Load(s.DType, one) != 0
		}
	}
	zeros := 0
	for c := range had {
		if had[c] && !has[c] {
			zeros++
		}
	}
	return zeros, nil
}
