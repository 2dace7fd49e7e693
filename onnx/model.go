package onnx

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// model is the index of an ONNX file: who produces and who reads each value, and where in the file
// each node, tensor and annotation stands. Nothing else is held; attributes, dims and data are looked
// up in the file when a pattern asks. Nodes, values and tensors are numbered and refer to each other by
// number, in slices without pointers: a graph costs some 200 bytes a node, and the garbage collector
// nothing.
type model struct {
	walk     *file // reads in file order
	lookup   *file // reads nodes and annotations again
	weights  *file // reads initializers again
	ir       int64
	training bool // the model carries training_info

	opsets    map[string]int64 // by domain; "ai.onnx" is stored as ""
	functions map[string]bool  // operators that are model-local functions, as "domain\x00name"
	frames    []*frame         // of graphs, and of attributes with tensors stored outside
	graphs    []graph          // the main graph is the first
	nodes     []node           // in file order: an If stands before the nodes of its bodies
	values    []value
	names     names
	links     []int32 // the inputs, then the outputs, of every node
	tensors   []tensorRef
	infos     []info

	ops   []string // "domain\x00op_type" by number
	opIDs map[string]int32
	opKey []byte // room to build one

	userAt  []int32 // users of value v: userBy[userAt[v]:userAt[v+1]]
	userBy  []int32
	newUser map[int32][]int32 // users of a value that planning gave new ones
	uses    []int32           // how many inputs of live nodes read each value

	annotated []int32          // values that quantization_annotations name as another's scale or zero point
	unnamed   map[int32]string // what nodes without a name are called
	layers    []*layer         // the layers met so far, by node
	adds      map[int32]*layer // norms that became the Add of their MatMul, by node
	cache     constCache
	shapes    map[int32]shape
	lists     map[int32][]int // see listOf; the values are those that shapes has
	unranked  map[place]int   // sizes of values whose rank is not known
	symbols   int             // sizes that have a number
	depth     int             // of isConstant
	externals *externals
	scratch   tensor       // reused while indexing
	params    [4][]float64 // room for those of a BatchNormalization
}

// frame is a message whose length prefix changes when something inside it does.
type frame struct {
	parent *frame
	tag    int64 // where the field begins
	body   span
}

// graph is a GraphProto or a FunctionProto.
type graph struct {
	frames   []int32 // the message; several where it is split over fields
	parent   int32   // the graph whose node holds this one, -1 for none
	function bool
	opsets   map[string]int64
	scope    scope // the values this graph defines or mentions

	first, end int32   // its values have numbers from first up to end,
	late       []int32 // and these, which only a body inside it mentions
}

type node struct {
	field     span // the whole field, header included
	graph     int32
	op        int32
	link      uint32 // its first link
	nIn, nOut uint32
	head      uint8 // length of the field's header
	dead      bool  // planning removed it
	dirty     bool  // its inputs or outputs have other names now
	holds     uint8 // what it has in attributes that may be edited
}

func (n *node) body() span { return span{n.field.off + int64(n.head), n.field.end} }

// What a value is.
const (
	isInput   = 1 << iota // a graph's or function's input
	isOutput              // a graph's or function's output, or one that a body returns from outside
	isSparse              // a sparse initializer
	isDefined             // something defines it
	isShadow              // its name also names a value of a graph around or inside
	isGone                // planning removed it
	isConst               // found to be constant
	isVaried              // found not to be
)

type value struct {
	name     nameRef
	graph    int32
	producer int32 // the node that computes it, -1 for none
	tensor   int32 // the initializer's number, -1 for none
	alias    int32 // the value of an outer graph that it names, -1 for none
	info     int32 // the annotation that may tell its shape, -1 for none
	flags    uint16
}

// info is an annotation of a value: a ValueInfoProto or a TensorAnnotation.
type info struct {
	field span
	frame int32
	value int32
	head  uint8
	kind  infoKind
}

// infoKind orders annotations by how much their shape is trusted.
type infoKind uint8

const (
	quantAnnotation infoKind = iota
	graphOutput
	valueInfo
	graphInput
)

