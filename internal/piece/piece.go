// Package piece checks what a caller hands an engine, so that every engine refuses the same mistakes in the
// same words and no loop or kernel leaves its memory.
package piece

import (
	"fmt"

	"github.com/bnfuse/bnfuse/fuse"
)

// CheckSegment says whether the segment lies in a slab of nBytes and in the views of its factors, and
// whether there is a scale for every channel. align is the engine's.
func CheckSegment(nBytes, align int, seg *fuse.Segment) error {
	if err := check(nBytes, align, &seg.Piece); err != nil {
		return err
	}
	for _, f := range [...]struct {
		name   string
		factor *fuse.Factor
	}{{"after", &seg.After}, {"before", &seg.Before}} {
		if f.factor.Scale == nil {
			continue
		}
		if err := checkView(&seg.Piece, f.factor.View, f.factor.Scale); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// CheckContraction says the same of a contraction and its shift, and whether there are lanes for every
// output.
func CheckContraction(nBytes, align int, c *fuse.Contraction) error {
	if err := check(nBytes, align, &c.Piece); err != nil {
		return err
	}
	if err := checkView(&c.Piece, c.View, c.Shift); err != nil {
		return err
	}
	outputs, what := c.View.Groups*c.View.Outer, "groups and outer"
	if c.PerInner {
		if outputs != 1 {
			return fmt.Errorf("per inner: groups %d and outer %d must be 1", c.View.Groups, c.View.Outer)
		}
		outputs, what = c.View.Inner, "inner"
	}
	if len(c.Lanes)%fuse.NumLanes != 0 || len(c.Lanes)/fuse.NumLanes != outputs {
		return fmt.Errorf("%d lanes for %d outputs (%s), which need %d each", len(c.Lanes), outputs, what, fuse.NumLanes)
	}
	return nil
}

func check(nBytes, align int, p *fuse.Piece) error {
	switch {
	case !p.DType.Valid():
		return fmt.Errorf("%v is not an element type", p.DType)
	case p.Elems < 0 || p.First < 0 || p.Offset < 0:
		return fmt.Errorf("%d elements from %d at offset %d: negative", p.Elems, p.First, p.Offset)
	case p.Offset%align != 0:
		return fmt.Errorf("offset %d is not a multiple of %d", p.Offset, align)
	case p.Offset > nBytes || p.Elems > (nBytes-p.Offset)/p.DType.Size():
		return fmt.Errorf("%d elements of %v at offset %d pass the slab's end (%d)", p.Elems, p.DType, p.Offset, nBytes)
	}
	return nil
}

func checkView(p *fuse.Piece, v fuse.View, perChannel []float64) error {
	shape := [...]int{v.Groups, v.Outer, v.Channels, v.Inner}
	elems, ok := fuse.NumElems(shape[:])
	switch {
	case !ok:
		return fmt.Errorf("view %v is negative or too large", shape)
	case p.First > elems || p.Elems > elems-p.First:
		return fmt.Errorf("%d elements from %d pass the end of view %v (%d)", p.Elems, p.First, shape, elems)
	case len(perChannel) != v.NumChannels():
		return fmt.Errorf("%d values for the %d channels of view %v", len(perChannel), v.NumChannels(), shape)
	}
	return nil
}
