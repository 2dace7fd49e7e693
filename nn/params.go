package nn

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorgonia.org/tensor"
)

// tagKey is the key of the struct tag that names a field as PyTorch names its counterpart:
//
//	Gamma *tensor.Dense `nn:"weight,optional"`
//	Conv1 *Conv2d       `nn:"conv1"`
//
// A field without the tag has its Go name. One whose tag is "-" counts as unexported.
const tagKey = "nn"

// fieldName is what a field is called in paths and state dicts, "" for one to be left alone, and whether its
// module can do without it.
func fieldName(f reflect.StructField) (name string, optional bool) {
	name, option, _ := strings.Cut(f.Tag.Get(tagKey), ",")
	switch name {
	case "":
		name = f.Name
	case "-":
		name = ""
	}
	return name, option == "optional"
}

// param is a tensor of a module's own: a field, or an element of one, of type *tensor.Dense.
type param struct {
	name     string
	optional bool          // the module can do without
	place    reflect.Value // what holds the tensor
}

func (p param) tensor() *tensor.Dense { return p.place.Interface().(*tensor.Dense) }

// stateModule is a module with tensors of its own.
type stateModule struct {
	module Module
	path   string
	params []param
}

func (m *stateModule) nameOf(p param) string { return join(m.path, p.name) }

// declared reports whether the module has any tensor, and so says which it has.
func (m *stateModule) declared() bool {
	return slices.ContainsFunc(m.params, func(p param) bool { return p.tensor() != nil })
}

// stateOf lists the modules of a network that have tensors, in the order of PyTorch's state_dict: a module,
// then its children. A module in two places is listed for each.
func stateOf(m Module) ([]*stateModule, error) {
	s := &stater{onPath: map[identity]bool{}, names: map[string]bool{}}
	return s.found, s.visit(m, "")
}

type stater struct {
	found  []*stateModule
	onPath map[identity]bool
	names  map[string]bool
}

func (s *stater) visit(m Module, path string) error {
	if isNil(m) {
		return fmt.Errorf("module %q: %w", path, ErrNilModule)
	}
	if id, ok := identityOf(reflect.ValueOf(m)); ok {
		if s.onPath[id] {
			return fmt.Errorf("module %q: %w", path, ErrCycle)
		}
		s.onPath[id] = true
		defer delete(s.onPath, id)
	}
	if params := paramsOf(m); len(params) > 0 {
		own := &stateModule{m, path, params}
		s.found = append(s.found, own)
		for _, p := range params {
			name := own.nameOf(p)
			if s.names[name] {
				return fmt.Errorf("two tensors of the network are called %q", name)
			}
			s.names[name] = true
		}
	}
	for _, c := range slotsOf(m) {
		if c.hidden {
			continue
		}
		name := c.Name
		if _, ok := m.(*DataParallel); ok {
			name = "module" // as PyTorch's wrapper calls it
		}
		if err := s.visit(c.Module, join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// paramsOf lists a module's own tensors: those of its exported fields and of the slices, arrays and plain
// structs in them.
func paramsOf(m Module) []param {
	switch m.(type) {
	case *Sequential, *DataParallel:
		return nil
	}
	f := finder{seen: map[identity]bool{}}
	f.module(m)
	return f.params
}
