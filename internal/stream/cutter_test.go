package stream

import (
	"bytes"
	"context"
	"testing"
	"unsafe"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
)

// places is an output that notes where it is written, and from where in memory.
type places struct {
	offsets []int64
	lens    []int
	astray  int // writes that begin elsewhere in a line of the cache than their memory does
}

func (p *places) WriteAt(b []byte, off int64) (int, error) {
	p.offsets, p.lens = append(p.offsets, off), append(p.lens, len(b))
	if (int64(uintptr(unsafe.Pointer(&b[0])))-off)%lineBytes != 0 {
		p.astray++
	}
	return len(b), nil
}

// A large output is written by stretches whose offsets are multiples of their size, but for the rest of an
// element, however its tensors lie; and bytes stand in a slab as they will in the file's lines of the cache.
func TestWritesAreAligned(t *testing.T) {
	const nBytes = 7<<20 + 12
	src := bytes.NewReader(make([]byte, 123+nBytes))
	scale := &Scale{DType: fuse.Float32, After: fuse.Factor{View: fuse.View{Groups: 1, Outer: 1, Channels: 1, Inner: nBytes / 4}, Scale: []float64{2}}}
	for _, first := range []int64{0, 1, 123, 5000, 600_000, 1<<20 - 1} {
		out := &places{}
		next := list(
			Op{Dst: out, Bytes: make([]byte, first)},
			Op{Dst: out, DstOff: first, Src: src, SrcOff: 123, N: nBytes, Scale: scale},
			Op{Dst: out, DstOff: first + nBytes, Src: src, N: 100_000},
		)
		e := &sized{Engine: host.New(), n: 1, nBytes: 1<<20 + pageBytes}
		if err := Run(context.Background(), e, next, nil); err != nil {
			t.Fatal(err)
		}
		at := int64(0)
		for i, off := range out.offsets {
			if off != at {
				t.Fatalf("first %d: write %d is at %d, want %d", first, i, off, at)
			}
			at += int64(out.lens[i])
			if short := -off & (1<<20 - 1); i > 1 && i < len(out.offsets)-1 && short >= 4 {
				t.Errorf("first %d: write %d begins %d bytes before a stretch", first, i, short)
			}
		}
		if at != first+nBytes+100_000 || out.astray > 0 {
			t.Errorf("first %d: %d bytes written, %d of %d writes astray", first, at, out.astray, len(out.offsets))
		}
	}
}

// An engine that needs its pieces aligned gets them so, in slabs without a page to spare.
func TestScaledIsAligned(t *testing.T) {
	out := &file{data: make([]byte, 1<<20)}
	next, want := workload(out)
	e := &aligned{sized{Engine: host.New(), n: 2, nBytes: 4096}, t}
	if err := Run(context.Background(), e, next, nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.data[:len(want)], want) {
		t.Error("other bytes")
	}
}

// aligned is an engine that refuses what is not.
type aligned struct {
	sized
	t *testing.T
}

func (e *aligned) Align() int { return fuse.SegmentAlign }

func (e *aligned) Scale(s fuse.Slab, segments []fuse.Segment) error {
	for _, seg := range segments {
		if seg.Offset%fuse.SegmentAlign != 0 {
			e.t.Errorf("a segment at offset %d", seg.Offset)
		}
	}
	return e.sized.Scale(s, segments)
}
