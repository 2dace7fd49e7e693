package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// rewriteNodes deletes dead nodes and rewrites those whose inputs or outputs have other names now.
func (e *editor) rewriteNodes() error {
	for i := range e.nodes {
		n := int32(i)
		nd := &e.nodes[n]
		switch {
		case nd.dead:
			e.delete(nd.field, e.frameOf(nd.graph, n))
		case e.adds[n] != nil:
			rest, err := e.besides(n)
			if err != nil {
				return err
			}
			in := e.in(n)
			e.replaceNode(n, append(e.addNode(in[0], in[1], e.out(n)[0], n), rest...))
		case nd.dirty:
			b, err := e.rewrite(n)
			if err != nil {
				return err
			}
			e.replaceNode(n, b)
		}
	}
	return nil
}

// replaceNode puts an encoded node in place of node n.
func (e *editor) replaceNode(n int32, b []byte) {
	nd := &e.nodes[n]
	e.edits = append(e.edits, edit{at: nd.field, frame: e.frameOf(nd.graph, n), with: nested(e.nodeNumber(nd.graph), []chunk{{bytes: b}})})
}

// rewrite encodes a node under its inputs' and outputs' present names; everything else is copied.
func (e *editor) rewrite(n int32) ([]byte, error) {
	old, err := e.lookup.bytes(e.nodes[n].body())
	if err != nil {
		return nil, fmt.Errorf("node %q: %w", e.nodeName(n), err)
	}
	var beta *attribute
	if e.dropBeta[n] {
		as := e.attrs(n)
		beta = as.get("beta")
	}
	in, out := e.in(n), e.out(n)
	if v, ok := e.extra[n]; ok {
		in = append(slices.Clone(in), v)
	}
	nIn := int(e.nodes[n].nIn)
	name := func(v int32) string {
		if v < 0 {
			return ""
		}
		return e.name(v)
	}
	b := make([]byte, 0, len(old)+64)
	at := e.nodes[n].body().off
	seen := 0
	for len(old) > 0 {
		num, _, size := protowire.ConsumeField(old)
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		switch {
		case num == nodeInputField:
			b = appendString(b, nodeInputField, name(in[0]))
			in = in[1:]
			if seen++; seen == nIn {
				for _, v := range in {
					b = appendString(b, nodeInputField, name(v))
				}
			}
		case num == nodeOutputField:
			b = appendString(b, nodeOutputField, name(out[0]))
			out = out[1:]
		case beta != nil && beta.field.off == at:
		default:
			b = append(b, old[:size]...)
		}
		old, at = old[size:], at+int64(size)
	}
	return b, nil
}

// besides is what a node has besides its operator, inputs and outputs: its name, documentation, metadata, and fields
// that are not known.
func (e *editor) besides(n int32) ([]byte, error) {
	old, err := e.lookup.bytes(e.nodes[n].body())
	if err != nil {
		return nil, err
	}
	var rest []byte
	for len(old) > 0 {
		num, _, size := protowire.ConsumeField(old)
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		switch num {
		case nodeInputField, nodeOutputField, nodeOpField, nodeAttributeField, nodeDomainField, nodeOverloadField:
		default:
			rest = append(rest, old[:size]...)
		}
		old = old[size:]
	}
	return rest, nil
}

// addNode encodes Add(x, b) → y as node n's opset writes it. It has no name: nodes need none, and runtimes refuse a
// graph in which two have the same.
func (e *editor) addNode(x, b, y, n int32) []byte {
	out := appendString(nil, nodeInputField, e.name(x))
	out = appendString(out, nodeInputField, e.name(b))
	out = appendString(out, nodeOutputField, e.name(y))
	out = appendString(out, nodeOpField, "Add")
	if e.opset(n) < 7 { // a vector over the last axis, by the older rules
		attr := appendString(nil, attrNameField, "broadcast")
		attr = appendInt(attr, attrIntField, 1)
		attr = appendInt(attr, attrTypeField, kindInt)
		out = appendBytes(out, nodeAttributeField, attr)
	}
	return out
}

// newTranspose makes a Transpose of v for node n.
func (e *editor) newTranspose(n, g, v int32, perm []int) int32 {
	out := e.newValue(g, e.unique(e.name(v)+"_transposed"))
	node := appendString(nil, nodeInputField, e.name(v))
	node = appendString(node, nodeOutputField, e.name(out))
	node = appendString(node, nodeOpField, "Transpose")
	attr := appendString(nil, attrNameField, "perm")
	for _, p := range perm {
		attr = appendInt(attr, attrIntsField, int64(p))
	}
	attr = appendInt(attr, attrTypeField, kindInts)
	node = appendBytes(node, nodeAttributeField, attr)
	e.insert(e.nodes[n].field.off, e.frameOf(g, n), nested(e.nodeNumber(g), []chunk{{bytes: node}}))
	return out
}

// nodeNumber is the field number of a graph's nodes.
func (e *editor) nodeNumber(g int32) protowire.Number {
	if e.graphs[g].function {
		return functionNodeField
	}
	return graphNodeField
}
