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
			in := e.in(n)
			name := e.nodeName(n)
			b := e.addNode(in[0], in[1], e.out(n)[0], name, n)
			e.edits = append(e.edits, edit{at: nd.field, frame: e.frameOf(nd.graph, n), with: nested(e.nodeNumber(nd.graph), []chunk{{bytes: b}})})
		case nd.dirty:
			b, err := e.rewrite(n)
			if err != nil {
				return err
			}
			e.edits = append(e.edits, edit{at: nd.field, frame: e.frameOf(nd.graph, n), with: nested(e.nodeNumber(nd.graph), []chunk{{bytes: b}})})
		}
	}
	return nil
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
		case num == 1:
			b = appendString(b, 1, name(in[0]))
			in = in[1:]
			if seen++; seen == nIn {
				for _, v := range in {
					b = appendString(b, 1, name(v))
				}
			}
		case num == 2:
			b = appendString(b, 2, name(out[0]))
			out = out[1:]
		case beta != nil && beta.field.off == at:
		default:
			b = append(b, old[:size]...)
		}
		old, at = old[size:], at+int64(size)
	}
	return b, nil
}

// addNode encodes Add(x, b) → y as node n's opset writes it.
func (e *editor) addNode(x, b, y int32, name string, n int32) []byte {
	out := appendString(nil, 1, e.name(x))
	out = appendString(out, 1, e.name(b))
	out = appendString(out, 2, e.name(y))
	out = appendString(out, 3, name)
	out = appendString(out, 4, "Add")
	if e.opset(n) < 7 { // a vector over the last axis, by the older rules
		attr := appendString(nil, 1, "broadcast")
		attr = protowire.AppendVarint(protowire.AppendTag(attr, 3, protowire.VarintType), 1)
		attr = protowire.AppendVarint(protowire.AppendTag(attr, 20, protowire.VarintType), attrInt)
		out = protowire.AppendBytes(protowire.AppendTag(out, 5, protowire.BytesType), attr)
	}
	return out
}

// newTranspose makes a Transpose of v for node n.
func (e *editor) newTranspose(n, g, v int32, perm []int) int32 {
	out := e.newValue(g, e.unique(e.name(v)+"_transposed"))
	node := appendString(nil, 1, e.name(v))
	node = appendString(node, 2, e.name(out))
	node = appendString(node, 4, "Transpose")
	attr := appendString(nil, 1, "perm")
	for _, p := range perm {
		attr = protowire.AppendVarint(protowire.AppendTag(attr, 8, protowire.VarintType), uint64(p))
	}
	attr = protowire.AppendVarint(protowire.AppendTag(attr, 20, protowire.VarintType), attrInts)
	node = protowire.AppendBytes(protowire.AppendTag(node, 5, protowire.BytesType), attr)
	e.insert(e.nodes[n].field.off, e.frameOf(g, n), nested(e.nodeNumber(g), []chunk{{bytes: node}}))
	return out
}

// nodeNumber is the field number of nodes: 1 in a GraphProto, 7 in a FunctionProto.
func (e *editor) nodeNumber(g int32) protowire.Number {
	if e.graphs[g].function {
		return 7
	}
	return 1
}
