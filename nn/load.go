package nn

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"gorgonia.org/tensor"
)

// LoadOptions says how [Load] treats what does not match. The zero value wants every tensor of the file in
// the network and the other way round, and rounds nothing.
type LoadOptions struct {
	// Partial loads the tensors that file and network have in common.
	Partial bool

	// Round allows a float64 of the file to become a float32 of the network, rounded to nearest. A value that
	// would become infinite is an error even so.
	Round bool

	// Rename gives the name in the file of what the network calls name; nil means that they are the same.
	Rename func(name string) string
}

// Loaded says what was not loaded, in the file's names.
type Loaded struct {
	Missing    []string // in the network only
	Unexpected []string // in the file only
}

// LoadFile is [Load] of the file at path, or of the shards of an index, model.safetensors.index.json.
func LoadFile(path string, m Module, o LoadOptions) (Loaded, error) {
	f, err := openTensors(path)
	if err != nil {
		return Loaded{}, fmt.Errorf("nn: %s: %w", path, err)
	}
	defer f.close()
	out, err := load(f, m, o)
	if err != nil {
		err = fmt.Errorf("nn: %s: %w", path, err)
	}
	return out, err
}

// Load gives a network the tensors of a safetensors file of size bytes, by the names that PyTorch's
// state_dict has for them: "features.0.weight", "bn1.running_mean".
//
// A module that has tensors says by them what it wants: those, in their shapes and element types. float16
// and bfloat16 become float32, and every float may become float64, exactly; float64 becomes float32 only with
// LoadOptions.Round. A module without any, such as Conv2d{Padding: []int{1}}, takes what the file has under
// its name, float64 as float64, the other floats as float32, and a layer must find its weight, a norm its
// running statistics. Whether a norm's num_batches_tracked is there does not matter.
//
// The network gets new tensors; the old ones are left as they are. Tensors that were one object stay one, and
// the file may have any of their names. All is checked and read before the first tensor is replaced: after an
// error the network is what it was. Tensors that only one of the two has are [ErrKeys].
func Load(r io.ReaderAt, size int64, m Module, o LoadOptions) (Loaded, error) {
	f := &tensorFile{byName: map[string]*located{}}
	err := f.add(r, size)
	var out Loaded
	if err == nil {
		out, err = load(f, m, o)
	}
	if err != nil {
		err = fmt.Errorf("nn: %w", err)
	}
	return out, err
}

func load(f *tensorFile, m Module, o LoadOptions) (Loaded, error) {
	modules, err := stateOf(m)
	if err != nil {
		return Loaded{}, err
	}
	l := &loader{options: o, file: f, wants: map[any]*want{}, taken: map[string]bool{}}
	for _, own := range modules {
		if err := l.module(own); err != nil {
			return Loaded{}, err
		}
	}
	out := l.unmatched()
	if !o.Partial && len(out.Missing)+len(out.Unexpected) > 0 {
		return out, out.err()
	}
	return out, l.replace()
}

// loader finds the tensors of a network in a file.
type loader struct {
	options LoadOptions
	file    *tensorFile
	wants   map[any]*want // by the tensor, or for one that is nil by its place
	order   []*want
	taken   map[string]bool // names of the file
}

// want is a tensor of the network: the places that hold it, and where the file has it.
type want struct {
	name   string
	places []reflect.Value
	dtype  tensor.Dtype
	from   *located
}

// module looks for the tensors of one module.
func (l *loader) module(m *stateModule) error {
	declared := m.declared()
	shapes := map[string][]int{}
	for _, p := range m.params {
		old := p.tensor()
		if declared && old == nil {
			continue
		}
		name := m.nameOf(p)
		if l.options.Rename != nil {
			name = l.options.Rename(name)
		}
		at := l.file.byName[name]
		if at == nil && (isCounter(name) || old == nil && p.optional) {
			continue
		}
		if !p.place.CanSet() {
			return fmt.Errorf("tensor %q: its module %T is no pointer, so nothing can be replaced in it", name, m.module)
		}
		if err := l.want(p, name, at); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		if at != nil {
			shapes[p.name] = at.Shape
		}
	}
	if declared {
		return nil
	}
	if err := checkShapes(m.module, shapes); err != nil {
		return fmt.Errorf("module %q: %s: %w", m.path, kindOf(m.module), err)
	}
	return nil
}

