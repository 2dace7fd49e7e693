package onnxtest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Sound checks what every rewrite must leave true: names are defined once and before their use;
// nothing that a fold left without use remains, and no value_info or annotation of a tensor that is
// gone; inputs and outputs, metadata, opsets, unknown fields and the nodes' attributes are as before.
func Sound(before, after *Model) error {
	was, is := collect(before), collect(after)
	errs := []error{sameInterface(before, after), sameNodes(before, after), namedOnce(before, after)}
	for _, name := range is.undefined {
		if !slices.Contains(was.undefined, name) {
			errs = append(errs, fmt.Errorf("%q is used before it is defined", name))
		}
	}
	for _, name := range is.twice {
		if !slices.Contains(was.twice, name) {
			errs = append(errs, fmt.Errorf("%q is defined twice", name))
		}
	}
	for _, name := range is.shadowing {
		if !slices.Contains(was.shadowing, name) {
			errs = append(errs, fmt.Errorf("%q hides a tensor of the graph around", name))
		}
	}
	for _, name := range is.unused {
		if !slices.Contains(was.unused, name) {
			errs = append(errs, fmt.Errorf("nothing uses %q any more", name))
		}
	}
	for _, name := range is.stale {
		if !slices.Contains(was.stale, name) {
			errs = append(errs, fmt.Errorf("%q is described and is gone", name))
		}
	}
	return errors.Join(errs...)
}

func sameInterface(before, after *Model) error {
	var errs []error
	same := func(what string, got, want any) {
		if !reflect.DeepEqual(got, want) {
			errs = append(errs, fmt.Errorf("%s: %+v, was %+v", what, got, want))
		}
	}
	same("ir_version", after.IR, before.IR)
	same("opsets", after.Opsets, before.Opsets)
	same("metadata", after.Metadata, before.Metadata)
	same("training info", after.TrainingInfo, before.TrainingInfo)
	same("model's unknown fields", after.Unknown, before.Unknown)
	same("graph's name", after.Graph.Name, before.Graph.Name)
	same("graph's metadata", after.Graph.Metadata, before.Graph.Metadata)
	same("graph's unknown fields", after.Graph.Unknown, before.Graph.Unknown)
	same("outputs", after.Graph.Outputs, before.Graph.Outputs)
	same("inputs", after.trueInputs(), before.trueInputs())
	same("number of functions", len(after.Functions), len(before.Functions))
	return errors.Join(errs...)
}

// trueInputs are the graph's inputs, before IR 4 without the initializers, which had to be listed and
// come and go.
func (m *Model) trueInputs() []Value {
	if m.IR >= 4 {
		return m.Graph.Inputs
	}
	return slices.DeleteFunc(slices.Clone(m.Graph.Inputs), func(v Value) bool {
		return slices.ContainsFunc(m.Graph.Init, func(t Tensor) bool { return t.Name == v.Name })
	})
}

// namedOnce wants no two nodes of one name where there were none, and with each name what was said of its node.
func namedOnce(before, after *Model) error {
	var errs []error
	was, seen := map[string][]Node{}, map[string]bool{}
	before.EachNode(func(n *Node) { was[n.Name] = append(was[n.Name], *n) })
	after.EachNode(func(n *Node) {
		switch old := was[n.Name]; {
		case n.Name == "" || len(old) > 1:
		case seen[n.Name]:
			errs = append(errs, fmt.Errorf("two nodes are called %q", n.Name))
		case len(old) == 1 && (n.Doc != old[0].Doc || !reflect.DeepEqual(n.Metadata, old[0].Metadata)):
			errs = append(errs, fmt.Errorf("%q lost what is said of it: %q %v, was %q %v", n.Name, n.Doc, n.Metadata, old[0].Doc, old[0].Metadata))
		}
		seen[n.Name] = true
	})
	return errors.Join(errs...)
}

