package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// sized is the host with slabs of another number and size; it counts those not freed.
type sized struct {
	fuse.Engine
	n, nBytes int

	mu   sync.Mutex
	live int
}

func (e *sized) Slabs() (int, int) { return e.n, e.nBytes }

func (e *sized) NewSlab(nBytes int) (fuse.Slab, error) {
	s, err := e.Engine.NewSlab(nBytes)
	e.mu.Lock()
	e.live++
	e.mu.Unlock()
	return counted{s, e}, err
}

type counted struct {
	fuse.Slab
	of *sized
}

func (c counted) Free() error {
	c.of.mu.Lock()
	c.of.live--
	c.of.mu.Unlock()
	return c.Slab.Free()
}

func (e *sized) Scale(s fuse.Slab, segments []fuse.Segment) error {
	return e.Engine.Scale(s.(counted).Slab, segments)
}

func (e *sized) Contract(s fuse.Slab, contractions []fuse.Contraction) error {
	return e.Engine.Contract(s.(counted).Slab, contractions)
}

// file is an output in memory that can fail.
type file struct {
	mu   sync.Mutex
	data []byte
	fail error
	from int64 // the first byte that cannot be written
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil && off+int64(len(p)) > f.from {
		return 0, f.fail
	}
	return copy(f.data[off:], p), nil
}

func list(ops ...Op) func() (Op, bool) {
	return func() (Op, bool) {
		if len(ops) == 0 {
			return Op{}, false
		}
		op := ops[0]
		ops = ops[1:]
		return op, true
	}
}

// workload is an output of literals, copies and scaled tensors of every type, and what it must become.
func workload(dst io.WriterAt) (next func() (Op, bool), want []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	src := make([]byte, 50_000)
	for i := range src {
		src[i] = byte(r.Uint32())
	}
	var ops []Op
	add := func(op Op, content []byte) {
		op.Dst, op.DstOff = dst, int64(len(want))
		ops = append(ops, op)
		want = append(want, content...)
	}
	for i, dt := range []fuse.DType{fuse.Float32, fuse.Float16, fuse.BFloat16, fuse.Float64} {
		literal := []byte("between the tensors")[:i*3]
		add(Op{Bytes: literal}, literal)
		add(Op{Src: bytes.NewReader(src), SrcOff: 123, N: 7777}, src[123:7900])
		view := fuse.View{Groups: 1, Outer: 1, Channels: 7, Inner: 191}
		weights := make([]float64, view.Elems())
		scale := make([]float64, view.Channels)
		for c := range scale {
			scale[c] = r.NormFloat64()
		}
		for k := range weights {
			weights[k] = r.NormFloat64()
		}
		stored := elem.Encode(dt, weights)
		for k, w := range elem.Decode(dt, stored) {
			weights[k] = w * scale[view.Channel(k)]
		}
		add(Op{Src: bytes.NewReader(stored), N: int64(len(stored)), Scale: &Scale{DType: dt, After: fuse.Factor{View: view, Scale: scale}}}, elem.Encode(dt, weights))
	}
	return list(ops...), want
}

// The bytes do not depend on the number or the size of the slabs.
func TestRun(t *testing.T) {
	for _, e := range []*sized{{n: 1, nBytes: 1 << 20}, {n: 4, nBytes: 1 << 12}, {n: 3, nBytes: 64}} {
		e.Engine = host.New()
		out := &file{data: make([]byte, 1<<20)}
		next, want := workload(out)
		done := int64(0)
		var mu sync.Mutex
		err := Run(context.Background(), e, next, func(n int64) {
			mu.Lock()
			done += n
			mu.Unlock()
		})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.data[:len(want)], want) {
			t.Errorf("%d slabs of %d bytes: other bytes", e.n, e.nBytes)
		}
		if done != int64(len(want)) || e.live != 0 {
			t.Errorf("%d slabs of %d bytes: progress of %d bytes, want %d; %d slabs not freed", e.n, e.nBytes, done, len(want), e.live)
		}
	}
}

