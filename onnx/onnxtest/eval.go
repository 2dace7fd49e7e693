package onnxtest

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Eval runs the model at inference and gives the graph's outputs by name. Inputs are by name too; an
// input with an initializer of the same name may be left out. External tensors must have been loaded.
//
// Constants are taken exactly, arithmetic is float64 and nothing is rounded to a tensor's type, Cast
// excepted: rounding is what Cast is for. So two models that differ only in how their weights were
// rounded give results that differ by no more than that.
//
// An operator that draws random numbers, or that this package does not know, is an error.
func Eval(m *Model, inputs map[string]Array) (outputs map[string]Array, err error) {
	// Operators give up by a panic with an evalError: an interpreter of a hundred small functions
	// is easier to read so. None leaves this function.
	defer func() {
		if r := recover(); r != nil {
			failure, ok := r.(evalError)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("onnxtest: %w", failure.error)
		}
	}()
	if m.Graph == nil {
		return nil, fmt.Errorf("onnxtest: the model has no graph")
	}
	s := &scope{model: m, opsets: m.Opsets, values: make(map[string]*Array)}
	s.initialize(m.Graph)
	for name, a := range inputs {
		s.values[name] = &a
	}
	outputs = make(map[string]Array)
	for i, out := range s.run(m.Graph) {
		outputs[m.Graph.Outputs[i].Name] = *out
	}
	return outputs, nil
}

type evalError struct{ error }

func failf(format string, args ...any) { panic(evalError{fmt.Errorf(format, args...)}) }

// scope holds the values that a graph's nodes can see by name.
type scope struct {
	parent *scope // of the graph around, for a subgraph
	model  *Model
	opsets []Opset
	attrs  map[string]Attr // in a function: its attributes, for RefAttr
	values map[string]*Array
}

func (s *scope) lookup(name string) *Array {
	for at := s; at != nil; at = at.parent {
		if a, ok := at.values[name]; ok {
			return a
		}
	}
	failf("%q is used before it has a value", name)
	return nil
}

func (s *scope) initialize(g *Graph) {
	for _, t := range g.Init {
		if t.NumElem() != len(t.elemBits()) {
			failf("initializer %q has %d elements, dims %v", t.Name, len(t.elemBits()), t.Dims)
		}
		a := t.Array()
		s.values[t.Name] = &a
	}
	for _, t := range g.SparseInit {
		s.values[t.Values.Name] = t.dense()
	}
}

// run evaluates the nodes and gives the outputs in order.
func (s *scope) run(g *Graph) []*Array {
	s.runNodes(g.Nodes)
	outputs := make([]*Array, len(g.Outputs))
	for i, v := range g.Outputs {
		outputs[i] = s.lookup(v.Name)
	}
	return outputs
}

func (s *scope) runNodes(nodes []Node) {
	for i := range nodes {
		n := &nodes[i]
		c := &call{scope: s, node: n, in: make([]*Array, len(n.In))}
		for i, name := range n.In {
			if name != "" {
				c.in[i] = s.lookup(name)
			}
		}
		for i, a := range c.run() {
			if i < len(n.Out) && n.Out[i] != "" {
				s.values[n.Out[i]] = a
			}
		}
	}
}

// subgraph evaluates a body that sees this scope, with values for its inputs.
func (s *scope) subgraph(g *Graph, inputs []*Array) []*Array {
	inner := &scope{parent: s, model: s.model, opsets: s.opsets, attrs: s.attrs}
	inner.values = make(map[string]*Array)
	inner.initialize(g)
	if len(inputs) != len(g.Inputs) {
		failf("graph %q has %d inputs, got %d", g.Name, len(g.Inputs), len(inputs))
	}
	for i, v := range g.Inputs {
		inner.values[v.Name] = inputs[i]
	}
	return inner.run(g)
}

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

// RandomInputs makes inputs for the graph, the same for the same seed: numbers between -1 and 1,
// rounded to their type, and true for an odd seed. An axis without a size gets 2. An input with an
// initializer is left out.
func RandomInputs(m *Model, seed uint64) map[string]Array {
	inputs := make(map[string]Array)
	given := make(map[string]bool)
	for _, t := range m.Graph.Init {
		given[t.Name] = true
	}
	r := random(seed)
	for _, v := range m.Graph.Inputs {
		switch {
		case given[v.Name]:
		case v.Elem == Bool:
			inputs[v.Name] = randomArray(v, float64(seed%2), float64(seed%2), &r)
		default:
			inputs[v.Name] = randomArray(v, -1, 1, &r)
		}
	}
	return inputs
}

func randomArray(v Value, low, high float64, r *random) Array {
	a := Array{Elem: v.Elem}
	for _, d := range v.Dims {
		size := int(d.Size)
		if d.Any || d.Name != "" {
			size = 2
		}
		a.Dims = append(a.Dims, size)
	}
	a.Data = make([]float64, numElem(a.Dims))
	for i := range a.Data {
		x := low + (high-low)*r.float()
		a.Data[i] = v.Elem.value(v.Elem.bits(x))
	}
	return a
}

// random is a sequence of numbers that is part of the tests: splitmix64.
type random uint64

// float is at least 0 and less than 1.
func (r *random) float() float64 {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return float64((z^z>>31)>>11) / (1 << 53)
}

// sortedKeys is for messages that do not change from run to run.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