func (in *info) body() span { return span{in.field.off + int64(in.head), in.field.end} }

// tensorRef is where a TensorProto stands.
type tensorRef struct {
	field span  // the whole field
	frame int32 // the message around the field
	value int32 // the value it initializes, -1 for one in an attribute
	node  int32 // the node with that attribute, -1 for none
	head  uint8

	outside bool // the data lie in another file
	dead    bool // planning removed it
}

func (t *tensorRef) body() span { return span{t.field.off + int64(t.head), t.field.end} }

// link resolves the names that bodies take from the graphs around them, and lists each value's users.
func (m *model) link() error {
	for g := int32(len(m.graphs)) - 1; g > 0; g-- { // inner graphs have higher numbers
		gr := &m.graphs[g]
		if gr.parent < 0 {
			continue
		}
		for v := gr.first; v < gr.end; v++ {
			if m.values[v].graph == g {
				m.linkOut(v, gr.parent)
			}
		}
		for _, v := range gr.late {
			m.linkOut(v, gr.parent)
		}
	}
	for i, v := range m.links {
		m.links[i] = m.defined(v)
	}
	m.listUsers()
	return m.checkOrder()
}

// defined is the value that v stands for: its own, or one of a graph around.
func (m *model) defined(v int32) int32 {
	for v >= 0 && m.values[v].alias >= 0 {
		v = m.values[v].alias
	}
	return v
}

// linkOut finds what a body's value v is in the graph around it, if the body does not define it.
func (m *model) linkOut(v, parent int32) {
	if m.values[v].flags&isDefined != 0 {
		m.markShadow(v, parent)
		return
	}
	known := len(m.values)
	outer := m.intern(parent, m.names.at(m.values[v].name))
	if int(outer) == known {
		m.graphs[parent].late = append(m.graphs[parent].late, outer)
	}
	m.values[v].alias = outer
	m.values[outer].flags |= m.values[v].flags & isOutput
}

// markShadow marks v, and the values of the same name in the graphs around it.
func (m *model) markShadow(v, parent int32) {
	for ; parent >= 0; parent = m.graphs[parent].parent {
		outer := m.find(parent, m.names.at(m.values[v].name))
		if outer >= 0 && m.values[outer].flags&isDefined != 0 {
			m.values[outer].flags |= isShadow
			m.values[v].flags |= isShadow
		}
	}
}

func (m *model) listUsers() {
	m.uses = make([]int32, len(m.values))
	m.userAt = make([]int32, len(m.values)+1)
	for i := range m.nodes {
		for _, v := range m.in(int32(i)) {
			if v >= 0 {
				m.uses[v]++
			}
		}
	}
	for v, n := range m.uses {
		m.userAt[v+1] = m.userAt[v] + n
	}
	m.userBy = make([]int32, m.userAt[len(m.values)])
	fill := slices.Clone(m.userAt)
	for i := range m.nodes {
		for _, v := range m.in(int32(i)) {
			if v >= 0 {
				m.userBy[fill[v]] = int32(i)
				fill[v]++
			}
		}
	}
	for _, v := range m.annotated {
		m.uses[m.defined(v)]++ // by no node: it stays as it is
	}
}

// checkOrder finds a cycle. Files may list nodes in any order, though most are sorted already.
func (m *model) checkOrder() error {
	missing := make([]int32, len(m.nodes)) // inputs not computed yet
	var ready []int32
	for i := range m.nodes {
		for _, v := range m.in(int32(i)) {
			if v >= 0 && m.values[v].producer >= 0 {
				missing[i]++
			}
		}
		if missing[i] == 0 {
			ready = append(ready, int32(i))
		}
	}
	done := 0
	for len(ready) > 0 {
		n := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		done++
		for _, v := range m.out(n) {
			if v < 0 {
				continue
			}
			for _, u := range m.users(v) {
				if missing[u]--; missing[u] == 0 {
					ready = append(ready, u)
				}
			}
		}
	}
	if done == len(m.nodes) {
		return nil
	}
	for i := range m.nodes {
		if missing[i] > 0 {
			return fmt.Errorf("node %q waits for its own output: the graph has a cycle", m.nodeName(int32(i)))
		}
	}
	return nil
}

