package verify

// layout says which channels each weight of a layer belongs to, in the order they are stored. They follow
// from two of the stored axes; the elements behind both are a run that shares them.
type layout struct {
	f                *fold
	nElem, run       int
	stride0, stride1 int // in runs, of the layer's axes 0 and 1
	n0, n1           int // their sizes
}

func (f *fold) layout() layout {
	dims := f.a.weight.stored()
	axis0, axis1 := 0, 1
	if p := f.a.weight.perm; p != nil {
		axis0, axis1 = p[0], p[1]
	}
	l := layout{f: f, nElem: product(dims), run: max(1, product(dims[max(axis0, axis1)+1:])), n0: dims[axis0], n1: dims[axis1]}
	l.stride0, l.stride1 = product(dims[axis0+1:])/l.run, product(dims[axis1+1:])/l.run
	return l
}

// eachRun visits the runs in n weights from a first one on: k weights from weight i of these.
func (l layout) eachRun(first, n int, visit func(i, k, out, in int)) {
	for i := 0; i < n; {
		at := (first + i) / l.run
		k := min(n-i, l.run-(first+i)%l.run)
		out, in := l.f.channels(at/l.stride0%l.n0, at/l.stride1%l.n1)
		visit(i, k, out, in)
		i += k
	}
}

// channels are the output and the input channel of a weight at places i and j of the layer's axes 0, 1.
func (f *fold) channels(i, j int) (out, in int) {
	l := f.a
	switch {
	case l.n.op == "Conv": // [out, in of the group, …]
		return i, i/(l.out/l.groups)*(l.in/l.groups) + j
	case l.n.op == "ConvTranspose": // [in, out of the group, …]
		return i/(l.in/l.groups)*(l.out/l.groups) + j, i
	case l.transB:
		return i, j
	}
	return j, i
}

// eachWeight visits the original's weights, run by run.
func (f *fold) eachWeight(visit func(out, in int, w []float64)) error {
	r, err := f.elements(f.a.weight)
	if err != nil {
		return err
	}
	l := f.layout()
	w := make([]float64, min(pieceElems, l.nElem))
	for done := 0; done < l.nElem; done += pieceElems {
		n := min(pieceElems, l.nElem-done)
		if err := r.next(w[:n]); err != nil {
			return err
		}
		l.eachRun(done, n, func(i, k, out, in int) { visit(out, in, w[i:i+k]) })
	}
	return nil
}
