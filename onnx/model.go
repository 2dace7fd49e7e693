package onnx

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// model is the index of an ONNX file: who produces and who reads each value, and where in the file
// each node, tensor and annotation stands. Nothing else is held; attributes, dims and data are looked
// up in the file when a pattern asks. Nodes, values and tensors are numbered, and refer to each other
// by number, so that a graph costs some 200 bytes a node.
type model struct {
	walk     *file // reads in file order
	lookup   *file // reads single fields again
	ir       int64
	training bool // the model carries training_info

	opsets    map[string]int64 // by domain; "ai.onnx" is stored as ""
	functions map[string]bool  // operators that are model-local functions, as "domain\x00name"
	graphs    []graph          // the main graph is the first
	nodes     []node           // in file order: an If stands before the nodes of its bodies
	values    []value
	links     []int32 // the inputs, then the outputs, of every node
	tensors   []tensorRef
	infos     []info

	ops     []string // "domain\x00op_type" by opID
	opIDs   map[string]int32
	userAt  []int32 // users of value v: userBy[userAt[v]:userAt[v+1]]
	userBy  []int32
	newUser map[int32][]int32 // users of a value that planning gave new ones

	uses   []int32          // how many inputs of live nodes read each value
	layers map[int32]*layer // the layers met so far, by node

	cache     constCache
	shapes    map[int32]shape
	externals *externals
}

// frame is a message whose length prefix changes when something inside it does.
type frame struct {
	parent *frame
	tag    int64 // where the field begins
	body   span
}

// graph is a GraphProto or a FunctionProto.
type graph struct {
	frames   []*frame // the message; several where it is split over fields
	parent   int32    // the graph whose node holds this one, -1 for none
	function bool
	opsets   map[string]int64
	names    map[string]int32 // the values this graph defines or mentions
	first    int32            // all its values have this number or a higher one
}

type node struct {
	field     span // the whole field, header included
	graph     int32
	op        int32
	link      uint32 // its first link
	nIn, nOut uint32
	head      uint8 // length of the field's header
	dead      bool  // planning removed it
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
	name     string
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
	frame *frame
	value int32
	head  uint8
	kind  infoKind
}

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
	field span   // the whole field
	frame *frame // the message around the field
	value int32  // the value it initializes, -1 for one in a node's attribute
	head  uint8

	outside bool // the data lie in another file
	dead    bool // planning removed it
}

func (t *tensorRef) body() span { return span{t.field.off + int64(t.head), t.field.end} }

// maxDepth bounds how deep graphs nest: protobuf's own default limit is 100 messages.
const maxDepth = 30

// readModel indexes the model in f. The index keeps using both readers.
func readModel(walk, lookup *file) (*model, error) {
	m := &model{walk: walk, lookup: lookup, opIDs: map[string]int32{}, opsets: map[string]int64{},
		functions: map[string]bool{}, newUser: map[int32][]int32{}, layers: map[int32]*layer{}}
	var graphs, functions, training []*frame
	c := walk.cursor(span{0, walk.size})
	hasIR, hasOpset := false, false
	for c.next() {
		switch c.num {
		case 1:
			m.ir, hasIR = int64(c.value), true
		case 7:
			if c.message() {
				graphs = append(graphs, &frame{tag: c.tag, body: c.body})
			}
		case 8:
			if c.message() {
				hasOpset = true
				if err := readOpset(walk, c.body, m.opsets); err != nil {
					return nil, err
				}
			}
		case 20:
			if c.message() {
				training = append(training, &frame{tag: c.tag, body: c.body})
			}
		case 25:
			if c.message() {
				functions = append(functions, &frame{tag: c.tag, body: c.body})
			}
		}
	}
	switch {
	case c.err != nil:
		return nil, c.err
	case graphs == nil:
		return nil, fmt.Errorf("no graph: not an ONNX model, or a cut one")
	case !hasOpset:
		return nil, fmt.Errorf("no opset_import: not an ONNX model, or a cut one")
	case !hasIR:
		return nil, fmt.Errorf("no ir_version: not an ONNX model, or a cut one")
	}
	m.training = training != nil
	for _, fr := range functions {
		if err := m.nameFunction(fr); err != nil {
			return nil, err
		}
	}
	if err := m.readGraph(graphs, -1, m.opsets, 0); err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	for _, fr := range functions {
		if err := m.readFunction(fr); err != nil {
			return nil, fmt.Errorf("function: %w", err)
		}
	}
	if err := m.link(); err != nil {
		return nil, err
	}
	return m, nil
}

// plainDomain maps both spellings of the standard operators' domain to "".
func plainDomain(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}

