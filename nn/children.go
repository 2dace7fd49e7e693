package nn

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gorgonia.org/tensor"
)

var (
	moduleType = reflect.TypeFor[Module]()
	denseType  = reflect.TypeFor[*tensor.Dense]()
)

// slot is a place that holds a module.
type slot struct {
	Child
	hidden bool              // in an unexported field: counts as a use, and is not folded
	set    func(Module) bool // puts another module there, if the place can hold it; may be nil
}

// slotsOf lists the children of m in a fixed order. A nil child of a Sequential is listed, since it
// cannot run; other nil fields hold nothing.
func slotsOf(m Module) []slot {
	switch m := m.(type) {
	case *Sequential:
		slots := make([]slot, len(m.Children))
		for i, c := range m.Children {
			slots[i].Child = c
		}
		return slots
	case *DataParallel:
		return []slot{{
			Child: Child{"Module", m.Module},
			set:   func(to Module) bool { m.Module = to; return true },
		}}
	case Parent:
		var slots []slot
		for _, c := range m.NamedChildren() {
			if !isNil(c.Module) {
				slots = append(slots, slot{Child: c, set: func(to Module) bool { return m.ReplaceChild(c.Name, to) }})
			}
		}
		return slots
	}
	f := finder{seen: map[identity]bool{}}
	f.module(m)
	return f.slots
}

// finder looks for modules and tensors in a module's fields and in the containers these hold, but not in the
// modules it finds.
type finder struct {
	slots  []slot
	params []param // in exported fields only
	seen   map[identity]bool
}

func (f *finder) module(m Module) {
	v := reflect.ValueOf(m)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	f.contents(v, "", false)
}

// value looks at one place: it holds a module, or something to look into, or neither. set, if not nil,
// puts another value there.
func (f *finder) value(v reflect.Value, name string, hidden bool, set func(reflect.Value)) {
	m, ok := moduleIn(v, hidden)
	if !ok {
		f.contents(v, name, hidden)
		return
	}
	s := slot{Child: Child{name, m}, hidden: hidden}
	if set != nil {
		t := v.Type()
		s.set = func(to Module) bool {
			if !reflect.TypeOf(to).AssignableTo(t) {
				return false
			}
			set(reflect.ValueOf(to))
			return true
		}
	}
	f.slots = append(f.slots, s)
}

func (f *finder) contents(v reflect.Value, name string, hidden bool) {
	if id, ok := identityOf(v); ok {
		if f.seen[id] {
			return
		}
		f.seen[id] = true
	}
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			f.contents(v.Elem(), name, hidden)
		}
	case reflect.Pointer:
		// What an unexported pointer leads to may be anything, and in use elsewhere.
		if !v.IsNil() && v.Type() != denseType && !hidden {
			f.contents(v.Elem(), name, hidden)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if isPromoted(field) {
				f.contents(v.Field(i), name, hidden)
				continue
			}
			own, optional := fieldName(field)
			hidden := hidden || !field.IsExported() || own == ""
			if field.Type == denseType && !hidden {
				f.params = append(f.params, param{join(name, own), optional, v.Field(i)})
				continue
			}
			f.value(v.Field(i), join(name, own), hidden, setter(v.Field(i)))
		}
	case reflect.Slice, reflect.Array:
		if !canHold(v.Type().Elem()) {
			return
		}
		for i := range v.Len() {
			at := join(name, strconv.Itoa(i))
			if v.Type().Elem() == denseType && !hidden {
				f.params = append(f.params, param{at, false, v.Index(i)})
				continue
			}
			f.value(v.Index(i), at, hidden, setter(v.Index(i)))
		}
	case reflect.Map:
		if !canHold(v.Type().Elem()) {
			return
		}
		for _, k := range sortedKeys(v) {
			var setKey func(reflect.Value)
			if !hidden {
				setKey = func(to reflect.Value) { v.SetMapIndex(k, to) }
			}
			f.value(v.MapIndex(k), join(name, fmt.Sprint(k)), hidden, setKey)
		}
	}
}

// isPromoted reports whether the fields of an embedded struct are the outer struct's own, though the
// struct's type is not exported.
func isPromoted(f reflect.StructField) bool {
	return f.Anonymous && !f.IsExported() && f.Type.Kind() == reflect.Struct
}

// moduleIn gives the module that v is, holds or, as a value with pointer methods, is the content of.
func moduleIn(v reflect.Value, hidden bool) (Module, bool) {
	switch v.Kind() {
	case reflect.Interface:
		return moduleIn(v.Elem(), hidden)
	case reflect.Invalid:
		return nil, false
	case reflect.Pointer:
		if v.IsNil() || !v.Type().Implements(moduleType) {
			return nil, false
		}
	default:
		if v.CanAddr() && reflect.PointerTo(v.Type()).Implements(moduleType) {
			v = v.Addr()
		}
	}
	if hidden && v.Kind() == reflect.Pointer {
		// Reflection hands out no interface to what is in an unexported field, but it does the address.
		v = reflect.NewAt(v.Type().Elem(), v.UnsafePointer())
	}
	if !v.CanInterface() {
		return nil, false
	}
	m, ok := v.Interface().(Module)
	return m, ok
}

func setter(v reflect.Value) func(reflect.Value) {
	if !v.CanSet() {
		return nil
	}
	return v.Set
}

// canHold reports whether a value of type t may lead to a module. It keeps the search out of numbers.
func canHold(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface, reflect.Pointer, reflect.Struct, reflect.Slice, reflect.Array, reflect.Map:
		return true
	}
	return t.Implements(moduleType)
}

// sortedKeys puts integer keys in ascending order and others in that of their text.
func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		if a.CanInt() && b.CanInt() {
			return cmp.Compare(a.Int(), b.Int())
		}
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	return keys
}
