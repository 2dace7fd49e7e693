package verify

import (
	"fmt"
	"slices"
)

// weights compares every weight with s_out·W·s_in.
func (f *fold) weights() {
	b, a := f.b.weight, f.a.weight
	format := formatOf(a.elem())
	f.row.Weight.Tensor = b.name
	if a.elem() != b.elem() || !slices.Equal(a.dims, b.dims) {
		f.problem("weight %q has dims %v of type %d, the original %v of type %d", b.name, b.dims, b.elem(), a.dims, a.elem())
		return
	}
	if !slices.Equal(a.perm, b.perm) { // a small weight may have been written in the layer's order
		a, b = f.inOrder(f.a), f.inOrder(f.b)
		f.a.weight, f.b.weight = a, b
	}
	if !slices.Equal(a.stored(), b.stored()) || !slices.Equal(a.perm, b.perm) {
		f.problem("weight %q is stored as %v, the original as %v", b.name, b.stored(), a.stored())
		return
	}
	ra, err := f.elements(a)
	if err == nil {
		var rb *reader
		if rb, err = f.elements(b); err == nil {
			err = f.compareWeights(format, rb, ra)
		}
	}
	if err != nil {
		f.failed(fmt.Errorf("weight %q: %w", b.name, err))
	}
}

const pieceElems = 1 << 14 // weights in memory at a time

// compareWeights streams both weights.
func (f *fold) compareWeights(format *format, rb, ra *reader) error {
	check := newWeightCheck(format, f)
	l := f.layout()
	got, was := make([]float64, min(pieceElems, l.nElem)), make([]float64, min(pieceElems, l.nElem))
	for done := 0; done < l.nElem; done += pieceElems {
		n := min(pieceElems, l.nElem-done)
		if err := rb.next(got[:n]); err != nil {
			return err
		}
		if err := ra.next(was[:n]); err != nil {
			return err
		}
		l.eachRun(done, n, func(i, k, out, in int) {
			check.run(out, in, got[i:i+k], was[i:i+k])
			if ra.format == rb.format {
				check.notNumbers(out, in, got[i:i+k], was[i:i+k], rb.raw[i*rb.format.nBytes:], ra.raw[i*ra.format.nBytes:])
			}
		})
	}
	f.row.Weight = check.Deviation
	f.row.Weight.Tensor, f.row.Weight.Values = f.b.weight.name, l.nElem
	if check.wrong > 0 {
		f.problem("weight %q: %d of %d values are not %s rounded to %s, the first of channel %d: %s",
			f.b.weight.name, check.wrong, l.nElem, check.formula(), format.name, check.firstChannel, check.first())
	}
	return nil
}
