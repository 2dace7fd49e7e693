package onnx

import (
	"bytes"
	"cmp"
	"io"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/stream"
)

// weight scales the layer's weight: where it is stored if nobody else reads it, else into a new tensor.
func (e *editor) weight(l *layer) error {
	scale := l.scaleOf(l.fold)
	if scale == nil {
		return nil
	}
	src, err := e.sourceOf(l)
	if err != nil {
		return err
	}
	w := l.weight
	job := &weightJob{Weight: src, node: l.node, scale: scale}
	e.jobs = append(e.jobs, job)
	if e.exclusive(w) && e.inPlace(w.root, &w.tensor, chunk{weight: job}) {
		return nil
	}
	old := e.in(l.node)[1]
	base := e.name(w.root)
	g := e.nodes[l.node].graph
	dims := w.tensor.dims
	if w.perm == nil {
		dims = w.dims
	}
	v := e.newTensor(l.node, g, e.unique(base+"_fused"), w.tensor.dataType, dims, chunk{weight: job}, w.tensor.external != nil)
	if w.perm != nil {
		v = e.newTranspose(l.node, g, v, w.perm)
	}
	e.in(l.node)[1] = v
	e.nodes[l.node].dirty = true
	e.release(old)
	return nil
}

// factor is a scale under a view; nothing where every channel's scale is 1.
func factor(v fuse.View, a fuse.Affine) fuse.Factor {
	if !slices.ContainsFunc(a.Scale, func(s float64) bool { return s != 1 }) {
		return fuse.Factor{}
	}
	return fuse.Factor{View: v, Scale: a.Scale}
}

// scaleOf is how a fold scales the layer's weight, nil for not at all.
func (l *layer) scaleOf(f fuse.Fold) *stream.Scale {
	s := &stream.Scale{DType: l.dtype, After: factor(l.views[fuse.After], f.After), Before: factor(l.views[fuse.Before], f.Before)}
	if s.After.Scale == nil && s.Before.Scale == nil {
		return nil
	}
	return s
}

// sourceOf finds the elements of a layer's weight.
func (e *editor) sourceOf(l *layer) (stream.Weight, error) {
	if s, ok := e.sources[l]; ok {
		return s, nil
	}
	s, err := e.weightSource(l.weight, e.spool)
	if s.Src == e.spool {
		e.sources[l] = s
	}
	return s, err
}

// weightSource finds the elements of a stored weight: in the model, in another file, or, decoded, in the
// spool.
func (m *model) weightSource(w *storage, sp *spool) (stream.Weight, error) {
	t := &w.tensor
	nBytes := int64(t.elems) * int64(floatType(t.dataType).Size())
	switch {
	case w.made != nil:
		return stream.Weight{Src: bytes.NewReader(elem.Encode(floatType(t.dataType), w.made.f)), NBytes: nBytes}, nil
	case t.external != nil:
		f, err := m.externals.open(t.external)
		if err != nil {
			return stream.Weight{}, err
		}
		return stream.Weight{Src: f, Off: t.external.offset, NBytes: nBytes}, nil
	case t.flat:
		return stream.Weight{Src: m.walk.r, Off: t.data.off, NBytes: nBytes}, nil
	default:
		off, err := sp.add(func(w io.Writer) error { return t.decode(w) })
		return stream.Weight{Src: sp, Off: off, NBytes: nBytes}, err
	}
}

// exclusive reports whether a stored weight is read by its layer alone.
func (e *editor) exclusive(w *storage) bool {
	if w.made != nil {
		return false
	}
	v := w.value
	for i := 0; ; i++ {
		if e.uses[v] != 1 || e.values[v].flags&(isOutput|isShadow) != 0 {
			return false
		}
		if i == len(w.path) {
			return true
		}
		v = e.in(w.path[i])[0]
	}
}

// inPlace replaces the data of a stored tensor by others of the same size. It reports false where they
// cannot stay there: in a Constant node or a graph that stores them in an odd form, or where another
// tensor uses the same external data.
func (e *editor) inPlace(v int32, t *tensor, with chunk) bool {
	ref := e.values[v].tensor
	switch {
	case t.external != nil:
		if e.sharesData(t) {
			return false
		}
		f, err := e.externals.open(t.external)
		if err != nil {
			return false
		}
		e.data = append(e.data, dataEdit{file: f, off: t.external.offset, with: with})
	case t.flat:
		e.edits = append(e.edits, edit{at: t.data, with: []chunk{with}})
	case ref < 0:
		return false
	default:
		r := &e.tensors[ref]
		e.edits = append(e.edits, edit{at: r.field, frame: e.frames[r.frame],
			with: nested(graphTensorField, tensorProto(t.name(), t.dataType, t.dims, with))})
	}
	e.changed[v] = true
	return true
}

// sharesData reports whether another tensor of the model uses some of t's external data.
func (e *editor) sharesData(t *tensor) bool {
	if e.tied == nil {
		e.tied = map[int64]bool{}
		e.findTied()
	}
	return e.tied[t.at[0].off]
}

// findTied marks every tensor whose range of external data overlaps another's.
func (e *editor) findTied() {
	type stretch struct {
		external
		at int64
	}
	var all []stretch
	for i := range e.tensors {
		if !e.tensors[i].outside {
			continue
		}
		if t, err := e.initializer(int32(i)); err == nil {
			all = append(all, stretch{*t.external, t.at[0].off})
		}
	}
	slices.SortFunc(all, func(a, b stretch) int {
		return cmp.Or(cmp.Compare(a.location, b.location), cmp.Compare(a.offset, b.offset))
	})
	longest := 0 // of the stretches so far, the one that ends last
	for i := 1; i < len(all); i++ {
		l := &all[longest]
		if all[i].location == l.location && all[i].offset < l.offset+l.length {
			e.tied[all[i].at], e.tied[l.at] = true, true
		}
		if all[i].location != l.location || all[i].offset+all[i].length > l.offset+l.length {
			longest = i
		}
	}
}