// clone is the index as it is now, which planning does not change. The places in the file and the text of names
// are shared.
func (m *model) clone() *model {
	c := *m
	c.nodes, c.values, c.links = slices.Clone(m.nodes), slices.Clone(m.values), slices.Clone(m.links)
	c.tensors, c.uses, c.layers = slices.Clone(m.tensors), slices.Clone(m.uses), slices.Clone(m.layers)
	c.newUser, c.unnamed, c.adds = maps.Clone(m.newUser), maps.Clone(m.unnamed), maps.Clone(m.adds)
	c.cache, c.shapes, c.lists, c.unranked, c.scratch, c.params = constCache{}, nil, nil, nil, tensor{}, [4][]float64{}
	c.graphs = slices.Clone(m.graphs)
	for i := range c.graphs {
		c.graphs[i].scope.slots = slices.Clone(m.graphs[i].scope.slots)
	}
	return &c
}

// in and out are a node's inputs and outputs, -1 for one left empty. They can be written to.
func (m *model) in(n int32) []int32 {
	nd := &m.nodes[n]
	return m.links[nd.link:][:nd.nIn:nd.nIn]
}

func (m *model) out(n int32) []int32 {
	nd := &m.nodes[n]
	return m.links[nd.link+nd.nIn:][:nd.nOut:nd.nOut]
}

// users lists the nodes that read v, one entry a reading input; nodes that are dead by now are among them.
func (m *model) users(v int32) []int32 {
	if changed, ok := m.newUser[v]; ok {
		return changed
	}
	if int(v)+1 >= len(m.userAt) {
		return nil
	}
	return m.userBy[m.userAt[v]:m.userAt[v+1]]
}

// op is a node's operator name where it is one of the standard's own; "" where the domain is foreign
// or a model-local function has taken the name.
func (m *model) op(n int32) string {
	nd := &m.nodes[n]
	key := m.ops[nd.op]
	if key[0] != 0 || len(m.functions) > 0 && m.functions[key] || nd.holds != 0 && !mayHold(key[1:], nd.holds) {
		return ""
	}
	return key[1:]
}

// What a node's attributes may hold that is edited by itself.
const (
	holdsData  = 1 << iota // a tensor whose data lie in another file
	holdsGraph             // a body
)

// mayHold reports whether a standard operator has such attributes. A node of another is not rewritten or deleted, for
// what it holds may be edited.
func mayHold(op string, holds uint8) bool {
	switch op {
	case "If", "Loop", "Scan", "SequenceMap":
		return true
	}
	return op == "Constant" && holds == holdsData
}

// hidden reports whether a model-local function has taken the name of a standard operator.
func (m *model) hidden(op string) bool { return len(m.functions) > 0 && m.functions["\x00"+op] }

// opName is a node's operator for messages, with its domain where it has one.
func (m *model) opName(n int32) string {
	domain, op := splitOp(m.ops[m.nodes[n].op])
	if domain == "" {
		return op
	}
	return domain + "." + op
}

// opset is the version of the standard operators that a node is written in; 0 where none is imported.
func (m *model) opset(n int32) int64 { return m.graphs[m.nodes[n].graph].opsets[""] }

// nodeName is a node's name, or, where it has none, its first output's when it was first asked for.
func (m *model) nodeName(n int32) string {
	if name, ok := m.unnamed[n]; ok {
		return name
	}
	c := m.lookup.cursor(m.nodes[n].body())
	for c.next() {
		if c.num == nodeNameField && c.typ == protowire.BytesType && c.body.len() > 0 {
			return c.text()
		}
	}
	for _, v := range m.out(n) {
		if v >= 0 {
			m.unnamed[n] = m.name(v)
			return m.unnamed[n]
		}
	}
	return fmt.Sprintf("#%d", n)
}

// initializer reads the header of an initializer again.
func (m *model) initializer(number int32) (tensor, error) {
	return parseTensor(m.weights, m.tensors[number].body())
}
