package onnx

import (
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/fuse"
)

// storage is a weight as it lies in the file and how the layer reaches it:
//
//	stored tensor → (Identity | Transpose | Reshape | Squeeze | Unsqueeze)* → layer
//
// or a small weight that constant arithmetic computes.
type storage struct {
	value  int32 // what the layer reads
	root   int32 // the stored tensor's value
	tensor tensor
	dims   []int     // the shape the layer sees
	perm   []int     // axis i of dims is axis perm[i] of the stored tensor; nil: the order is the same
	path   []int32   // the nodes between, the one next to the layer first
	made   *constant // the weight's value where it is computed, not stored
}

// stored finds where the weight that value v names is stored.
func (m *model) stored(v int32) (*storage, *fuse.Refusal) {
	s := &storage{value: v, root: v}
	if v < 0 {
		return nil, fuse.Refuse(fuse.ReasonWeight, "the layer has none")
	}
	for {
		if r := m.checkNameUnique(s.root); r != nil {
			return nil, r
		}
		val := &m.values[s.root]
		if val.tensor >= 0 {
			if r := m.checkFixed(s.root); r != nil {
				return nil, r
			}
			return m.storedAs(s, m.weights, m.tensors[val.tensor].body())
		}
		n := val.producer
		if n < 0 {
			return nil, fuse.Refuse(fuse.ReasonWeight, "%q is not stored in the model", m.name(s.root))
		}
		switch op := m.op(n); op {
		case "Constant":
			as := m.attrs(n)
			if a := as.get("value"); as.err == nil && len(as.list) == 1 && a != nil && !a.ref && len(a.tensor) > 0 {
				return m.storedAs(s, m.lookup, a.tensor...)
			}
			return m.computed(s)
		case "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze":
			if len(s.path) >= maxConstDepth || len(m.in(n)) == 0 || m.in(n)[0] < 0 {
				return m.computed(s)
			}
			s.path = append(s.path, n)
			s.root = m.in(n)[0]
		default:
			return m.computed(s)
		}
	}
}

// storedAs ends the search at a stored tensor: it works out what the nodes between do to its axes.
func (m *model) storedAs(s *storage, f *file, at ...span) (*storage, *fuse.Refusal) {
	t, err := parseTensor(f, at...)
	if err != nil {
		return nil, fuse.Refuse(fuse.ReasonWeight, "%v", err)
	}
	s.tensor, s.dims = t, t.dims
	if t.odd != "" {
		return nil, fuse.Refuse(fuse.ReasonDType, "%q: %s", t.name(), t.odd)
	}
	if !floatType(t.dataType).Valid() {
		return nil, fuse.Refuse(fuse.ReasonDType, "%q has ONNX element type %d", t.name(), t.dataType)
	}
	if t.external != nil {
		if _, err := m.externals.open(t.external); err != nil {
			return nil, fuse.Refuse(fuse.ReasonWeight, "%v", err)
		}
	}
	for _, n := range slices.Backward(s.path) {
		switch m.op(n) {
		case "Identity":
		case "Transpose":
			as := m.attrs(n)
			perm, ok := permOf(&as, len(s.dims))
			if as.err != nil || !ok || s.perm == nil && !slices.Equal(s.dims, t.dims) {
				return m.computed(s)
			}
			s.transpose(perm)
		default:
			sh := m.shape(m.out(n)[0])
			if n, ok := fuse.NumElems(sh.dims); !sh.known || !ok || n != t.elems || s.perm != nil {
				return m.computed(s)
			}
			s.dims = sh.dims
		}
	}
	return s, nil
}

func (s *storage) transpose(perm []int) {
	dims, stored := make([]int, len(perm)), make([]int, len(perm))
	for i, p := range perm {
		dims[i], stored[i] = s.dims[p], p
		if s.perm != nil {
			stored[i] = s.perm[p]
		}
	}
	s.dims, s.perm = dims, stored
	if slices.IsSorted(stored) { // transposed back
		s.perm = nil
	}
}

// computed takes a small weight by its value.
func (m *model) computed(s *storage) (*storage, *fuse.Refusal) {
	k, r := m.constant(s.value, fuse.ReasonWeight)
	if r != nil {
		return nil, r
	}
	if !k.float() {
		return nil, fuse.Refuse(fuse.ReasonDType, "%q has ONNX element type %d", m.name(s.value), k.dataType)
	}
	*s = storage{value: s.value, root: s.value, dims: k.dims, made: k,
		tensor: tensor{dataType: k.dataType, dims: k.dims, elems: len(k.f)}}
	return s, nil
}

// view is the stored weight's view for a norm in direction d.
func (s *storage) view(layout fuse.Layout, d fuse.Direction, groups int) (fuse.View, *fuse.Refusal) {
	v, err := layout.View(d, s.dims, groups)
	if err != nil {
		return v, fuse.Refuse(fuse.ReasonLayerShape, "%s", strings.TrimPrefix(err.Error(), "fuse: "))
	}
	if s.perm == nil {
		return v, nil
	}
	if v.Groups != 1 {
		return v, fuse.Refuse(fuse.ReasonWeight, "the weight of a grouped layer is stored transposed")
	}
	at := s.perm[layout.ChannelAxis(d)]
	stored := s.tensor.dims
	return fuse.View{Groups: 1, Outer: product(stored[:at]), Channels: stored[at], Inner: product(stored[at+1:])}, nil
}

// checkNameUnique refuses a value whose name also names one in a graph around or inside: which of the two a
// node means depends on the reader.
func (m *model) checkNameUnique(v int32) *fuse.Refusal {
	if v >= 0 && m.values[v].flags&isShadow != 0 {
		return fuse.Refuse(fuse.ReasonName, "%q also names a value of a graph around or inside this one", m.name(v))
	}
	return nil
}
