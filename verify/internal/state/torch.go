package state

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// storage is a stretch of elements that tensors are views of.
type storage struct {
	key    string
	dtype  string
	nElems int64

	r         io.ReaderAt // nil until it is found
	nBytes    int64
	bigEndian bool
}

// readTorch reads a file of torch.save.
func readTorch(f *os.File, size int64) ([]*Tensor, error) {
	var mark [2]byte
	f.ReadAt(mark[:], 0) // it has been read before
	if string(mark[:]) == "PK" {
		return readZip(f, size)
	}
	return readLegacy(f, size)
}

// readZip reads the format since PyTorch 1.6: an archive of NAME/data.pkl, the pickle, NAME/data/KEY, the
// storages, and NAME/byteorder. Nothing in it is compressed.
func readZip(f *os.File, size int64) ([]*Tensor, error) {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return nil, fmt.Errorf("the archive is damaged or cut: %w", err)
	}
	entries, root, found := map[string]*zip.File{}, "", 0
	for _, e := range z.File {
		if dir, ok := strings.CutSuffix(e.Name, "data.pkl"); ok && strings.Count(dir, "/") < 2 {
			root, found = dir, found+1
		}
		if entries[e.Name] != nil {
			return nil, fmt.Errorf("the archive has two entries %q", e.Name)
		}
		entries[e.Name] = e
	}
	if found != 1 {
		return nil, fmt.Errorf("an archive with %d times data.pkl: not of torch.save", found)
	}
	order := "little"
	if e := entries[root+"byteorder"]; e != nil {
		r, err := stored(f, size, e)
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(r, 16))
		if order = strings.TrimSpace(string(b)); err != nil || order != "little" && order != "big" {
			return nil, fmt.Errorf("%s is %q: %w", e.Name, order, errors.Join(err, errNotTorch))
		}
	}
	r, err := stored(f, size, entries[root+"data.pkl"])
	if err != nil {
		return nil, err
	}
	m := newMachine(r, r.Size())
	top, err := m.load()
	if err != nil {
		return nil, err
	}
	for key, s := range m.stores {
		e := entries[root+"data/"+key]
		if e == nil {
			return nil, fmt.Errorf("storage %.100q is missing", key)
		}
		r, err := stored(f, size, e)
		if err != nil {
			return nil, err
		}
		if r.Size() < s.nElems*sizeOf(s.dtype) {
			return nil, fmt.Errorf("storage %.100q has %d bytes for %d elements of %s", key, r.Size(), s.nElems, s.dtype)
		}
		s.r, s.nBytes, s.bigEndian = r, r.Size(), order == "big"
	}
	return tensorsOf(top)
}

// stored is an entry as it lies in the archive.
func stored(f *os.File, size int64, e *zip.File) (*io.SectionReader, error) {
	off, err := e.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("%.100q: %w", e.Name, err)
	}
	n := e.UncompressedSize64
	if e.Method != zip.Store || e.CompressedSize64 != n || off > size || n > uint64(size-off) {
		return nil, fmt.Errorf("%.100q is compressed, or the archive is cut", e.Name)
	}
	return io.NewSectionReader(f, off, int64(n)), nil
}

// readLegacy reads the format before PyTorch 1.6: five pickles (a mark, the version, the system, the value,
// the keys of the storages), then for each key the number of elements in 8 bytes, and the elements.
func readLegacy(f *os.File, size int64) ([]*Tensor, error) {
	m := newMachine(f, size)
	all := m.left
	var values [5]any
	for i := range values {
		var err error
		if values[i], err = m.load(); err != nil {
			return nil, err
		}
		if i == 0 && values[0] != any(huge("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")) {
			return nil, errNotTorch
		}
	}
	system, _ := values[2].(*dict)
	keys, ok := values[4].(*list)
	if values[1] != any(int64(1001)) || system == nil || !ok {
		return nil, errNotTorch
	}
	little, ok := system.values["little_endian"].(bool)
	if !ok {
		return nil, errors.New("the file does not say its byte order")
	}
	at := all - m.left
	for _, k := range keys.items {
		key, _ := k.(string)
		s := m.stores[key]
		if s == nil || s.r != nil {
			return nil, fmt.Errorf("no tensor is made of storage %.100q, or it is listed twice", key)
		}
		var head [8]byte
		if _, err := f.ReadAt(head[:], at); err != nil {
			return nil, fmt.Errorf("storage %.100q: %w", key, unexpected(err))
		}
		if !little {
			slices.Reverse(head[:])
		}
		at += 8
		n := binary.LittleEndian.Uint64(head[:])
		if n != uint64(s.nElems) || s.nElems > (size-at)/sizeOf(s.dtype) {
			return nil, fmt.Errorf("storage %.100q has %d elements of %s, the pickle says %d, and %d bytes are left", key, n, s.dtype, s.nElems, size-at)
		}
		s.nBytes, s.bigEndian = s.nElems*sizeOf(s.dtype), !little
		s.r = io.NewSectionReader(f, at, s.nBytes)
		at += s.nBytes
	}
	for key, s := range m.stores {
		if s.r == nil {
			return nil, fmt.Errorf("storage %.100q is missing", key)
		}
	}
	return tensorsOf(values[3])
}

