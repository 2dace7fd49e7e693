package onnx

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/stream"
	"google.golang.org/protobuf/encoding/protowire"
)

// edit replaces a range of the model file; an empty range is an insertion. Ranges do not overlap.
type edit struct {
	at    span
	frame *frame // the innermost message that grows or shrinks by it; nil for the whole file
	with  []chunk
}

// chunk is a piece of output: literal bytes or a scaled weight.
type chunk struct {
	bytes  []byte
	weight *weightJob
}

func (c chunk) len() int64 {
	if c.weight != nil {
		return c.weight.nBytes
	}
	return int64(len(c.bytes))
}

func chunksLen(cs []chunk) (n int64) {
	for _, c := range cs {
		n += c.len()
	}
	return n
}

// weightJob is a weight on its way: where it is read and how it is scaled.
type weightJob struct {
	layer  *layer
	src    io.ReaderAt
	off    int64
	nBytes int64
	scale  *stream.Scale // nil: the weight moves unscaled
}

// placedFile is a source of external data and where its first byte goes in the new data file.
type placedFile struct {
	*externalFile
	base int64
}

// contraction is a bias that has to wait for Σ W·t, and the bytes to put it into.
type contraction struct {
	layer *layer
	src   io.ReaderAt
	off   int64
	bytes []byte
}

// dataEdit is a range of the external data: of a source file, or appended behind all of them.
type dataEdit struct {
	file *externalFile // nil: a new tensor
	off  int64         // in file, or in the new data file
	with chunk
}

// editor turns the planner's decisions into edits of the file.
type editor struct {
	*planner
	edits        []edit
	data         []dataEdit
	appended     int64 // bytes of external data appended
	contractions []*contraction
	jobs         []*weightJob
	files        []placedFile      // the files whose contents the new data file takes over
	changed      map[int32]bool    // values whose content changed
	extra        map[int32]int32   // an input to append to a node
	dropBeta     map[int32]bool    // Gemm nodes that lose the attribute
	tied         map[int64]bool    // tensors that share external data with another, by where they stand
	sources      map[*layer]source // of weights in the spool
	spool        *spool
	dataName     string // the location written for external data
}

// source is where a weight's elements can be read.
type source struct {
	r   io.ReaderAt
	off int64
}

// edit lists what to change. The spool takes decoded copies of tensors that are not stored flat.
func (p *planner) edit(sp *spool, dataName string) (*editor, error) {
	e := &editor{planner: p, changed: map[int32]bool{}, extra: map[int32]int32{}, dropBeta: map[int32]bool{}, sources: map[*layer]source{}, spool: sp, dataName: dataName}
	layers := make([]*layer, 0, len(p.touched))
	for _, l := range p.touched {
		layers = append(layers, l)
	}
	slices.SortFunc(layers, func(a, b *layer) int { return cmp.Compare(a.node, b.node) })
	e.edits = make([]edit, 0, 5*len(layers))
	for _, l := range layers {
		if err := e.bias(l); err != nil {
			return nil, err
		}
		if err := e.weight(l); err != nil {
			return nil, err
		}
		if !l.fold.Before.HasShift() { // what follows needs neither: large graphs have many
			l.weight, l.bias = nil, nil
		}
	}
	if len(layers) == 0 {
		return e, nil
	}
	if err := e.rewriteNodes(); err != nil {
		return nil, err
	}
	e.tensorsAndInfos()
	return e, e.moveExternals()
}

// sourceOf finds the elements of a layer's weight.
func (e *editor) sourceOf(l *layer) (source, error) {
	if s, ok := e.sources[l]; ok {
		return s, nil
	}
	s, err := e.weightSource(l.weight, e.spool)
	if s.r == e.spool {
		e.sources[l] = s
	}
	return s, err
}

