package nn

import (
	"fmt"
	"reflect"
	"strconv"

	"gorgonia.org/tensor"
)

// Copier is a module that makes its own deep copy, for one whose unexported fields refer to something.
type Copier interface {
	Module

	// CopyModule returns a module of the same type that shares no memory with this one.
	CopyModule() (Module, error)
}

// copyModule makes a deep copy through exported fields. What is one object in the original is one object
// in the copy; functions are shared. The error is [ErrNoCopy] when an unexported field refers to other
// memory, which only the type's own code knows how to copy.
func copyModule(m Module) (Module, error) {
	return copier{done: map[identity]reflect.Value{}}.module(m)
}

func (c copier) module(m Module) (Module, error) {
	if isNil(m) {
		return nil, ErrNilModule
	}
	var out Module
	err := c.copy(reflect.ValueOf(&out).Elem(), reflect.ValueOf(&m).Elem(), kindOf(m))
	if err != nil {
		return nil, fmt.Errorf("copy: %w", err)
	}
	return out, nil
}

// copyModuleLate is copyModule, but for the tensors of built-in layers, most of which will be replaced. Those that
// are not wait for late.finish.
func copyModuleLate(m Module) (out Module, late *lateTensors, err error) {
	c := copier{done: map[identity]reflect.Value{}, late: &lateTensors{originals: map[*tensor.Dense]identity{}}}
	out, err = c.module(m)
	c.late.done = c.done
	return out, c.late, err
}

// lateTensors are tensors of the original that layers of the copy still hold.
type lateTensors struct {
	layers    []layer
	originals map[*tensor.Dense]identity
	done      map[identity]reflect.Value // the copies, of which there is one for all places of a tensor
}

// take notes a copy, to be filled in yet, if it is a built-in layer.
func (l *lateTensors) take(made reflect.Value) bool {
	m, ok := made.Interface().(Module)
	if !ok || l == nil {
		return false
	}
	of, ok := layerOf(m)
	if ok {
		l.layers = append(l.layers, of)
	}
	return ok
}

// finish gives the layers copies of the originals that they still hold.
func (l *lateTensors) finish() {
	for _, of := range l.layers {
		for _, at := range []**tensor.Dense{of.weight, of.bias} {
			id, isOriginal := l.originals[*at]
			if !isOriginal {
				continue
			}
			if _, ok := l.done[id]; !ok {
				l.done[id] = reflect.ValueOf(copyTensor(*at))
			}
			*at = l.done[id].Interface().(*tensor.Dense)
		}
	}
}

// copier knows the copies of the pointers, slices and maps it has met.
type copier struct {
	done    map[identity]reflect.Value
	late    *lateTensors // nil to copy tensors at once
	inLayer bool         // inside a built-in layer, whose tensors may be late
}

// copy sets the place to to a copy of from, which has the same type and stands at path.
func (c copier) copy(to, from reflect.Value, path string) error {
	to.Set(from)
	if isReference(from.Kind()) && from.IsZero() {
		return nil
	}
	id, shared := identityOf(from)
	if made, ok := c.done[id]; ok && shared {
		to.Set(made)
		return nil
	}
	remember := func(made reflect.Value) { // before going inside, which may lead back here
		if shared {
			c.done[id] = made
		}
		to.Set(made)
	}
	if c.inLayer && from.Type() == reflect.TypeFor[*tensor.Dense]() {
		c.late.originals[from.Interface().(*tensor.Dense)] = id
		return nil
	}
	if own, err := copyOwn(from); own.IsValid() || err != nil {
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		remember(own)
		return nil
	}
	switch from.Kind() {
	case reflect.Pointer:
		remember(reflect.New(from.Type().Elem()).Convert(from.Type()))
		c.inLayer = c.late.take(to)
		return c.copy(to.Elem(), from.Elem(), path)
	case reflect.Interface:
		inner := reflect.New(from.Elem().Type()).Elem()
		err := c.copy(inner, from.Elem(), path)
		to.Set(inner)
		return err
	case reflect.Slice:
		remember(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
		return c.elements(to, from, path)
	case reflect.Array:
		return c.elements(to, from, path)
	case reflect.Map:
		remember(reflect.MakeMapWithSize(from.Type(), from.Len()))
		return c.entries(to, from, path)
	case reflect.Struct:
		return c.fields(to, from, path)
	case reflect.Chan, reflect.UnsafePointer:
		return fmt.Errorf("%s: %v: %w", path, from.Type(), ErrNoCopy)
	}
	return nil
}

// copyOwn copies what does not need reflection: tensors and modules with a method for it.
func copyOwn(from reflect.Value) (reflect.Value, error) {
	if from.Kind() == reflect.Interface {
		return reflect.Value{}, nil // the value inside has its turn
	}
	switch own := from.Interface().(type) {
	case *tensor.Dense:
		return reflect.ValueOf(copyTensor(own)), nil
	case Copier:
		m, err := own.CopyModule()
		if err == nil && (isNil(m) || reflect.TypeOf(m) != from.Type()) {
			err = fmt.Errorf("CopyModule of %v returned a %T", from.Type(), m)
		}
		return reflect.ValueOf(m), err
	}
	return reflect.Value{}, nil
}

func copyTensor(d *tensor.Dense) *tensor.Dense {
	if d.Engine() == nil { // the zero value, which Clone panics on
		return new(tensor.Dense)
	}
	return d.Clone().(*tensor.Dense)
}

func (c copier) elements(to, from reflect.Value, path string) error {
	if !canHold(from.Type().Elem()) {
		reflect.Copy(to, from)
		return nil
	}
	for i := range from.Len() {
		if err := c.copy(to.Index(i), from.Index(i), join(path, strconv.Itoa(i))); err != nil {
			return err
		}
	}
	return nil
}

func (c copier) entries(to, from reflect.Value, path string) error {
	for _, k := range sortedKeys(from) {
		key, value := reflect.New(k.Type()).Elem(), reflect.New(from.Type().Elem()).Elem()
		at := join(path, fmt.Sprint(k))
		if !from.MapIndex(k).IsValid() { // NaN
			return fmt.Errorf("%s: a key that is not equal to itself", at)
		}
		if err := c.copy(key, k, at); err != nil {
			return err
		}
		if err := c.copy(value, from.MapIndex(k), at); err != nil {
			return err
		}
		to.SetMapIndex(key, value)
	}
	return nil
}

func (c copier) fields(to, from reflect.Value, path string) error {
	for i := range from.NumField() {
		field := from.Type().Field(i)
		at := join(path, field.Name)
		if isPromoted(field) {
			if err := c.fields(to.Field(i), from.Field(i), at); err != nil {
				return err
			}
			continue
		}
		if !field.IsExported() {
			if refers(from.Field(i)) {
				return fmt.Errorf("%s is unexported: %w", at, ErrNoCopy)
			}
			continue
		}
		if err := c.copy(to.Field(i), from.Field(i), at); err != nil {
			return err
		}
	}
	return nil
}

// refers reports whether v leads to memory that an assignment does not copy.
func refers(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if refers(v.Field(i)) {
				return true
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			if refers(v.Index(i)) {
				return true
			}
		}
	}
	return isReference(v.Kind()) && !v.IsZero()
}

func isReference(k reflect.Kind) bool {
	switch k {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map, reflect.Chan, reflect.UnsafePointer:
		return true
	}
	return false
}
