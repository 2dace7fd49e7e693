package fuse

// Fold is everything the norms beside one layer do to it: the composed map of those after it and of
// those before it. The zero value does nothing.
type Fold struct {
	After, Before Affine
}

// Add composes a norm into the fold: one more behind the layer and the norms already folded after it,
// or one more in front of the layer and the norms already folded before it. On error, a [*Refusal],
// the fold is unchanged.
func (f *Fold) Add(d Direction, norm Affine) error {
	first, next, into := f.After, norm, &f.After
	if d == Before {
		first, next, into = norm, f.Before, &f.Before
	}
	if first.Scale == nil || next.Scale == nil {
		*into = norm
		return nil
	}
	composed, err := first.Then(next)
	if err != nil {
		return err
	}
	*into = composed
	return nil
}

// Bias is the layer's new bias, in float64:
//
//	b' = s·(b + Σ W·t_before) + t_after
//
// b is the layer's bias, nil for none; contracted is Σ W·t_before ([SumLanes]), nil for no norm before
// or one without shift. n is the number of output channels.
func (f Fold) Bias(b, contracted []float64, n int) []float64 {
	out := make([]float64, n)
	copy(out, b)
	for o := range contracted {
		out[o] += contracted[o]
	}
	if f.After.Scale == nil {
		return out
	}
	for o := range out {
		out[o] = float64(f.After.Scale[o]*out[o]) + f.After.Shift[o]
	}
	return out
}
