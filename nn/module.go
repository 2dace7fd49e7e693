package nn

import (
	"reflect"

	"gorgonia.org/tensor"
)

// Module is a network or a part of one.
type Module interface {
	// Forward computes the module's output at inference. It leaves x as it is.
	Forward(x *tensor.Dense) (*tensor.Dense, error)
}

// Child is a module and the name its parent knows it by, as in a state dict's keys.
type Child struct {
	Name   string
	Module Module
}

// Parent is a module that lists its children itself, for one that keeps them where reflection over
// exported fields does not find them.
type Parent interface {
	Module

	// NamedChildren lists the children, in the same order each time. Names are unique.
	NamedChildren() []Child

	// ReplaceChild puts m in the place of the child of that name and reports whether it did. It is
	// called when a Sequential is left with one module; after a refusal the Sequential stays.
	ReplaceChild(name string, m Module) bool
}

// kindOf is the name of the module's type, by which layers are selected and handlers found: "Conv2d".
func kindOf(m Module) string {
	t := reflect.TypeOf(m)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// isNil reports whether m is nil or a nil pointer in an interface.
func isNil(m Module) bool {
	if m == nil {
		return true
	}
	v := reflect.ValueOf(m)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// identity tells two modules that are one object from two that are alike.
type identity struct {
	t   reflect.Type
	ptr uintptr
	len int
}

// identityOf is v's identity; false for a plain value, which no other place can refer to.
func identityOf(v reflect.Value) (identity, bool) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Map:
		return identity{v.Type(), v.Pointer(), 0}, true
	case reflect.Slice:
		return identity{v.Type(), v.Pointer(), v.Len()}, true
	}
	return identity{}, false
}

// join appends a name to a path, "features" and "0" to "features.0".
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
