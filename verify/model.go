package verify

import (
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
)

// model is one of the two files, indexed: its graphs and nodes are in memory, its tensors' data are not.
type model struct {
	*source
	externals

	ir        int64
	opsets    map[string]int64
	graph     *graph
	functions []*graph
	local     map[operator]bool           // operators that functions of the model define
	nodes     int                         // of all graphs
	rest      map[protowire.Number][]span // every other field
}

// operator is what a node computes.
type operator struct{ domain, name, overload string }

// graph is the graph of a model, of an attribute, or the body of a function.
type graph struct {
	m        *model
	parent   *graph
	title    string // for messages
	isFunc   bool
	opsets   map[string]int64
	nodes    []*node
	producer map[string]*node
	inits    map[string]*tensor
	order    []string // of inits
	inputs   []described
	inputAt  map[string]int // the index of each of inputs
	outputs  []described
	infos    map[string]span
	quant    map[string]span
	rest     map[protowire.Number][]span

	shapes map[string]shape
}

// described is an input or output and the ValueInfoProto that describes it, empty in a function.
type described struct {
	name string
	at   span
}

// node is one node of a graph.
type node struct {
	g       *graph
	op      string // of the standard domain; "" for an operator that is not standard here
	key     operator
	name    string
	in, out []string
	attrs   []*attribute
	rest    []span // every other field
	place   int    // among all nodes of the file

	shift *norm // of a norm that a fused checkpoint still has, but neutral: what its bias still does
}

func (n *node) String() string {
	if n.name != "" {
		return fmt.Sprintf("%s %q", n.key.name, n.name)
	}
	if len(n.out) > 0 {
		return fmt.Sprintf("%s → %q", n.key.name, n.out[0])
	}
	return n.key.name
}

// label is the node's name, or what tells it from others where it has none.
func (n *node) label() string {
	if n.name != "" {
		return n.name
	}
	return n.String()
}

// input is the name of input i, "" for none.
func (n *node) input(i int) string {
	if i < len(n.in) {
		return n.in[i]
	}
	return ""
}

// value is a tensor by the graph that defines it.
type value struct {
	g    *graph
	name string
}

// find resolves a name as a node in g means it. The graph is nil for a name that nothing defines.
func (g *graph) find(name string) value {
	for at := g; at != nil; at = at.parent {
		if at.defines(name) {
			return value{at, name}
		}
	}
	return value{nil, name}
}

func (g *graph) defines(name string) bool {
	return g.producer[name] != nil || g.inits[name] != nil || g.isInput(name)
}

func (g *graph) isInput(name string) bool {
	_, ok := g.inputAt[name]
	return ok
}

func (v value) producer() *node {
	if v.g == nil {
		return nil
	}
	return v.g.producer[v.name]
}

// label is what a stored tensor is called in messages: in a checkpoint by its key there.
func (v value) label() string {
	if t := v.stored(); t != nil && t.state != nil {
		return t.state.Name
	}
	return v.name
}

func (v value) stored() *tensor {
	if v.g == nil || v.g.producer[v.name] != nil {
		return nil
	}
	return v.g.inits[v.name]
}

// overridable reports whether whoever runs the model may replace a stored tensor. Before IR 4 every
// initializer had to be listed as an input.
func (v value) overridable() bool {
	return v.g.isInput(v.name) && (v.g.m.ir >= 4 || v.g.parent != nil)
}

// openModel indexes a file.
func openModel(path string) (*model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	} else if err == nil && st.Size() == 0 {
		err = errors.New("the file is empty")
	}
	var m *model
	if err == nil {
		m, err = readModel(f, st.Size())
	}
	if err != nil {
		f.Close()
		return nil, bare(err)
	}
	m.externals.of(path, f)
	return m, nil
}

// bare drops the path from an error that will be given one.
func bare(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func readModel(r io.ReaderAt, nBytes int64) (*model, error) {
	m := &model{source: &source{ReaderAt: r, nBytes: nBytes}, opsets: map[string]int64{}, local: map[operator]bool{}, rest: map[protowire.Number][]span{}}
	var graphs, functions []span
	err := m.fields(span{0, nBytes}, func(fd field) error {
		switch fd.num {
		case 7:
			graphs = append(graphs, fd.body)
			return nil
		case 25:
			functions = append(functions, fd.body)
			return nil
		case 1:
			m.ir = int64(fd.value)
		case 8:
			if err := m.parseOpset(m.opsets, fd.body); err != nil {
				return err
			}
		}
		m.rest[fd.num] = append(m.rest[fd.num], fd.whole)
		return nil
	})
	if err == nil && len(graphs) == 0 {
		err = errors.New("there is no graph")
	}
	if err != nil {
		return nil, fmt.Errorf("not an ONNX model, or a damaged one: %w", err)
	}
	for _, at := range functions { // what they define decides what the graph's nodes mean
		key, err := m.functionKey(at)
		if err != nil {
			return nil, err
		}
		m.local[key] = true
	}
	for _, at := range functions {
		g, err := m.parseFunction(at)
		if err != nil {
			return nil, err
		}
		m.functions = append(m.functions, g)
	}
	m.graph, err = m.parseGraph(nil, "the graph", graphs...)
	return m, err
}

// parseOpset reads an OperatorSetIdProto.
func (m *model) parseOpset(into map[string]int64, at span) error {
	domain, version := "", int64(0)
	err := m.fields(at, func(fd field) (err error) {
		switch fd.num {
		case 1:
			domain, err = m.text(fd)
		case 2:
			version = int64(fd.value)
		}
		return err
	})
	into[standard(domain)] = version
	return err
}

// standard is the domain; the standard one has two names.
func standard(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}

// text reads a field that is a string.
func (f *source) text(fd field) (string, error) {
	if fd.typ != protowire.BytesType {
		return "", fmt.Errorf("field %d is not a string", fd.num)
	}
	b, err := f.bytes(fd.body)
	return string(b), err
}
