package verify

import "strconv"

// otherEpsilon says, of a layer that is wrong, whether it would be right with the other reading of its norms'
// epsilon. ONNX stores a float32, so 1e-5 in a model's code is 9.999999747378752e-06 in its export, while a
// pairs file or --eps may give the number itself. A weight near the middle of two numbers is rounded to the
// one or the other. The layer stays wrong: which epsilon was meant is for the caller to say.
func (f *fold) otherEpsilon(t *trail, before []*norm) {
	was := map[*norm]float64{}
	var first *norm
	for _, n := range append(t.norms(), before...) {
		if n.batch && otherReading(n.eps) != n.eps {
			was[n], first = n.eps, n
		}
	}
	if first == nil || len(f.row.Problems) == 0 {
		return
	}
	for n, eps := range was {
		n.eps = otherReading(eps)
	}
	again := &fold{checker: f.checker, b: f.b, a: f.a, row: Layer{Norms: f.row.Norms}}
	again.compute(t, before)
	for n, eps := range was {
		n.eps = eps
	}
	if len(again.row.Problems) == 0 {
		f.problem("with epsilon %v in place of %v it is right: a graph has the float32 of what a pairs file or --eps gives; verify by what it was folded by",
			otherReading(first.eps), first.eps)
	}
}

// otherReading is the float32 next to an epsilon, or for a float32 the decimal number that it is short for.
func otherReading(eps float64) float64 {
	if single := float64(float32(eps)); single != eps {
		return single
	}
	decimal, _ := strconv.ParseFloat(strconv.FormatFloat(eps, 'g', -1, 32), 64) // of what was just formatted
	return decimal
}
