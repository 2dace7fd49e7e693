package onnx

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"strings"
)

// maxDepth bounds how deep graphs nest: protobuf's own default limit is 100 messages, three a graph.
const maxDepth = 30

// readModel indexes a model of size bytes. The index goes on reading r.
func readModel(r io.ReaderAt, size int64) (*model, error) {
	m := &model{
		walk: newFile(r, size, walkWindow), lookup: newFile(r, size, lookupWindow), weights: newFile(r, size, walkWindow),
		names: names{seed: maphash.MakeSeed()}, opIDs: map[string]int32{}, opsets: map[string]int64{},
		functions: map[string]bool{}, newUser: map[int32][]int32{}, unnamed: map[int32]string{}, adds: map[int32]*layer{},
	}
	var graphs, functions []*frame
	hasIR, hasOpset := false, false
	c := m.walk.cursor(span{0, size})
	for c.next() {
		switch c.num {
		case modelIRField:
			m.ir, hasIR = int64(c.value), true
			continue
		case modelGraphField, modelOpsetField, modelTrainingField, modelFunctionField:
			if !c.message() {
				return nil, c.err
			}
		}
		switch fr := (frame{tag: c.tag, body: c.body}); c.num {
		case modelGraphField:
			graphs = append(graphs, &fr)
		case modelOpsetField:
			hasOpset = true
			if err := m.readOpset(c.body, m.opsets); err != nil {
				return nil, err
			}
		case modelTrainingField:
			m.training = true
		case modelFunctionField:
			functions = append(functions, &fr)
		}
	}
	switch {
	case c.err != nil:
		return nil, fmt.Errorf("not an ONNX model, or a damaged one: %w", c.err)
	case graphs == nil:
		return nil, errors.New("no graph: not an ONNX model, or a cut one")
	case !hasOpset:
		return nil, errors.New("no opset_import: not an ONNX model, or a cut one")
	case !hasIR:
		return nil, errors.New("no ir_version: not an ONNX model, or a cut one")
	}
	for _, fr := range functions {
		if err := m.nameFunction(fr); err != nil {
			return nil, err
		}
	}
	if err := m.reserve(graphs); err != nil {
		return nil, err
	}
	if err := m.readGraph(graphs, -1, m.opsets, 0); err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	for _, fr := range functions {
		if err := m.readFunction(fr); err != nil {
			return nil, fmt.Errorf("function: %w", err)
		}
	}
	m.layers = make([]*layer, len(m.nodes))
	return m, m.link()
}

// plainDomain maps both spellings of the standard operators' domain to "".
func plainDomain(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}

func (m *model) readOpset(s span, into map[string]int64) error {
	domain, version := "", int64(0)
	c := m.walk.cursor(s)
	for c.next() {
		switch c.num {
		case opsetDomainField:
			domain = plainDomain(c.text())
		case opsetVersionField:
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
		case functionNameField:
			name = c.text()
		case functionDomainField:
			domain = plainDomain(c.text())
		}
	}
	m.functions[domain+"\x00"+name] = true
	return c.err
}

func (m *model) newGraph(frames []*frame, parent int32, opsets map[string]int64) int32 {
	g := graph{parent: parent, opsets: opsets, first: int32(len(m.values))}
	for _, fr := range frames {
		g.frames = append(g.frames, m.addFrame(fr))
	}
	m.graphs = append(m.graphs, g)
	return int32(len(m.graphs) - 1)
}

func (m *model) addFrame(fr *frame) int32 {
	m.frames = append(m.frames, fr)
	return int32(len(m.frames) - 1)
}

// reserve makes room for the nodes, tensors and annotations of the main graph.
func (m *model) reserve(frames []*frame) error {
	var counts [16]int
	for _, fr := range frames {
		c := m.walk.cursor(fr.body)
		for c.next() {
			if int(c.num) < len(counts) {
				counts[c.num]++
			}
		}
		if c.err != nil {
			return fmt.Errorf("graph: %w", c.err)
		}
	}
	room := func(n int) int { return int(min(int64(n), m.walk.size/16)) }
	m.nodes = make([]node, 0, room(counts[graphNodeField]))
	m.tensors = make([]tensorRef, 0, room(counts[graphTensorField]))
	m.infos = make([]info, 0, room(counts[graphInputField]+counts[graphOutputField]+counts[graphValueInfoField]+counts[graphAnnotationField]))
	m.values = make([]value, 0, room(counts[graphNodeField]+counts[graphTensorField]+counts[graphInputField]+16)) // most nodes have one output
	m.links = make([]int32, 0, room(4*counts[graphNodeField]))
	return nil
}

