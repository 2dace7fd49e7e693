package onnx

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/bnfuse/bnfuse/internal/stream"
	"google.golang.org/protobuf/encoding/protowire"
)

// maxModelBytes is what protobuf readers accept of one message.
const maxModelBytes = 1<<31 - 1

var errTooLarge = errors.New("a model of more than 2 GiB cannot be read back: its weights must be stored as external data")

// splice completes the edits with the length prefixes of the messages around them and returns the
// output's size. The edits are then sorted and disjoint.
func (e *editor) splice() (size int64, err error) {
	if err := e.prefixes(); err != nil {
		return 0, err
	}
	slices.SortStableFunc(e.edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.at.off, b.at.off), cmp.Compare(a.at.end, b.at.end))
	})
	size, at := e.walk.size, int64(0)
	for _, ed := range e.edits {
		if ed.at.off < at {
			panic(fmt.Sprintf("onnx: edits overlap at offset %d", ed.at.off))
		}
		at = ed.at.end
		size += chunksLen(ed.with) - ed.at.len()
	}
	if size > maxModelBytes {
		return 0, fmt.Errorf("the output has %d bytes: %w", size, errTooLarge)
	}
	return size, nil
}

// prefixes adds an edit for each message whose length changes, innermost first.
func (e *editor) prefixes() error {
	grown := map[*frame]int64{}
	depth := map[*frame]int{}
	for _, ed := range e.edits {
		if ed.frame != nil {
			grown[ed.frame] += chunksLen(ed.with) - ed.at.len()
		}
		for fr := ed.frame; fr != nil && depth[fr] == 0; fr = fr.parent {
			depth[fr] = fr.depth()
		}
	}
	frames := slices.SortedFunc(maps.Keys(depth), func(a, b *frame) int {
		return cmp.Or(-cmp.Compare(depth[a], depth[b]), cmp.Compare(a.tag, b.tag))
	})
	for _, fr := range frames {
		by := grown[fr]
		if by == 0 {
			continue
		}
		old, err := e.lookup.bytes(span{fr.tag, fr.body.off})
		if err != nil {
			return err
		}
		_, n := protowire.ConsumeVarint(old)
		if n < 0 {
			return protowire.ParseError(n)
		}
		head := protowire.AppendVarint(slices.Clone(old[:n]), uint64(fr.body.len()+by))
		e.edits = append(e.edits, edit{at: span{fr.tag, fr.body.off}, with: []chunk{{bytes: head}}})
		if fr.parent != nil {
			grown[fr.parent] += by + int64(len(head)-len(old))
		}
	}
	return nil
}

// depth is how many messages a frame lies in, itself included.
func (fr *frame) depth() int {
	d := 0
	for ; fr != nil; fr = fr.parent {
		d++
	}
	return d
}

// modelOps lists the output of the model file, in order, into dst.
func (e *editor) modelOps(dst io.WriterAt) func() (stream.Op, bool) {
	l := opList{dst: dst, src: e.walk.r, end: e.walk.size, edits: e.edits}
	return l.next
}

// opList yields copied ranges of src with replacements between them.
type opList struct {
	dst    io.WriterAt
	at     int64 // in dst
	src    io.ReaderAt
	pos    int64 // in src
	end    int64
	sparse *externalFile // src, where it has holes; nil where it has none
	edits  []edit        // sorted; used up
}

func (l *opList) next() (stream.Op, bool) {
	for {
		until := l.end
		if len(l.edits) > 0 {
			until = l.edits[0].at.off
		}
		if l.sparse != nil && l.pos < until {
			l.skipHole(&until)
		}
		if l.pos < until {
			op := stream.Op{Dst: l.dst, DstOff: l.at, Src: l.src, SrcOff: l.pos, N: until - l.pos, Sparse: l.sparse != nil}
			l.pos = until
			l.at += op.N
			return op, true
		}
		if len(l.edits) == 0 {
			return stream.Op{}, false
		}
		ed := &l.edits[0]
		if len(ed.with) == 0 {
			l.pos = ed.at.end
			l.edits = l.edits[1:]
			continue
		}
		op := ed.with[0].op(l.dst, l.at)
		op.Sparse = l.sparse != nil
		ed.with = ed.with[1:]
		if op.N == 0 {
			continue
		}
		l.at += op.N
		return op, true
	}
}

// skipHole goes past a hole at the present place, and has the stretch behind it end where the next begins. What
// is left out of the output is a hole there too.
func (l *opList) skipHole(until *int64) {
	from, to := l.sparse.nextData(l.pos, *until)
	l.at += from - l.pos
	l.pos, *until = from, to
}

// op writes a chunk to dst at the given offset.
func (c chunk) op(dst io.WriterAt, at int64) stream.Op {
	if w := c.weight; w != nil {
		return stream.Op{Dst: dst, DstOff: at, Src: w.Src, SrcOff: w.Off, N: w.NBytes, Scale: w.scale}
	}
	return stream.Op{Dst: dst, DstOff: at, Bytes: c.bytes, N: int64(len(c.bytes))}
}

// dataSize is the size of the new external data file, 0 for none, and whether it should be sparse.
func (e *editor) dataSize() (size int64, sparse bool) {
	size = e.appended
	for _, f := range e.files {
		size = f.base + f.size
		sparse = sparse || f.sparse()
	}
	return size, sparse
}

// dataOps lists the new external data file: what was appended, then each source file with its changes.
func (e *editor) dataOps(dst io.WriterAt) func() (stream.Op, bool) {
	var lists []*opList
	for _, d := range e.data {
		if d.file == nil {
			lists = append(lists, &opList{dst: dst, at: d.off, edits: []edit{{with: []chunk{d.with}}}})
		}
	}
	for _, f := range e.files {
		l := &opList{dst: dst, at: f.base, src: f, end: f.size}
		if f.sparse() {
			l.sparse = f.externalFile
		}
		for _, d := range e.data {
			if d.file == f.externalFile {
				l.edits = append(l.edits, edit{at: span{d.off, d.off + d.with.len()}, with: []chunk{d.with}})
			}
		}
		slices.SortFunc(l.edits, func(a, b edit) int { return cmp.Compare(a.at.off, b.at.off) })
		lists = append(lists, l)
	}
	return func() (stream.Op, bool) {
		for len(lists) > 0 {
			if op, ok := lists[0].next(); ok {
				return op, true
			}
			lists = lists[1:]
		}
		return stream.Op{}, false
	}
}