// sameNodes compares what is said of each node that is still there. A Gemm's beta becomes 1 when β·C
// is multiplied out, and subgraphs are compared node by node.
func sameNodes(before, after *Model) error {
	type key struct{ name, op string }
	was := make(map[key]Node)
	before.EachNode(func(n *Node) { was[key{n.Name, n.Op}] = *n })
	var errs []error
	after.EachNode(func(n *Node) {
		old, ok := was[key{n.Name, n.Op}]
		if !ok {
			return
		}
		if !reflect.DeepEqual(plainAttrs(*n), plainAttrs(old)) {
			errs = append(errs, fmt.Errorf("%s %q has other attributes than before", n.Op, n.Name))
		}
		if n.Doc != old.Doc || !slices.Equal(n.Unknown, old.Unknown) || !slices.Equal(n.Metadata, old.Metadata) {
			errs = append(errs, fmt.Errorf("%s %q lost what was said of it", n.Op, n.Name))
		}
	})
	return errors.Join(errs...)
}

func plainAttrs(n Node) []Attr {
	var attrs []Attr
	for _, a := range n.Attrs {
		isBeta := n.Op == "Gemm" && a.Name == "beta"
		if a.G == nil && a.Graphs == nil && a.T == nil && !isBeta {
			attrs = append(attrs, a)
		}
	}
	return attrs
}

// names is what collect finds out about a model's names.
type names struct {
	undefined, twice, shadowing, unused, stale []string
}

func collect(m *Model) *names {
	found := &names{}
	found.graph(m.Graph, nil)
	for _, f := range m.Functions {
		g := &Graph{Name: f.Name, Nodes: f.Nodes, ValueInfo: f.Values}
		for _, name := range f.In {
			g.Inputs = append(g.Inputs, Value{Name: name})
		}
		for _, name := range f.Out {
			g.Outputs = append(g.Outputs, Value{Name: name})
		}
		found.graph(g, nil)
	}
	return found
}

// nameScope counts the uses of each name of a graph.
type nameScope struct {
	parent *nameScope
	uses   map[string]int
}

func (s *nameScope) use(name string) bool {
	for at := s; at != nil; at = at.parent {
		if _, ok := at.uses[name]; ok {
			at.uses[name]++
			return true
		}
	}
	return false
}

func (s *nameScope) has(name string) bool {
	for at := s; at != nil; at = at.parent {
		if _, ok := at.uses[name]; ok {
			return true
		}
	}
	return false
}

func (found *names) graph(g *Graph, parent *nameScope) {
	s := &nameScope{parent: parent, uses: make(map[string]int)}
	define := func(name string) {
		if _, ok := s.uses[name]; ok {
			found.twice = append(found.twice, name)
		}
		if parent.has(name) {
			found.shadowing = append(found.shadowing, name)
		}
		s.uses[name] += 0
	}
	var initializers []string
	for _, t := range g.Init {
		initializers = append(initializers, t.Name)
	}
	for _, t := range g.SparseInit {
		initializers = append(initializers, t.Values.Name)
	}
	for _, name := range initializers {
		define(name)
	}
	for _, v := range g.Inputs {
		if !slices.Contains(initializers, v.Name) {
			define(v.Name)
		}
	}
	for _, n := range g.Nodes {
		for _, name := range n.In {
			if name != "" && !s.use(name) {
				found.undefined = append(found.undefined, name)
			}
		}
		for _, sub := range n.subgraphs() {
			found.graph(sub, s)
		}
		for _, name := range n.Out {
			if name != "" {
				define(name)
			}
		}
	}
	for _, v := range g.Outputs {
		if !s.use(v.Name) {
			found.undefined = append(found.undefined, v.Name)
		}
	}
	found.leftovers(g, s, initializers)
}

// leftovers finds initializers and nodes without a use, and descriptions of what is not there.
func (found *names) leftovers(g *Graph, s *nameScope, initializers []string) {
	annotated := map[string]bool{} // as the scale or zero point of another tensor
	for _, a := range g.Annotations {
		for _, p := range a.Params {
			annotated[p.Value] = true
		}
	}
	for _, name := range initializers {
		if s.uses[name] == 0 && !annotated[name] {
			found.unused = append(found.unused, name)
		}
	}
	for _, n := range g.Nodes {
		used := 0
		for _, name := range n.Out {
			used += s.uses[name]
		}
		if used == 0 {
			found.unused = append(found.unused, n.Out...)
		}
	}
	for _, v := range g.ValueInfo {
		if _, ok := s.uses[v.Name]; !ok {
			found.stale = append(found.stale, v.Name)
		}
	}
	for _, a := range g.Annotations {
		if _, ok := s.uses[a.Tensor]; !ok {
			found.stale = append(found.stale, a.Tensor)
		}
	}
}