// readGraph indexes a GraphProto given as its frames.
func (m *model) readGraph(frames []*frame, parent int32, opsets map[string]int64, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("graphs nest more than %d deep", maxDepth)
	}
	g := m.newGraph(frames, parent, opsets)
	for i := range frames {
		if err := m.readGraphPart(g, m.graphs[g].frames[i], depth); err != nil {
			return err
		}
	}
	m.graphs[g].end = int32(len(m.values))
	return nil
}

func (m *model) readGraphPart(g, fr int32, depth int) error {
	c := m.walk.cursor(m.frames[fr].body)
	for c.next() {
		switch c.num {
		case graphNodeField, graphTensorField, graphInputField, graphOutputField, graphValueInfoField, graphAnnotationField, graphSparseField:
			if !c.message() {
				return c.err
			}
		}
		var err error
		switch c.num {
		case graphNodeField:
			err = m.readNode(g, fr, c, depth)
		case graphTensorField:
			err = m.readInitializer(g, fr, c)
		case graphInputField:
			err = m.readInfo(g, fr, c, graphInput)
		case graphOutputField:
			err = m.readInfo(g, fr, c, graphOutput)
		case graphValueInfoField:
			err = m.readInfo(g, fr, c, valueInfo)
		case graphAnnotationField:
			err = m.readInfo(g, fr, c, quantAnnotation)
		case graphSparseField:
			err = m.readSparse(g, c)
		}
		if err != nil {
			return err
		}
	}
	return c.err
}

// readFunction indexes a FunctionProto: its nodes see neither the main graph nor its opsets.
func (m *model) readFunction(body *frame) error {
	g := m.newGraph([]*frame{body}, -1, map[string]int64{})
	m.graphs[g].function = true
	fr := m.graphs[g].frames[0]
	c := m.walk.cursor(body.body)
	for c.next() {
		switch c.num {
		case functionInputField, functionOutputField, functionNodeField, functionOpsetField, functionValueInfoField:
			if !c.message() {
				return c.err
			}
		}
		var err error
		switch c.num {
		case functionInputField:
			err = m.define(g, c.raw(), isInput|isDefined)
		case functionOutputField:
			if v := m.intern(g, c.raw()); v >= 0 {
				m.values[v].flags |= isOutput
			}
		case functionNodeField:
			err = m.readNode(g, fr, c, 0)
		case functionOpsetField:
			err = m.readOpset(c.body, m.graphs[g].opsets)
		case functionValueInfoField:
			err = m.readInfo(g, fr, c, valueInfo)
		}
		if err != nil {
			return err
		}
	}
	return c.err
}

// define interns a value that something defines for the first time.
func (m *model) define(g int32, name []byte, flags uint16) error {
	v := m.intern(g, name)
	if v < 0 {
		return nil
	}
	if m.values[v].flags&isDefined != 0 {
		return m.twice(v)
	}
	m.values[v].flags |= flags
	return nil
}

func (m *model) twice(v int32) error {
	return fmt.Errorf("the name %q is defined twice", m.name(v))
}

