package verify

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

func newGraph(m *model, parent *graph, title string) *graph {
	g := &graph{m: m, parent: parent, title: title, opsets: m.opsets, producer: map[string]*node{}, inits: map[string]*tensor{}, inputAt: map[string]int{},
		infos: map[string]span{}, quant: map[string]span{}, rest: map[protowire.Number][]span{}, shapes: map[string]shape{}}
	if parent != nil {
		g.opsets, g.isFunc = parent.opsets, parent.isFunc
	}
	return g
}

// maxDepth is how deep graphs may nest: a file must not decide how far a parser descends.
const maxDepth = 100

// parseGraph reads a GraphProto, which may come in pieces.
func (m *model) parseGraph(parent *graph, title string, at ...span) (*graph, error) {
	g := newGraph(m, parent, title)
	depth := 0
	for p := parent; p != nil; p = p.parent {
		if depth++; depth > maxDepth {
			return nil, errors.New("graphs nest too deeply")
		}
	}
	for _, s := range at {
		if err := m.fields(s, g.parseField); err != nil {
			return nil, fmt.Errorf("%s: %w", title, err)
		}
	}
	return g, g.definedOnce()
}

// definedOnce refuses a name that two things give. Before IR 4 an initializer is an input too.
func (g *graph) definedOnce() error {
	for name := range g.producer {
		if g.inits[name] != nil || g.isInput(name) {
			return fmt.Errorf("%s: a node gives %q, which is defined without it", g.title, name)
		}
	}
	return nil
}

func (g *graph) parseField(fd field) error {
	if fd.typ == protowire.BytesType {
		switch fd.num {
		case 1:
			return g.parseNode(fd.body)
		case 5:
			t, err := g.m.parseTensor(fd.body)
			return g.store(t, err)
		case 15:
			return g.parseSparse(fd.body)
		case 11:
			if err := g.describe(fd, &g.inputs); err != nil {
				return err
			}
			g.inputAt[g.inputs[len(g.inputs)-1].name] = len(g.inputs) - 1
			return nil
		case 12:
			return g.describe(fd, &g.outputs)
		case 13:
			return g.note(fd, g.infos)
		case 14:
			return g.note(fd, g.quant)
		}
	}
	g.rest[fd.num] = append(g.rest[fd.num], fd.whole)
	return nil
}

func (g *graph) store(t *tensor, err error) error {
	if err != nil {
		return err
	}
	if g.inits[t.name] != nil {
		return fmt.Errorf("two tensors are named %q", t.name)
	}
	g.inits[t.name] = t
	g.order = append(g.order, t.name)
	return nil
}

// parseSparse reads a SparseTensorProto, whose name is its values'.
func (g *graph) parseSparse(at span) error {
	t := &tensor{m: g.m, at: []span{at}, sparse: true}
	err := g.m.fields(at, func(fd field) error {
		if fd.num != 1 {
			return nil
		}
		values, err := g.m.parseTensor(fd.body)
		if err == nil {
			t.name = values.name
		}
		return err
	})
	return g.store(t, err)
}

// describe adds an input or an output: ValueInfoProto.name is field 1.
func (g *graph) describe(fd field, list *[]described) error {
	name, err := g.m.nameOf(fd.body)
	*list = append(*list, described{name, fd.body})
	return err
}

func (g *graph) note(fd field, into map[string]span) error {
	name, err := g.m.nameOf(fd.body)
	into[name] = fd.body
	return err
}

func (f *source) nameOf(at span) (name string, err error) {
	err = f.fields(at, func(fd field) (err error) {
		if fd.num == 1 {
			name, err = f.text(fd)
		}
		return err
	})
	return name, err
}

func (g *graph) parseNode(at span) error {
	g.m.nodes++
	n := &node{g: g, place: g.m.nodes}
	err := g.m.fields(at, func(fd field) (err error) {
		switch fd.num {
		case 1, 2:
			var s string
			s, err = g.m.text(fd)
			if fd.num == 1 {
				n.in = append(n.in, s)
			} else {
				n.out = append(n.out, s)
			}
			return err
		case 5:
			a, err := g.m.parseAttribute(g, fd.body)
			n.attrs = append(n.attrs, a)
			return err
		case 3:
			n.name, err = g.m.text(fd)
		case 4:
			n.key.name, err = g.m.text(fd)
		case 7:
			n.key.domain, err = g.m.text(fd)
			n.key.domain = standard(n.key.domain)
		case 8:
			n.key.overload, err = g.m.text(fd)
		}
		n.rest = append(n.rest, fd.whole)
		return err
	})
	if err != nil {
		return fmt.Errorf("node %q: %w", n.name, err)
	}
	if n.key.domain == "" && !g.m.local[n.key] {
		n.op = n.key.name
	}
	for _, name := range n.out {
		if name == "" {
			continue
		}
		if g.producer[name] != nil {
			return fmt.Errorf("two nodes give %q", name)
		}
		g.producer[name] = n
	}
	g.nodes = append(g.nodes, n)
	return nil
}

// functionKey reads what calls of a function name.
func (m *model) functionKey(at span) (key operator, err error) {
	err = m.fields(at, func(fd field) (err error) {
		switch fd.num {
		case 1:
			key.name, err = m.text(fd)
		case 10:
			key.domain, err = m.text(fd)
			key.domain = standard(key.domain)
		case 13:
			key.overload, err = m.text(fd)
		}
		return err
	})
	return key, err
}

// parseFunction reads a FunctionProto as a graph without a graph around it.
func (m *model) parseFunction(at span) (*graph, error) {
	key, err := m.functionKey(at)
	if err != nil {
		return nil, err
	}
	g := newGraph(m, nil, fmt.Sprintf("function %q", key.name))
	g.isFunc, g.opsets = true, map[string]int64{}
	err = m.fields(at, func(fd field) error {
		switch fd.num {
		case 4, 5:
			s, err := m.text(fd)
			if fd.num == 4 {
				g.inputAt[s] = len(g.inputs)
				g.inputs = append(g.inputs, described{name: s})
			} else {
				g.outputs = append(g.outputs, described{name: s})
			}
			return err
		case 7:
			return g.parseNode(fd.body)
		case 12:
			return g.note(fd, g.infos)
		case 9:
			if err := m.parseOpset(g.opsets, fd.body); err != nil {
				return err
			}
		}
		g.rest[fd.num] = append(g.rest[fd.num], fd.whole)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g.title, err)
	}
	return g, g.definedOnce()
}
