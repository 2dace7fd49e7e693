package onnxtest

import "fmt"

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