// readInfo indexes a ValueInfoProto or a TensorAnnotation; both name their value in the same field.
func (m *model) readInfo(g, fr int32, c *cursor, kind infoKind) error {
	v := int32(-1)
	sub := m.walk.cursor(c.body)
	for sub.next() {
		switch {
		case sub.num == infoNameField:
			v = m.intern(g, sub.raw())
		case sub.num == annotationParamField && kind == quantAnnotation && sub.message():
			if _, name, err := entry(m.walk, sub.body); err != nil {
				return err
			} else if of := m.intern(g, []byte(name)); of >= 0 {
				m.annotated = append(m.annotated, of)
			}
		}
	}
	if sub.err != nil || v < 0 {
		return sub.err
	}
	val := &m.values[v]
	switch kind {
	case graphInput:
		if val.flags&isInput != 0 || val.producer >= 0 {
			return m.twice(v)
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

func (m *model) readInitializer(g, fr int32, c *cursor) error {
	t := &m.scratch
	if err := t.read(m.walk, c.body); err != nil {
		return err
	}
	name, err := m.walk.raw(t.nameAt)
	if err != nil {
		return err
	}
	v := m.intern(g, name)
	if v < 0 {
		return fmt.Errorf("offset %d: an initializer without a name", c.tag)
	}
	val := &m.values[v]
	if val.tensor >= 0 || val.producer >= 0 || val.flags&isSparse != 0 {
		return m.twice(v)
	}
	val.tensor = int32(len(m.tensors))
	m.tensors = append(m.tensors, tensorRef{field: c.field(), frame: fr, value: v, node: -1, head: uint8(c.body.off - c.tag), outside: t.external != nil})
	val.flags |= isDefined
	return nil
}

// readSparse marks the value of a SparseTensorProto: its values tensor carries the name.
func (m *model) readSparse(g int32, c *cursor) error {
	sub := m.walk.cursor(c.body)
	for sub.next() {
		if sub.num != sparseDataField || !sub.message() {
			continue
		}
		t := m.walk.cursor(sub.body)
		for t.next() {
			if t.num != tensorName {
				continue
			}
			v := m.intern(g, t.raw())
			if v < 0 {
				continue
			}
			val := &m.values[v]
			if val.tensor >= 0 || val.producer >= 0 || val.flags&isSparse != 0 {
				return m.twice(v)
			}
			val.flags |= isSparse | isDefined // it may be an input, too
		}
		if t.err != nil {
			return t.err
		}
	}
	return sub.err
}

func (m *model) readNode(g, fr int32, c *cursor, depth int) error {
	field, body := c.field(), c.body
	id := int32(len(m.nodes))
	m.nodes = append(m.nodes, node{field: field, head: uint8(body.off - field.off), graph: g})
	var inBuf, outBuf [8]int32
	ins, outs := inBuf[:0], outBuf[:0]
	var opBuf, domainBuf [32]byte
	op, domain := opBuf[:0], domainBuf[:0]
	var around *frame // the node, as the message around its attributes
	tensors, graphs := len(m.tensors), len(m.graphs)
	sub := m.walk.cursor(body)
	for sub.next() {
		switch sub.num {
		case nodeInputField:
			ins = append(ins, m.intern(g, sub.raw()))
		case nodeOutputField:
			v := m.intern(g, sub.raw())
			if v >= 0 {
				val := &m.values[v]
				if val.flags&isDefined != 0 {
					return m.twice(v)
				}
				val.producer = id
				val.flags |= isDefined
			}
			outs = append(outs, v)
		case nodeOpField:
			op = append(op[:0], sub.raw()...)
		case nodeDomainField:
			domain = append(domain[:0], sub.raw()...)
		case nodeAttributeField:
			if !sub.message() {
				return sub.err
			}
			if around == nil {
				around = &frame{parent: m.frames[fr], tag: field.off, body: body}
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
		return fmt.Errorf("more than %d inputs and outputs", math.MaxInt32)
	}
	if len(op) == 0 {
		return fmt.Errorf("node at offset %d: no op_type", field.off)
	}
	n := &m.nodes[id]
	n.op = m.opID(domain, op)
	if len(m.tensors) > tensors {
		n.holds |= holdsData
	}
	if len(m.graphs) > graphs {
		n.holds |= holdsGraph
	}
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
		switch sub.num {
		case attrTensorField, attrGraphField, attrTensorsField, attrGraphsField:
		default:
			continue
		}
		if !sub.message() {
			return sub.err
		}
		var err error
		switch fr := part(sub); sub.num {
		case attrTensorField:
			parts = append(parts, fr)
		case attrGraphField:
			bodies = append(bodies, fr)
		case attrTensorsField:
			err = m.readNodeTensor(n, []*frame{fr})
		case attrGraphsField:
			err = graphs([]*frame{fr})
		}
		if err != nil {
			return err
		}
	}
	if sub.err == nil && parts != nil {
		sub.err = m.readNodeTensor(n, parts)
	}
	if sub.err == nil && bodies != nil {
		sub.err = graphs(bodies)
	}
	return sub.err
}

// readNodeTensor checks a tensor in an attribute, and lists it if its data lie in another file.
func (m *model) readNodeTensor(n int32, parts []*frame) error {
	at := make([]span, len(parts))
	for i, fr := range parts {
		at[i] = fr.body
	}
	t, err := parseTensor(m.walk, at...)
	if err != nil || t.external == nil {
		return err
	}
	if len(parts) > 1 {
		return fmt.Errorf("tensor %q: external data in a tensor that is split over fields", t.name())
	}
	fr := parts[0]
	m.tensors = append(m.tensors, tensorRef{field: span{fr.tag, fr.body.end}, frame: m.addFrame(fr.parent), value: -1, node: n,
		head: uint8(fr.body.off - fr.tag), outside: true})
	return nil
}

// opID numbers operators by domain and name.
func (m *model) opID(domain, op []byte) int32 {
	if string(domain) == "ai.onnx" {
		domain = nil
	}
	m.opKey = append(append(append(m.opKey[:0], domain...), 0), op...)
	id, ok := m.opIDs[string(m.opKey)]
	if !ok {
		id = int32(len(m.ops))
		m.ops = append(m.ops, string(m.opKey))
		m.opIDs[m.ops[id]] = id
	}
	return id
}

// splitOp splits an operator's key.
func splitOp(key string) (domain, op string) {
	domain, op, _ = strings.Cut(key, "\x00")
	return domain, op
}