// sizeOf is the number of bytes of an element.
func sizeOf(dtype string) int64 {
	if dtype == "C128" {
		return 16
	}
	return bitsOf[dtype] / 8
}

// usualKeys are what scripts save a state dict under, beside other things, the likeliest first.
var usualKeys = strings.Fields("state_dict model_state_dict model_state model net network module params weights")

// findStateDict descends to the dictionary of tensors.
func findStateDict(top any) (*dict, error) {
	for range 4 {
		d, ok := top.(*dict)
		if !ok {
			break
		}
		inner := (*dict)(nil)
		for _, key := range slices.Backward(usualKeys) {
			if v, ok := d.values[key].(*dict); ok && len(v.keys) > 0 {
				inner = v
			}
		}
		if inner == nil && d.hasTensors() {
			return d, nil
		}
		if inner == nil {
			inner = d.onlyStateDict()
		}
		if inner == nil {
			break
		}
		top = inner
	}
	return nil, errors.New("the pickle has no dictionary of tensors where one is looked for")
}

func (d *dict) hasTensors() bool {
	return d != nil && slices.ContainsFunc(d.keys, func(k string) bool { _, ok := d.values[k].(*view); return ok })
}

// onlyStateDict is the one dictionary of tensors among the members, nil for none or several.
func (d *dict) onlyStateDict() (found *dict) {
	for _, k := range d.keys {
		if inner, ok := d.values[k].(*dict); ok && inner.hasTensors() {
			if found != nil {
				return nil
			}
			found = inner
		}
	}
	return found
}

// tensorsOf are the tensors of a state dict.
func tensorsOf(top any) ([]*Tensor, error) {
	d, err := findStateDict(top)
	if err != nil {
		return nil, err
	}
	var tensors []*Tensor
	memory := map[*storage][]reach{}
	for _, key := range d.keys {
		v, ok := d.values[key].(*view)
		if !ok {
			continue
		}
		t, last, err := v.tensor(key)
		if err != nil {
			return nil, fmt.Errorf("tensor %.100q: %w", key, err)
		}
		if t.NBytes > 0 {
			size := sizeOf(v.dtype)
			memory[v.storage] = append(memory[v.storage], reach{v.first * size, (last + 1) * size, t})
		}
		tensors = append(tensors, t)
	}
	for _, list := range memory {
		markShared(list)
	}
	return tensors, nil
}

// reach is the memory that a tensor lies within.
type reach struct {
	from, to int64
	t        *Tensor
}

func markShared(list []reach) {
	slices.SortFunc(list, func(x, y reach) int { return int(min(max(x.from-y.from, -1), 1)) })
	furthest := 0
	for i := 1; i < len(list); i++ {
		if list[i].from < list[furthest].to {
			list[i].t.Shared, list[furthest].t.Shared = true, true
		}
		if list[i].to > list[furthest].to {
			furthest = i
		}
	}
}

// tensor checks that the view stays within its storage, and gives its last element there, too.
func (v *view) tensor(key string) (*Tensor, int64, error) {
	size := sizeOf(v.dtype)
	if v.dtype == "C128" {
		return nil, 0, errors.New("complex128 is no type of safetensors")
	}
	t := &Tensor{Name: key, DType: v.dtype}
	for _, d := range v.shape {
		t.Shape = append(t.Shape, int(d))
	}
	n, ok := count(t.Shape)
	has, last := v.nBytes/size, v.first
	for i, d := range v.shape {
		if d > 1 && v.stride[i] > 0 && n > 0 {
			if d-1 > has/v.stride[i] {
				ok = false
				break
			}
			last += (d - 1) * v.stride[i]
		}
	}
	const most = 16 << 20 // bytes of a tensor that repeats some
	if !ok || v.first > has || n > has && n > most/size || n > 0 && last >= has {
		return nil, 0, fmt.Errorf("shape %v with strides %v from element %d on, of a storage of %d elements", v.shape, v.stride, v.first, has)
	}
	t.NBytes = n * size
	t.open = func() io.Reader {
		switch {
		case n == 0:
			return bytes.NewReader(nil)
		case v.inOrder() && (!v.bigEndian || size == 1):
			return io.NewSectionReader(v.r, v.first*size, t.NBytes)
		}
		return newWalk(v)
	}
	return t, last, nil
}

// inOrder reports whether the elements lie in the order of the shape, without holes.
func (v *view) inOrder() bool {
	next := int64(1)
	for i, d := range slices.Backward(v.shape) {
		if d > 1 && v.stride[i] != next {
			return false
		}
		next *= d
	}
	return true
}