// A failing write, a short source and a cancelled run end it with their error, and free the slabs.
func TestRunFails(t *testing.T) {
	full := errors.New("no space left on device")
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		from int64
		op   Op
		want error
	}{
		{name: "full at once", ctx: context.Background(), op: Op{Bytes: []byte("x")}, want: full},
		{name: "full later", ctx: context.Background(), from: 30_000, want: full},
		{name: "short source", ctx: context.Background(), from: 1 << 30, op: Op{Src: bytes.NewReader(make([]byte, 10)), N: 11}, want: io.ErrUnexpectedEOF},
		{name: "cancelled", ctx: cancelled, from: 1 << 30, op: Op{Bytes: []byte("x")}, want: context.Canceled},
	} {
		e := &sized{Engine: host.New(), n: 2, nBytes: 4096}
		out := &file{data: make([]byte, 1<<20), fail: full, from: c.from}
		next, _ := workload(out)
		if c.op.Bytes != nil || c.op.Src != nil {
			c.op.Dst = out
			next = list(c.op)
		}
		if err := Run(c.ctx, e, next, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
		if e.live != 0 {
			t.Errorf("%s: %d slabs not freed", c.name, e.live)
		}
	}
}

// What a tensor's scale does to its weights is counted over all slabs; without an output nothing else
// happens.
func TestCounts(t *testing.T) {
	weights := make([]float64, 1000)
	for i := range weights {
		weights[i] = []float64{1e38, 1e-44, 1}[i%3]
	}
	stored := elem.Encode(fuse.Float32, weights)
	s := &Scale{DType: fuse.Float32, After: fuse.Factor{View: fuse.View{Groups: 1, Outer: 500, Channels: 2, Inner: 1}, Scale: []float64{1e3, 1e-3}}}
	e := &sized{Engine: host.New(), n: 3, nBytes: 256}
	if err := Run(context.Background(), e, list(Op{Src: bytes.NewReader(stored), N: int64(len(stored)), Scale: s}), nil); err != nil {
		t.Fatal(err)
	}
	if over, gone := s.Overflows.Load(), s.Vanished.Load(); over != 167 || gone != 167 {
		t.Errorf("%d overflows and %d vanished, want 167 each", over, gone)
	}
	if !s.Grows() || (&Scale{After: fuse.Factor{Scale: []float64{-1, 1}}}).Grows() {
		t.Error("Grows")
	}
}

// Stretches of zeros of a sparse output are not written.
func TestSparse(t *testing.T) {
	out := &file{data: bytes.Repeat([]byte{0xff}, 3*4096)}
	src := make([]byte, 3*4096)
	src[4096+5] = 1
	e := &sized{Engine: host.New(), n: 1, nBytes: 4096}
	if err := Run(context.Background(), e, list(Op{Dst: out, Src: bytes.NewReader(src), N: int64(len(src)), Sparse: true}), nil); err != nil {
		t.Fatal(err)
	}
	if out.data[0] != 0xff || !bytes.Equal(out.data[4096:2*4096], src[4096:2*4096]) || out.data[3*4096-1] != 0xff {
		t.Error("zeros were written, or other bytes were not")
	}
}

// A contraction is the same whatever slabs its weight goes through.
func TestContract(t *testing.T) {
	view := fuse.View{Groups: 2, Outer: 3, Channels: 5, Inner: 67}
	weights := make([]float64, view.Elems())
	shift := make([]float64, view.NumChannels())
	for i := range weights {
		weights[i] = math.Sin(float64(i))
	}
	for c := range shift {
		shift[c] = float64(c) - 4
	}
	stored := elem.Encode(fuse.Float32, weights)
	var want []float64
	for _, nBytes := range []int{1 << 20, 4096, 64} {
		c := fuse.Contraction{View: view, Shift: shift, Piece: fuse.Piece{DType: fuse.Float32}}
		e := &sized{Engine: host.New(), n: 1, nBytes: nBytes}
		w := Weight{bytes.NewReader(append([]byte("head"), stored...)), 4, int64(len(stored))}
		got, err := w.Contract(context.Background(), e, c, 6)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		for o := range got {
			exact := 0.0
			for i, w := range elem.Decode(fuse.Float32, stored) {
				if i/(view.Channels*view.Inner) == o {
					exact += w * shift[view.Channel(i)]
				}
			}
			if got[o] != want[o] || math.Abs(got[o]-exact) > 1e-9 {
				t.Errorf("slabs of %d bytes, output %d: %v, want %v, about %v", nBytes, o, got[o], want[o], exact)
			}
		}
	}
	short := Weight{bytes.NewReader(nil), 0, 4}
	if _, err := short.Contract(context.Background(), &sized{Engine: host.New(), n: 1, nBytes: 4096}, fuse.Contraction{Piece: fuse.Piece{DType: fuse.Float32}}, 1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a short source: %v", err)
	}
}