// weightSource finds the elements of a stored weight: in the model, in another file, or, decoded, in the
// spool.
func (m *model) weightSource(w *storage, sp *spool) (source, error) {
	t := &w.tensor
	switch {
	case w.made != nil:
		return source{bytes.NewReader(elem.Encode(floatType(t.dataType), w.made.f)), 0}, nil
	case t.external != nil:
		f, err := m.externals.open(t.external)
		if err != nil {
			return source{}, err
		}
		return source{f, t.external.offset}, nil
	case t.flat:
		return source{m.walk.r, t.data.off}, nil
	default:
		off, err := sp.add(func(w io.Writer) error { return t.decode(w) })
		return source{sp, off}, err
	}
}

// factor is a scale under a view; nothing where every channel's scale is 1.
func factor(v fuse.View, a fuse.Affine) fuse.Factor {
	if !slices.ContainsFunc(a.Scale, func(s float64) bool { return s != 1 }) {
		return fuse.Factor{}
	}
	return fuse.Factor{View: v, Scale: a.Scale}
}

// scaleOf is how a fold scales the layer's weight, nil for not at all.
func (l *layer) scaleOf(f fuse.Fold) *stream.Scale {
	s := &stream.Scale{DType: l.dtype, After: factor(l.views[fuse.After], f.After), Before: factor(l.views[fuse.Before], f.Before)}
	if s.After.Scale == nil && s.Before.Scale == nil {
		return nil
	}
	return s
}

// weight scales the layer's weight: where it is stored if nobody else reads it, else into a new tensor.
func (e *editor) weight(l *layer) error {
	scale := l.scaleOf(l.fold)
	if scale == nil {
		return nil
	}
	src, err := e.sourceOf(l)
	if err != nil {
		return err
	}
	w := l.weight
	job := &weightJob{layer: l, src: src.r, off: src.off, nBytes: int64(w.tensor.elems) * int64(l.dtype.Size()), scale: scale}
	e.jobs = append(e.jobs, job)
	if e.exclusive(w) && e.inPlace(w.root, &w.tensor, chunk{weight: job}) {
		return nil
	}
	old := e.in(l.node)[1]
	base := e.name(w.root)
	g := e.nodes[l.node].graph
	dims := w.tensor.dims
	if w.perm == nil {
		dims = w.dims
	}
	v := e.newTensor(l.node, g, e.unique(base+"_fused"), w.tensor.dataType, dims, chunk{weight: job}, w.tensor.external != nil)
	if w.perm != nil {
		v = e.newTranspose(l.node, g, v, w.perm)
	}
	e.in(l.node)[1] = v
	e.dirty[l.node] = true
	e.release(old)
	return nil
}

// exclusive reports whether a stored weight is read by its layer alone.
func (e *editor) exclusive(w *storage) bool {
	if w.made != nil {
		return false
	}
	v := w.value
	for i := 0; ; i++ {
		if e.uses[v] != 1 || e.values[v].flags&(isOutput|isShadow) != 0 {
			return false
		}
		if i == len(w.path) {
			return true
		}
		v = e.in(w.path[i])[0]
	}
}

// inPlace replaces the data of a stored tensor by others of the same size. It reports false where they
// cannot stay there: in a Constant node or a graph that stores them in an odd form, or where another
// tensor uses the same external data.
func (e *editor) inPlace(v int32, t *tensor, with chunk) bool {
	ref := e.values[v].tensor
	switch {
	case t.external != nil:
		if e.sharesData(t) {
			return false
		}
		f, err := e.externals.open(t.external)
		if err != nil {
			return false
		}
		e.data = append(e.data, dataEdit{file: f, off: t.external.offset, with: with})
	case t.flat:
		e.edits = append(e.edits, edit{at: t.data, with: []chunk{with}})
	case ref < 0:
		return false
	default:
		r := &e.tensors[ref]
		e.edits = append(e.edits, edit{at: r.field, frame: e.frames[r.frame],
			with: nested(5, tensorProto(t.name, t.dataType, t.dims, with))})
	}
	e.changed[v] = true
	return true
}

// sharesData reports whether another tensor of the model uses some of t's external data.
func (e *editor) sharesData(t *tensor) bool {
	if e.tied == nil {
		e.tied = map[int64]bool{}
		e.findTied()
	}
	return e.tied[t.at[0].off]
}