// want notes a tensor of the network and where the file has it, if it does.
func (l *loader) want(p param, name string, at *located) error {
	old := p.tensor()
	var key any = old
	if old == nil {
		key = p.place.Addr().Pointer()
	}
	w := l.wants[key]
	if w == nil {
		w = &want{name: name}
		l.wants[key] = w
		l.order = append(l.order, w)
	}
	w.places = append(w.places, p.place)
	if at == nil {
		return nil
	}
	l.taken[name] = true
	if w.from != nil {
		return w.from.checkEqual(at)
	}
	w.from, w.dtype = at, held[at.DType]
	if old != nil {
		w.dtype = old.Dtype()
		if !slices.Equal(at.Shape, old.Shape()) {
			return fmt.Errorf("the file has %v, the network %v", at.Shape, []int(old.Shape()))
		}
	}
	return at.checkType(w.dtype, l.options.Round)
}

// unmatched lists what only one side has.
func (l *loader) unmatched() Loaded {
	var out Loaded
	for _, w := range l.order {
		if w.from == nil {
			out.Missing = append(out.Missing, w.name)
		}
	}
	for _, name := range l.file.names {
		if !l.taken[name] && !isCounter(name) {
			out.Unexpected = append(out.Unexpected, name)
		}
	}
	return out
}

// replace reads all tensors, then puts them in place.
func (l *loader) replace() error {
	tensors := make([]*tensor.Dense, len(l.order))
	for i, w := range l.order {
		if w.from == nil {
			continue
		}
		var err error
		if tensors[i], err = w.from.read(w.dtype); err != nil {
			return fmt.Errorf("tensor %q: %w", w.name, err)
		}
	}
	for i, w := range l.order {
		for _, place := range w.places {
			if tensors[i] != nil {
				place.Set(reflect.ValueOf(tensors[i]))
			}
		}
	}
	return nil
}

// isCounter knows the count of batches that PyTorch's norms keep in training. It says nothing of what a
// network computes, so it may be on either side alone.
func isCounter(name string) bool {
	const counter = "num_batches_tracked"
	return name == counter || strings.HasSuffix(name, "."+counter)
}

func (l *Loaded) err() error {
	var what []string
	for _, side := range []struct {
		is    string
		names []string
	}{{"missing", l.Missing}, {"unexpected", l.Unexpected}} {
		const most = 10
		if n := len(side.names); n > most {
			what = append(what, fmt.Sprintf("%s: %q and %d more", side.is, side.names[:most], n-most))
		} else if n > 0 {
			what = append(what, fmt.Sprintf("%s: %q", side.is, side.names))
		}
	}
	return fmt.Errorf("%w (%s)", ErrKeys, strings.Join(what, ", "))
}

// checkShapes wants of the tensors that a layer or norm finds in the file that it can run with them.
func checkShapes(m Module, shapes map[string][]int) error {
	if l, ok := layerOf(m); ok {
		return l.checkShapes(shapes["weight"], shapes["bias"])
	}
	switch m.(type) {
	case *BatchNorm1d, *BatchNorm2d, *BatchNorm3d, *SyncBatchNorm, *FrozenBatchNorm2d:
	default:
		return nil
	}
	var first []int
	for _, name := range []string{"running_mean", "running_var", "weight", "bias"} {
		shape, ok := shapes[name]
		switch {
		case !ok:
		case len(shape) != 1:
			return fmt.Errorf("%s %v has %d axes, want 1", name, shape, len(shape))
		case first == nil:
			first = shape
		case shape[0] != first[0]:
			return fmt.Errorf("%s %v is not of the same length as the others, %v", name, shape, first)
		}
	}
	return nil
}
