package onnxtest

import (
	"fmt"
	"slices"
)

// call is a node with its inputs.
type call struct {
	*scope
	node *Node
	in   []*Array // nil where an input is not given
}

// run calls a function of the model if there is one of the node's name, else the operator.
func (c *call) run() []*Array {
	defer func() {
		if r := recover(); r != nil {
			failure, ok := r.(evalError)
			if !ok {
				panic(r)
			}
			panic(evalError{fmt.Errorf("%s %q: %w", c.node.Op, c.node.Name, failure.error)})
		}
	}()
	for i := range c.model.Functions {
		f := &c.model.Functions[i]
		if sameDomain(f.Domain, c.node.Domain) && f.Name == c.node.Op && f.Overload == c.node.Overload {
			return c.function(f)
		}
	}
	if !sameDomain(c.node.Domain, "") {
		failf("unknown domain %q", c.node.Domain)
	}
	return c.operator()
}

// function evaluates a model-local function: its own opsets, its own names, attributes by reference.
func (c *call) function(f *Function) []*Array {
	inner := &scope{model: c.model, opsets: f.Opsets, attrs: make(map[string]Attr)}
	for _, a := range f.Defaults {
		inner.attrs[a.Name] = a
	}
	for _, a := range c.node.Attrs {
		if resolved, ok := c.attr(a.Name); ok {
			inner.attrs[a.Name] = resolved
		}
	}
	inner.values = make(map[string]*Array)
	for i, name := range f.In {
		if i < len(c.in) && c.in[i] != nil {
			inner.values[name] = c.in[i]
		}
	}
	inner.runNodes(f.Nodes)
	outputs := make([]*Array, len(f.Out))
	for i, name := range f.Out {
		outputs[i] = inner.lookup(name)
	}
	return outputs
}

func sameDomain(a, b string) bool {
	if a == "ai.onnx" {
		a = ""
	}
	if b == "ai.onnx" {
		b = ""
	}
	return a == b
}

// version is the opset version the node's domain was imported with.
func (c *call) version() int64 {
	for _, o := range c.opsets {
		if sameDomain(o.Domain, c.node.Domain) {
			return o.Version
		}
	}
	failf("no opset is imported for domain %q", c.node.Domain)
	return 0
}

// need is an input that must be given.
func (c *call) need(i int) *Array {
	a := c.maybe(i)
	if a == nil {
		failf("input %d is not given", i)
	}
	return a
}

// maybe is an input, nil if it is not given.
func (c *call) maybe(i int) *Array {
	if i >= len(c.in) {
		return nil
	}
	return c.in[i]
}

// hasOutput reports whether output i has a name.
func (c *call) hasOutput(i int) bool { return i < len(c.node.Out) && c.node.Out[i] != "" }

// attr is an attribute, with a reference to the function's attribute followed.
func (c *call) attr(name string) (Attr, bool) {
	for _, a := range c.node.Attrs {
		if a.Name != name {
			continue
		}
		if a.Ref == "" {
			return a, true
		}
		value, ok := c.attrs[a.Ref]
		value.Name = name
		return value, ok
	}
	return Attr{}, false
}

func (c *call) int(name string, absent int) int {
	if a, ok := c.attr(name); ok {
		return int(a.I)
	}
	return absent
}

func (c *call) float(name string, absent float32) float64 {
	if a, ok := c.attr(name); ok {
		return float64(a.F)
	}
	return float64(absent)
}

func (c *call) text(name, absent string) string {
	if a, ok := c.attr(name); ok {
		return a.S
	}
	return absent
}

func (c *call) intsAttr(name string) ([]int, bool) {
	a, ok := c.attr(name)
	list := make([]int, len(a.Ints))
	for i, x := range a.Ints {
		list[i] = int(x)
	}
	return list, ok
}

// intsOr is a list of n integers, all the same where the attribute is absent.
func (c *call) intsOr(name string, n, absent int) []int {
	if list, ok := c.intsAttr(name); ok {
		if len(list) != n {
			failf("%s has %d values, need %d", name, len(list), n)
		}
		return list
	}
	return slices.Repeat([]int{absent}, n)
}

// axes are given as an attribute in old opsets and as input i in newer ones; nil where in neither.
func (c *call) axes(name string, i, rank int) []int {
	list, ok := c.intsAttr(name)
	if a := c.maybe(i); a != nil {
		list, ok = a.ints(), true
	}
	if !ok {
		return nil
	}
	for k := range list {
		list[k] = c.wrap(list[k], rank)
	}
	return list
}

// wrap counts a negative axis from the end.
func (c *call) wrap(axis, rank int) int {
	if axis < 0 {
		axis += rank
	}
	if axis < 0 || axis > rank {
		failf("axis %d of rank %d", axis, rank)
	}
	return axis
}
