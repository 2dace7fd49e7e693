package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// storage is a stretch of elements that tensors are views of.
type storage struct {
	key    string
	dtype  string
	nElems int // as the pickle says

	src    io.ReaderAt // nil until it is found
	off    int64
	nBytes int64
}

// storages are those that a pickle refers to.
type storages struct {
	byKey map[string]*storage
	order []*storage
}

func newStorages() *storages { return &storages{byKey: map[string]*storage{}} }

// storageView is a part of a storage that PyTorch before 0.4 gave a key of its own.
type storageView struct {
	*storage
	first int // element
}

// persistent reads a reference to a storage, or before 0.4 perhaps to a part of one:
//
//	('storage', torch.FloatStorage, key, 'cpu', number of elements)
//	('storage', torch.FloatStorage, key, 'cpu', number of elements, (key of the part, first element, number))
func (u *unpickler) persistent() error {
	v, err := u.pop()
	if err != nil {
		return err
	}
	id, ok := v.(tuple)
	if !ok || len(id) < 5 || len(id) > 6 || id[0] != "storage" {
		return errors.New("the pickle refers to something that is no storage")
	}
	class, ok1 := id[1].(global)
	key, ok2 := id[2].(string)
	n, ok3 := id[4].(int64)
	if !ok1 || globals[class].role != stored || !ok2 || !ok3 {
		return errors.New("the pickle's reference to a storage is malformed")
	}
	if n < 0 || n > 1<<60 {
		return fmt.Errorf("storage %q has %d elements", key, n)
	}
	s := u.storages.byKey[key]
	if s == nil {
		s = &storage{key: key, dtype: globals[class].dtype, nElems: int(n)}
		u.storages.byKey[key] = s
		u.storages.order = append(u.storages.order, s)
	}
	if s.dtype != globals[class].dtype || s.nElems != int(n) {
		return fmt.Errorf("storage %q is described in two ways", key)
	}
	if len(id) == 6 && id[5] != nil {
		v, ok := s.view(id[5])
		if !ok {
			return fmt.Errorf("the pickle's reference to a part of storage %q is malformed", key)
		}
		return u.push(v)
	}
	return u.push(storageView{s, 0})
}

// view reads the description of a part.
func (s *storage) view(description any) (storageView, bool) {
	d, _ := description.(tuple)
	if len(d) != 3 {
		return storageView{}, false
	}
	first, ok1 := d[1].(int64)
	n, ok2 := d[2].(int64)
	if !ok1 || !ok2 || first < 0 || n < 0 || first > int64(s.nElems) || n > int64(s.nElems)-first {
		return storageView{}, false
	}
	return storageView{s, int(first)}, true
}

// torchTensor is a view of a storage, as PyTorch describes it.
type torchTensor struct {
	storage       *storage
	dtype         string
	first         int   // element of the storage
	shape, stride []int // in elements
}

// rebuild reads the arguments of
//
//	_rebuild_tensor(storage, offset, size, stride)
//	_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata = None)
//	_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata = None)
//
// The metadata may have the bits conj and neg.
func (s *storages) rebuild(g global, args tuple) (*torchTensor, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("%d values describe no tensor", len(args))
	}
	st, ok1 := args[0].(storageView)
	first, ok2 := args[1].(int64)
	shape, ok3 := ints(args[2])
	stride, ok4 := ints(args[3])
	if !ok1 || !ok2 || !ok3 || !ok4 || first < 0 || first > 1<<60 || len(shape) != len(stride) {
		return nil, errors.New("the description of the tensor is malformed")
	}
	if m, ok := args[len(args)-1].(*dict); ok && (m.get("conj") == true || m.get("neg") == true) {
		return nil, errors.New("its elements are still to be conjugated or negated (resolve_conj and resolve_neg do it before saving)")
	}
	t := &torchTensor{storage: st.storage, dtype: st.dtype, first: st.first + int(first), shape: shape, stride: stride}
	if g.name == "_rebuild_tensor_v3" {
		if len(args) < 7 {
			return nil, errors.New("the element type is missing")
		}
		dtype, ok := args[6].(global)
		if !ok || globals[dtype].role != elements {
			return nil, errors.New("the element type is malformed")
		}
		t.dtype = globals[dtype].dtype
	}
	return t, nil
}

// elemBytes is the size of an element of a type that PyTorch stores.
func elemBytes(dtype string) int64 {
	if dtype == "C128" {
		return 16
	}
	return safetensors.ElemBits[dtype] / 8
}

// named makes a tensor of the checkpoint of a description whose storage is found.
func (t *torchTensor) named(name string, bigEndian bool) (*tensor, error) {
	size := elemBytes(t.dtype)
	if t.dtype == "C128" {
		return nil, errors.New("complex128 is a type that safetensors does not have")
	}
	n, ok := fuse.NumElems(t.shape)
	if !ok {
		return nil, fmt.Errorf("shape %v has too many elements", t.shape)
	}
	has := t.storage.nBytes / size
	last := int64(t.first)
	for i, d := range t.shape {
		if n == 0 || d == 1 {
			continue
		}
		if t.stride[i] != 0 && int64(d-1) > has/int64(t.stride[i]) {
			return nil, fmt.Errorf("shape %v with strides %v leaves its storage of %d elements", t.shape, t.stride, has)
		}
		last += int64(d-1) * int64(t.stride[i])
	}
	if int64(t.first) > has || n > 0 && last >= has {
		return nil, fmt.Errorf("shape %v with strides %v from element %d on leaves its storage of %d elements", t.shape, t.stride, t.first, has)
	}
	out := &tensor{name: name, dtype: t.dtype, shape: t.shape, nBytes: int64(n) * size}
	out.src, out.off = t.storage.src, t.storage.off+int64(t.first)*size
	if !t.contiguous() || bigEndian && size > 1 {
		out.src = &strided{src: t.storage.src, off: out.off, size: int(size), shape: t.shape, stride: t.stride, swap: swapWidth(t.dtype, bigEndian)}
		out.off = 0
	}
	return out, nil
}

// repeats reports whether the tensor has elements more than once: it was expanded.
func (t *torchTensor) repeats(nBytes int64) bool { return nBytes > t.storage.nBytes }

// swapWidth is the number of bytes to reverse: a complex number is two.
func swapWidth(dtype string, bigEndian bool) int {
	switch {
	case !bigEndian:
		return 0
	case dtype == "C64":
		return 4
	}
	return int(elemBytes(dtype))
}

// contiguous reports whether the elements lie in the order of the shape, without holes.
func (t *torchTensor) contiguous() bool {
	next := 1
	for i, d := range slices.Backward(t.shape) {
		if d == 0 {
			return true
		}
		if d != 1 && t.stride[i] != next {
			return false
		}
		next *= d
	}
	return true
}

// markShared finds the tensors that have memory in common.
func markShared(tensors []*tensor, of []*torchTensor) {
	type span struct{ from, to, i int }
	byStorage := map[*storage][]span{}
	for i, t := range of {
		last := t.first
		for axis, d := range t.shape {
			last += (d - 1) * t.stride[axis]
		}
		size := int(elemBytes(t.dtype))
		if tensors[i].nBytes > 0 {
			byStorage[t.storage] = append(byStorage[t.storage], span{t.first * size, (last + 1) * size, i})
		}
	}
	for _, spans := range byStorage {
		slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
		reach, owner := 0, -1 // the end of what came before, and whose it is
		for _, s := range spans {
			if owner >= 0 && s.from < reach {
				tensors[s.i].shared, tensors[owner].shared = true, true
			}
			if s.to > reach {
				reach, owner = s.to, s.i
			}
		}
	}
}
