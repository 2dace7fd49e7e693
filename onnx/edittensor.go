package onnx

import "fmt"

// newTensor stores a tensor in graph g for node n: as an initializer, or as a Constant node where there
// can be none (in a function, or in a body before IR version 4). outside puts its data into the
// external file.
func (e *editor) newTensor(n, g int32, name string, dataType int32, dims []int, data chunk, outside bool) int32 {
	v := e.newValue(g, name)
	gr := &e.graphs[g]
	last := e.frames[gr.frames[len(gr.frames)-1]]
	var proto []chunk
	if outside && !gr.function {
		at := e.append(data)
		proto = []chunk{{bytes: e.externalProto(name, dataType, dims, at, data.len())}}
	} else {
		proto = tensorProto(name, dataType, dims, data)
	}
	if gr.function || e.ir < 4 && g != 0 {
		node := appendString(nil, nodeOutputField, name)
		node = appendString(node, nodeOpField, "Constant")
		attr := append([]chunk{{bytes: appendString(nil, attrNameField, "value")}}, nested(attrTensorField, proto)...)
		attr = append(attr, chunk{bytes: appendInt(nil, attrTypeField, kindTensor)})
		body := append([]chunk{{bytes: node}}, nested(nodeAttributeField, attr)...)
		e.insert(e.nodes[n].field.off, e.frameOf(g, n), nested(e.nodeNumber(g), body))
		return v
	}
	e.insert(last.body.end, last, nested(graphTensorField, proto))
	if e.ir < 4 {
		e.insert(last.body.end, last, []chunk{{bytes: inputProto(name, dataType, dims)}})
	}
	return v
}

// append reserves room behind the external data.
func (e *editor) append(data chunk) int64 {
	at := align(e.appended, externalAlign)
	e.appended = at + data.len()
	e.data = append(e.data, dataEdit{off: at, with: data})
	return at
}

// tensorsAndInfos deletes the initializers nothing reads any more, and the annotations of values that
// are gone or have changed.
func (e *editor) tensorsAndInfos() {
	for i := range e.tensors {
		if r := &e.tensors[i]; r.dead {
			e.delete(r.field, e.frames[r.frame])
		}
	}
	for i := range e.infos {
		if in := &e.infos[i]; e.stale(in) {
			e.delete(in.field, e.frames[in.frame])
		}
	}
}

// stale reports whether an annotation's value is gone, or is another than the one whose quantization it tells.
func (e *editor) stale(in *info) bool {
	gone := e.values[in.value].flags&isGone != 0
	return gone && in.kind != graphOutput || in.kind == quantAnnotation && e.changed[in.value]
}

// releaseAnnotated gives up the scales and zero points that only quantization_annotations read which go.
func (e *editor) releaseAnnotated() error {
	for i := range e.infos {
		in := &e.infos[i]
		if in.kind != quantAnnotation || !e.stale(in) {
			continue
		}
		c := e.lookup.cursor(in.body())
		for c.next() {
			if c.num != annotationParamField {
				continue
			}
			_, name, err := entry(e.lookup, c.body)
			if err != nil {
				return err
			}
			if v := e.defined(e.find(e.values[in.value].graph, []byte(name))); v >= 0 && e.checkFixed(v) == nil {
				e.release(v)
			}
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// moveExternals points every live tensor that is stored outside to the new data file: what was appended
// comes first, then each source file as a whole.
func (e *editor) moveExternals() error {
	bases := map[*externalFile]int64{}
	end := e.appended
	for i := range e.tensors {
		r := &e.tensors[i]
		if r.dead || !r.outside || r.node >= 0 && e.nodes[r.node].dead {
			continue
		}
		t, err := e.initializer(int32(i))
		if err != nil {
			return err
		}
		f, err := e.externals.open(t.external)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", t.name(), err)
		}
		base, ok := bases[f]
		if !ok {
			base = align(end, externalAlign)
			bases[f], end = base, base+f.size
			e.files = append(e.files, placedFile{f, base})
		}
		if err := e.relocate(r, base+t.external.offset, t.external.length); err != nil {
			return err
		}
	}
	return nil
}

// relocate rewrites a tensor's external_data entries.
func (e *editor) relocate(r *tensorRef, offset, length int64) error {
	fr := &frame{parent: e.frames[r.frame], tag: r.field.off, body: r.body()}
	with := []chunk{{bytes: externalEntries(e.dataName, offset, length)}}
	c := e.lookup.cursor(fr.body)
	for c.next() {
		if c.num == tensorExternal {
			e.edits = append(e.edits, edit{at: c.field(), frame: fr, with: with})
			with = nil
		}
	}
	return c.err
}