// findTied marks every tensor whose range of external data overlaps another's.
func (e *editor) findTied() {
	type stretch struct {
		external
		at int64
	}
	var all []stretch
	for i := range e.tensors {
		if !e.tensors[i].outside {
			continue
		}
		if t, err := e.initializer(int32(i)); err == nil {
			all = append(all, stretch{*t.external, t.at[0].off})
		}
	}
	slices.SortFunc(all, func(a, b stretch) int {
		return cmp.Or(cmp.Compare(a.location, b.location), cmp.Compare(a.offset, b.offset))
	})
	longest := 0 // of the stretches so far, the one that ends last
	for i := 1; i < len(all); i++ {
		l := &all[longest]
		if all[i].location == l.location && all[i].offset < l.offset+l.length {
			e.tied[all[i].at], e.tied[l.at] = true, true
		}
		if all[i].location != l.location || all[i].offset+all[i].length > l.offset+l.length {
			longest = i
		}
	}
}

// bias gives the layer its new bias: in place of the old one, as a new tensor, or, behind a MatMul, in
// an Add.
func (e *editor) bias(l *layer) error {
	contracts := l.fold.Before.HasShift()
	if !contracts && !l.fold.After.HasShift() {
		none := l.bias == nil && l.add < 0
		unchanged := l.bias != nil && factor(fuse.View{}, l.fold.After).Scale == nil
		if none || unchanged {
			return nil
		}
	}
	data := make([]byte, len(elem.Encode(l.dtype, make([]float64, l.rows()*l.out.channels))))
	if contracts {
		src, err := e.sourceOf(l)
		if err != nil {
			return err
		}
		e.contractions = append(e.contractions, &contraction{layer: l, src: src.r, off: src.off, bytes: data})
	} else {
		copy(data, elem.Encode(l.dtype, l.newBias(nil)))
	}
	if l.kind == "MatMul" && l.add < 0 {
		e.insertAdd(l, data)
		return nil
	}
	n, slot := l.node, l.biasSlot
	if l.add >= 0 {
		n = l.add
	}
	if l.beta != 1 { // it is in the new bias
		e.dropBeta[l.node], e.dirty[l.node] = true, true
	}
	old := int32(-1)
	if in := e.in(n); slot < len(in) {
		old = in[slot]
	}
	if old >= 0 && e.replaceBias(old, l, data) {
		return nil
	}
	base := e.name(l.weight.root)
	v := e.newTensor(n, e.nodes[n].graph, e.unique(biasName(base)), l.weight.tensor.dataType, l.newBiasDims(), chunk{bytes: data}, false)
	e.dirty[n] = true
	if in := e.in(n); slot < len(in) {
		in[slot] = v
	} else {
		e.extra[n] = v
	}
	e.release(old)
	return nil
}

// replaceBias writes the bias where the old one is stored, if nobody else reads it there.
func (e *editor) replaceBias(v int32, l *layer, data []byte) bool {
	s, r := e.stored(v)
	if r != nil || len(s.path) > 0 || !e.exclusive(s) || s.tensor.elems*l.dtype.Size() != len(data) || floatType(s.tensor.dataType) != l.dtype {
		return false
	}
	return e.inPlace(s.root, &s.tensor, chunk{bytes: data})
}

// biasName follows the exporters: conv.weight has conv.bias.
func biasName(weight string) string {
	const suffix = "weight"
	if n := len(weight) - len(suffix); n > 0 && weight[n:] == suffix && (weight[n-1] == '.' || weight[n-1] == '_') {
		return weight[:n] + "bias"
	}
	return weight + "_bias"
}

