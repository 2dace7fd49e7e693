package nn

import (
	"fmt"
	"slices"
	"strconv"

	"gorgonia.org/tensor"
)

// Sequential runs its children one after the other.
type Sequential struct {
	Children []Child
}

// NewSequential names its modules "0", "1", "2" and so on, as PyTorch does.
func NewSequential(modules ...Module) *Sequential {
	s := &Sequential{}
	for i, m := range modules {
		s.Children = append(s.Children, Child{Name: strconv.Itoa(i), Module: m})
	}
	return s
}

// Child is the child of that name, nil if there is none.
func (s *Sequential) Child(name string) Module {
	i := slices.IndexFunc(s.Children, func(c Child) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return s.Children[i].Module
}

// Forward hands x through the children in order; without any it returns x.
func (s *Sequential) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	for _, c := range s.Children {
		if isNil(c.Module) {
			return nil, fmt.Errorf("nn: child %q is nil", c.Name)
		}
		var err error
		if x, err = c.Module.Forward(x); err != nil {
			return nil, fmt.Errorf("child %q: %w", c.Name, err)
		}
	}
	return x, nil
}

// DataParallel wraps a module, as PyTorch's does; a norm search looks through it.
type DataParallel struct {
	Module Module
}

// Forward is the wrapped module's.
func (d *DataParallel) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	if isNil(d.Module) {
		return nil, fmt.Errorf("nn: DataParallel wraps nothing")
	}
	return d.Module.Forward(x)
}
