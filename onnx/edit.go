package onnx

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/bnfuse/bnfuse/internal/stream"
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
		return c.weight.NBytes
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
	stream.Weight
	node  int32 // of the layer
	scale *stream.Scale
}

// placedFile is a source of external data and where its first byte goes in the new data file.
type placedFile struct {
	*externalFile
	base int64
}

// contraction is a bias that has to wait for Σ W·t, and the bytes to put it into.
type contraction struct {
	layer  *layer
	weight stream.Weight
	bytes  []byte
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
	files        []placedFile             // the files whose contents the new data file takes over
	changed      map[int32]bool           // values whose content changed
	extra        map[int32]int32          // an input to append to a node
	taken        map[string]bool          // all names, in a model of several graphs
	suffix       map[string]int           // the last number tried behind a name
	dropBeta     map[int32]bool           // Gemm nodes that lose the attribute
	tied         map[int64]bool           // tensors that share external data with another, by where they stand
	sources      map[*layer]stream.Weight // of weights in the spool
	spool        *spool
	dataName     string // the location written for external data
}

// edit lists what to change. The spool takes decoded copies of tensors that are not stored flat.
func (p *planner) edit(sp *spool, dataName string) (*editor, error) {
	e := &editor{planner: p, changed: map[int32]bool{}, extra: map[int32]int32{}, dropBeta: map[int32]bool{}, suffix: map[string]int{}, sources: map[*layer]stream.Weight{}, spool: sp, dataName: dataName}
	layers := p.touched
	p.candidates, p.byNode, p.layers, p.touched = nil, nil, nil, nil // large graphs have many
	slices.SortFunc(layers, func(a, b *layer) int { return cmp.Compare(a.node, b.node) })
	e.edits = make([]edit, 0, 5*len(layers)+len(p.frames))
	for i, l := range layers {
		layers[i] = nil
		if err := e.bias(l); err != nil {
			return nil, err
		}
		if err := e.weight(l); err != nil {
			return nil, err
		}
	}
	if len(layers) == 0 {
		return e, nil
	}
	if err := e.releaseAnnotated(); err != nil {
		return nil, err
	}
	if err := e.rewriteNodes(); err != nil {
		return nil, err
	}
	e.tensorsAndInfos()
	return e, e.moveExternals()
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
	frames := e.graphs[g].frames
	at := e.nodes[n].field.off
	i, _ := slices.BinarySearchFunc(frames, at, func(number int32, at int64) int { return cmp.Compare(e.frames[number].body.end, at+1) })
	return e.frames[frames[i]]
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
	if e.taken == nil && len(e.graphs) > 1 {
		e.taken = make(map[string]bool, len(e.values))
		for v := range e.values {
			e.taken[e.name(int32(v))] = true
		}
	}
	taken := func(s string) bool { return e.taken[s] || e.find(0, []byte(s)) >= 0 }
	try := name
	for taken(try) {
		e.suffix[name]++
		try = name + "_" + strconv.Itoa(e.suffix[name])
	}
	if e.taken != nil {
		e.taken[try] = true
	}
	return try
}