// insertAdd puts an Add behind a MatMul: MatMul(X, W) → Add(·, b).
func (e *editor) insertAdd(l *layer, data []byte) {
	g := e.nodes[l.node].graph
	b := e.newTensor(l.node, g, e.unique(biasName(e.name(l.weight.root))), l.weight.tensor.dataType, l.newBiasDims(), chunk{bytes: data}, false)
	out := e.out(l.node)
	y := out[0]
	product := e.newValue(g, e.unique(e.name(y)+"_product"))
	out[0] = product
	e.dirty[l.node] = true
	add := e.addNode(product, b, y, e.unique(e.name(y)+"_add"), l.node)
	at := e.nodes[l.node].field.end
	e.insert(at, e.frameOf(g, l.node), nested(e.nodeNumber(g), []chunk{{bytes: add}}))
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
		node := appendString(nil, 2, name)
		node = appendString(node, 4, "Constant")
		attr := append([]chunk{{bytes: appendString(nil, 1, "value")}}, nested(5, proto)...)
		attr = append(attr, chunk{bytes: protowire.AppendVarint(protowire.AppendTag(nil, 20, protowire.VarintType), attrTensor)})
		body := append([]chunk{{bytes: node}}, nested(5, attr)...)
		e.insert(e.nodes[n].field.off, e.frameOf(g, n), nested(e.nodeNumber(g), body))
		return v
	}
	e.insert(last.body.end, last, nested(5, proto))
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

// delete takes a field out, in one edit with the field before it where that goes too.
func (e *editor) delete(field span, fr *frame) {
	if i := len(e.edits) - 1; i >= 0 && e.edits[i].with == nil && e.edits[i].frame == fr && e.edits[i].at.end == field.off {
		e.edits[i].at.end = field.end
		return
	}
	e.edits = append(e.edits, edit{at: field, frame: fr})
}

func (e *editor) insert(at int64, fr *frame, with []chunk) {
	e.edits = append(e.edits, edit{at: span{at, at}, frame: fr, with: with})
}

// frameOf is the frame of graph g around node n.
func (e *editor) frameOf(g, n int32) *frame {
	for _, number := range e.graphs[g].frames {
		fr := e.frames[number]
		if at := e.nodes[n].field.off; at >= fr.body.off && at < fr.body.end {
			return fr
		}
	}
	panic("onnx: a node outside its graph")
}

// nodeNumber is the field number of nodes: 1 in a GraphProto, 7 in a FunctionProto.
func (e *editor) nodeNumber(g int32) protowire.Number {
	if e.graphs[g].function {
		return 7
	}
	return 1
}

// newValue adds a value to the index.
func (e *editor) newValue(g int32, name string) int32 {
	v := e.intern(g, []byte(name))
	e.values[v].flags |= isDefined
	e.uses = append(e.uses, 1)
	return v
}

// unique extends a name until no graph knows it.
func (e *editor) unique(name string) string {
	taken := func(s string) bool {
		for i := range e.graphs {
			if e.find(int32(i), []byte(s)) >= 0 {
				return true
			}
		}
		return false
	}
	try := name
	for i := 1; taken(try); i++ {
		try = name + "_" + strconv.Itoa(i)
	}
	return try
}

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
		case e.dirty[n]:
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
	var b []byte
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

// tensorsAndInfos deletes the initializers nothing reads any more, and the annotations of values that
// are gone or have changed.
func (e *editor) tensorsAndInfos() {
	for i := range e.tensors {
		if r := &e.tensors[i]; r.dead {
			e.delete(r.field, e.frames[r.frame])
		}
	}
	for i := range e.infos {
		in := &e.infos[i]
		gone := e.values[in.value].flags&isGone != 0
		if gone && in.kind != graphOutput || in.kind == quantAnnotation && e.changed[in.value] {
			e.delete(in.field, e.frames[in.frame])
		}
	}
}

// moveExternals points every live tensor that is stored outside to the new data file: what was appended
// comes first, then each source file as a whole.
func (e *editor) moveExternals() error {
	bases := map[*externalFile]int64{}
	end := e.appended
	for i := range e.tensors {
		r := &e.tensors[i]
		if r.dead || !r.outside {
			continue
		}
		t, err := e.initializer(int32(i))
		if err != nil {
			return err
		}
		f, err := e.externals.open(t.external)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", t.name, err)
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