func readOpset(f *file, s span, into map[string]int64) error {
	domain, version := "", int64(0)
	c := f.cursor(s)
	for c.next() {
		switch c.num {
		case 1:
			domain = plainDomain(c.text())
		case 2:
			version = int64(c.value)
		}
	}
	if old, ok := into[domain]; ok && old != version && c.err == nil {
		return fmt.Errorf("opset_import names domain %q with versions %d and %d", domain, old, version)
	}
	into[domain] = version
	return c.err
}

// nameFunction records a model-local function's name, which hides an operator's.
func (m *model) nameFunction(fr *frame) error {
	name, domain := "", ""
	c := m.walk.cursor(fr.body)
	for c.next() {
		switch c.num {
		case 1:
			name = c.text()
		case 10:
			domain = plainDomain(c.text())
		}
	}
	m.functions[domain+"\x00"+name] = true
	return c.err
}

// readGraph indexes a GraphProto given as its frames.
func (m *model) readGraph(frames []*frame, parent int32, opsets map[string]int64, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("graphs nest more than %d deep", maxDepth)
	}
	g := m.newGraph(frames, parent, opsets)
	for _, fr := range frames {
		c := m.walk.cursor(fr.body)
		for c.next() {
			switch c.num {
			case 1, 5, 11, 12, 13, 14, 15:
				if !c.message() {
					return c.err
				}
			}
			var err error
			switch c.num {
			case 1:
				err = m.readNode(g, fr, c, depth)
			case 5:
				err = m.readInitializer(g, fr, c)
			case 11:
				err = m.readInfo(g, fr, c, graphInput)
			case 12:
				err = m.readInfo(g, fr, c, graphOutput)
			case 13:
				err = m.readInfo(g, fr, c, valueInfo)
			case 14:
				err = m.readInfo(g, fr, c, quantAnnotation)
			case 15:
				err = m.readSparse(g, c)
			}
			if err != nil {
				return err
			}
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// readFunction indexes a FunctionProto: its nodes see neither the main graph nor its opsets.
func (m *model) readFunction(fr *frame) error {
	g := m.newGraph([]*frame{fr}, -1, map[string]int64{})
	m.graphs[g].function = true
	c := m.walk.cursor(fr.body)
	for c.next() {
		var err error
		switch c.num {
		case 4:
			err = m.define(g, c.text(), isInput|isDefined)
		case 5:
			m.values[m.intern(g, c.text())].flags |= isOutput
		case 7:
			if c.message() {
				err = m.readNode(g, fr, c, 0)
			}
		case 9:
			if c.message() {
				err = readOpset(m.walk, c.body, m.graphs[g].opsets)
			}
		case 12:
			if c.message() {
				err = m.readInfo(g, fr, c, valueInfo)
			}
		}
		if err != nil {
			return err
		}
	}
	return c.err
}

func (m *model) newGraph(frames []*frame, parent int32, opsets map[string]int64) int32 {
	m.graphs = append(m.graphs, graph{frames: frames, parent: parent, opsets: opsets, names: map[string]int32{}, first: int32(len(m.values))})
	return int32(len(m.graphs) - 1)
}

// intern returns the number of the value a graph calls name; -1 for "", which stands for none.
func (m *model) intern(g int32, name string) int32 {
	if name == "" {
		return -1
	}
	v, ok := m.graphs[g].names[name]
	if !ok {
		v = int32(len(m.values))
		m.values = append(m.values, value{name: name, graph: g, producer: -1, tensor: -1, alias: -1, info: -1})
		m.graphs[g].names[name] = v
	}
	return v
}

// define interns a value that something defines for the first time.
func (m *model) define(g int32, name string, flags uint16) error {
	v := m.intern(g, name)
	if v < 0 {
		return nil
	}
	if m.values[v].flags&isDefined != 0 {
		return fmt.Errorf("the name %q is defined twice", name)
	}
	m.values[v].flags |= flags
	return nil
}

// readInfo indexes a ValueInfoProto or a TensorAnnotation; both name their value in field 1.
func (m *model) readInfo(g int32, fr *frame, c *cursor, kind infoKind) error {
	name := ""
	sub := m.walk.cursor(c.body)
	for sub.next() {
		if sub.num == 1 {
			name = sub.text()
		}
	}
	if sub.err != nil || name == "" {
		return sub.err
	}
	v := m.intern(g, name)
	val := &m.values[v]
	switch kind {
	case graphInput:
		if val.flags&isInput != 0 || val.producer >= 0 {
			return fmt.Errorf("the name %q is defined twice", name)
		}
		val.flags |= isInput | isDefined
	case graphOutput:
		val.flags |= isOutput
	}
	if kind != quantAnnotation && (val.info < 0 || kind > m.infos[val.info].kind) {
		val.info = int32(len(m.infos))
	}
	m.infos = append(m.infos, info{field: c.field(), frame: fr, value: v, head: uint8(c.body.off - c.tag), kind: kind})
	return nil
}

func (m *model) readInitializer(g int32, fr *frame, c *cursor) error {
	field := c.field()
	t, err := parseTensor(m.walk, c.body)
	if err != nil {
		return err
	}
	v := m.intern(g, t.name)
	if v < 0 {
		return fmt.Errorf("offset %d: an initializer without a name", field.off)
	}
	if val := &m.values[v]; val.tensor >= 0 || val.producer >= 0 || val.flags&isSparse != 0 {
		return fmt.Errorf("the name %q is defined twice", t.name)
	}
	m.values[v].tensor = m.addTensor(v, field, c.body, fr, t.external != nil)
	m.values[v].flags |= isDefined
	return nil
}

func (m *model) addTensor(v int32, field, body span, fr *frame, outside bool) int32 {
	m.tensors = append(m.tensors, tensorRef{value: v, field: field, head: uint8(body.off - field.off), frame: fr, outside: outside})
	return int32(len(m.tensors) - 1)
}

// readSparse marks the value of a SparseTensorProto: its values tensor carries the name.
func (m *model) readSparse(g int32, c *cursor) error {
	sub := m.walk.cursor(c.body)
	for sub.next() {
		if sub.num != 1 || !sub.message() {
			continue
		}
		t := m.walk.cursor(sub.body)
		for t.next() {
			if t.num == tensorName {
				if err := m.define(g, t.text(), isSparse|isDefined); err != nil {
					return err
				}
			}
		}
		if t.err != nil {
			return t.err
		}
	}
	return sub.err
}

func (m *model) readNode(g int32, fr *frame, c *cursor, depth int) error {
	field, body := c.field(), c.body
	id := int32(len(m.nodes))
	m.nodes = append(m.nodes, node{field: field, head: uint8(body.off - field.off), graph: g})
	var inBuf, outBuf [8]int32
	ins, outs := inBuf[:0], outBuf[:0]
	var op, domain string
	var around *frame // the node, as the message around its attributes
	sub := m.walk.cursor(body)
	for sub.next() {
		switch sub.num {
		case 1:
			ins = append(ins, m.intern(g, sub.text()))
		case 2:
			v := m.intern(g, sub.text())
			if v >= 0 {
				if val := &m.values[v]; val.flags&isDefined != 0 {
					return fmt.Errorf("the name %q is defined twice", val.name)
				}
				m.values[v].producer = id
				m.values[v].flags |= isDefined
			}
			outs = append(outs, v)
		case 4:
			op = sub.text()
		case 7:
			domain = plainDomain(sub.text())
		case 5:
			if !sub.message() {
				return sub.err
			}
			if around == nil {
				around = &frame{parent: fr, tag: field.off, body: body}
			}
			if err := m.readAttribute(id, around, sub, depth); err != nil {
				return fmt.Errorf("node at offset %d: %w", field.off, err)
			}
		}
	}
	if sub.err != nil {
		return sub.err
	}
	if len(m.links)+len(ins)+len(outs) > math.MaxInt32 {
		return fmt.Errorf("more than %d values", math.MaxInt32)
	}
	n := &m.nodes[id]
	n.op = m.opID(domain, op)
	n.link, n.nIn, n.nOut = uint32(len(m.links)), uint32(len(ins)), uint32(len(outs))
	m.links = append(append(m.links, ins...), outs...)
	return nil
}

// readAttribute indexes what an attribute holds that matters to others than its node: subgraphs, which
// capture values, and tensors, whose data may lie in another file.
func (m *model) readAttribute(n int32, around *frame, c *cursor, depth int) error {
	var bodies, parts []*frame
	var own *frame // the attribute
	part := func(sub *cursor) *frame {
		if own == nil {
			own = &frame{parent: around, tag: c.tag, body: c.body}
		}
		return &frame{parent: own, tag: sub.tag, body: sub.body}
	}
	graphs := func(bodies []*frame) error {
		g := m.nodes[n].graph
		return m.readGraph(bodies, g, m.graphs[g].opsets, depth+1)
	}
	sub := m.walk.cursor(c.body)
	for sub.next() {
		if sub.num != 5 && sub.num != 6 && sub.num != 10 && sub.num != 11 {
			continue
		}
		if !sub.message() {
			return sub.err
		}
		var err error
		switch fr := part(sub); sub.num {
		case 5:
			parts = append(parts, fr)
		case 6:
			bodies = append(bodies, fr)
		case 10:
			err = m.readNodeTensor([]*frame{fr})
		case 11:
			err = graphs([]*frame{fr})
		}
		if err != nil {
			return err
		}
	}
	if sub.err == nil && parts != nil {
		sub.err = m.readNodeTensor(parts)
	}
	if sub.err == nil && bodies != nil {
		sub.err = graphs(bodies)
	}
	return sub.err
}

// readNodeTensor checks a tensor in an attribute, and lists it if its data lie in another file.
func (m *model) readNodeTensor(parts []*frame) error {
	at := make([]span, len(parts))
	for i, fr := range parts {
		at[i] = fr.body
	}
	t, err := parseTensor(m.walk, at...)
	if err != nil || t.external == nil {
		return err
	}
	if len(parts) > 1 {
		return fmt.Errorf("tensor %q: external data in a tensor that is split over fields", t.name)
	}
	m.addTensor(-1, span{parts[0].tag, parts[0].body.end}, at[0], parts[0].parent, true)
	return nil
}

func (m *model) opID(domain, op string) int32 {
	key := domain + "\x00" + op
	id, ok := m.opIDs[key]
	if !ok {
		id = int32(len(m.ops))
		m.ops = append(m.ops, key)
		m.opIDs[key] = id
	}
	return id
}

// link resolves the names that bodies take from the graphs around them, and lists each value's users.
func (m *model) link() error {
	for g := int32(len(m.graphs)) - 1; g > 0; g-- { // inner graphs have higher numbers
		parent := m.graphs[g].parent
		if parent < 0 {
			continue
		}
		for v := m.graphs[g].first; v < int32(len(m.values)); v++ {
			val := &m.values[v]
			if val.graph != g {
				continue
			}
			if val.flags&isDefined != 0 {
				m.markShadow(v, parent)
			} else {
				outer := m.intern(parent, val.name)
				val = &m.values[v] // intern may have moved the slice
				val.alias = outer
				m.values[outer].flags |= val.flags & isOutput
			}
		}
	}
	for i, v := range m.links {
		for v >= 0 && m.values[v].alias >= 0 {
			v = m.values[v].alias
		}
		m.links[i] = v
	}
	m.uses = make([]int32, len(m.values))
	m.userAt = make([]int32, len(m.values)+1)
	for i := range m.nodes {
		for _, v := range m.in(int32(i)) {
			if v >= 0 {
				m.userAt[v+1]++
			}
		}
	}
	for v := range m.values {
		m.userAt[v+1] += m.userAt[v]
	}
	m.userBy = make([]int32, m.userAt[len(m.values)])
	fill := slices.Clone(m.userAt)
	for i := range m.nodes {
		for _, v := range m.in(int32(i)) {
			if v >= 0 {
				m.userBy[fill[v]] = int32(i)
				fill[v]++
				m.uses[v]++
			}
		}
	}
	return m.checkOrder()
}

// markShadow marks v, and the values of the same name in the graphs around it.
func (m *model) markShadow(v, parent int32) {
	for ; parent >= 0; parent = m.graphs[parent].parent {
		if outer, ok := m.graphs[parent].names[m.values[v].name]; ok && m.values[outer].flags&isDefined != 0 {
			m.values[outer].flags |= isShadow
			m.values[v].flags |= isShadow
		}
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

// in and out are a node's inputs and outputs, -1 for one left empty. They can be written to.
func (m *model) in(n int32) []int32 {
	nd := &m.nodes[n]
	return m.links[nd.link:][:nd.nIn:nd.nIn]
}

func (m *model) out(n int32) []int32 {
	nd := &m.nodes[n]
	return m.links[nd.link+nd.nIn:][:nd.nOut:nd.nOut]
}

// users lists the nodes that read v, one entry a reading input, and maybe some that no longer do.
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
	key := m.ops[m.nodes[n].op]
	if m.functions[key] || key[0] != 0 {
		return ""
	}
	return key[1:]
}

// opset is the version of the standard operators that a node is written in; 0 where none is imported.
func (m *model) opset(n int32) int64 { return m.graphs[m.nodes[n].graph].opsets[""] }

// nodeName is a node's name, or its first output's where it has none.
func (m *model) nodeName(n int32) string {
	c := m.lookup.cursor(m.nodes[n].body())
	for c.next() {
		if c.num == 3 && c.typ == protowire.BytesType && c.body.len() > 0 {
			return c.text()
		}
	}
	for _, v := range m.out(n) {
		if v >= 0 {
			return m.values[v].name
		}
	}
	return fmt.Sprintf("#%d", n)
}
