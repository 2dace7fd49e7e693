//go:build cuda && cgo && software

package cuda

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bnfuse/bnfuse/cuda/software"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/fuse/fusetest"
	"gorgonia.org/cu"
)

// slabful are the segments of one slab.
type slabful []fuse.Segment

// fill lays out float32 tensors in slabs, one behind the other: small ones share a slab, large ones span
// several.
func fill(shapes [][]int, slabBytes int) (slabs []slabful, channels int) {
	var now slabful
	offset := 0
	for _, shape := range shapes {
		v, err := fuse.Conv.View(fuse.After, shape, 1)
		if err != nil {
			panic(err)
		}
		channels += v.NumChannels()
		scale := make([]float64, v.NumChannels())
		for i := range scale {
			scale[i] = 1 + float64(i)/1000
		}
		for first := 0; first < v.Elems(); {
			if slabBytes-offset < 16 {
				slabs, now, offset = append(slabs, now), nil, 0
			}
			n := min(v.Elems()-first, (slabBytes-offset)/4)
			now = append(now, fuse.Segment{Piece: fuse.Piece{Offset: offset, Elems: n, First: first, DType: fuse.Float32},
				After: fuse.Factor{View: v, Scale: scale}})
			first += n
			offset = (offset + 4*n + 15) / 16 * 16
		}
	}
	return append(slabs, now), channels
}

// foldSlabs folds them as a front end does: as many at once as the engine wants.
func foldSlabs(t *testing.T, e *Engine, work []slabful) {
	t.Helper()
	n, nBytes := e.Slabs()
	queue := make(chan slabful, len(work))
	for _, w := range work {
		queue <- w
	}
	close(queue)
	var all sync.WaitGroup
	for range n {
		s := newSlab(t, e, nBytes)
		all.Go(func() {
			for segments := range queue {
				if err := e.Scale(s, segments); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// Staged, a ResNet-50 takes a launch a slab, moves its weights once each way and little else, and keeps
// copies in, kernels and copies out under way together.
func TestStagedResNet50Counts(t *testing.T) {
	e := open(t)
	_, slabBytes := e.Slabs()
	work, channels := fill(fusetest.ResNet50(), slabBytes)
	configure(t, "copy_us=3000,kernel_us=3000")
	foldSlabs(t, e, work)
	n := software.Count()
	weights, norms := 4*fusetest.ResNet50Weights, 4*4*channels
	if n.Launches != len(work) {
		t.Errorf("%d launches for %d slabs", n.Launches, len(work))
	}
	if limit := (weights + norms) * 101 / 100; n.BytesIn > limit || n.BytesOut > limit {
		t.Errorf("%d bytes to the device and %d back, want at most %d", n.BytesIn, n.BytesOut, limit)
	}
	if n.Overlaps == 0 {
		t.Error("a copy in, a kernel and a copy out were never under way at once")
	}
	t.Logf("%d slabs: %d launches, %d copies in (%.2f %% more than the weights), %d copies out, %d times all three at once",
		len(work), n.Launches, n.CopiesIn, 100*float64(n.BytesIn-weights)/float64(weights), n.CopiesOut, n.Overlaps)
}

// Resident, it takes two launches and no copy, and the call returns before they are done.
func TestResidentResNet50Counts(t *testing.T) {
	p := newProgram(t)
	r := rand.New(rand.NewPCG(9, 10))
	var layers []Layer
	for i, shape := range fusetest.ResNet50() {
		n, _ := fuse.NumElems(shape)
		weight, err := cu.MemAlloc(int64(4 * n))
		p.must(err)
		t.Cleanup(func() { p.must(cu.MemFree(weight)) })
		norm := randomNorm(r, shape[0])
		layers = append(layers, Layer{Name: fmt.Sprint("conv", i), Layout: fuse.Conv, Shape: shape, DType: fuse.Float32,
			Weight: weight, NewBias: p.put(make([]byte, 4*shape[0]), 0), After: p.normOnDevice(norm)})
	}
	m := p.resident(layers)
	configure(t, "kernel_us=50000")
	began := time.Now()
	p.must(m.Fold(p.stream))
	if waited := time.Since(began); waited > 40*time.Millisecond {
		t.Errorf("Fold returned after %v: it waited for the device", waited)
	}
	results, err := m.Results(p.stream)
	p.must(err)
	if len(results) != len(layers) {
		t.Errorf("%d results for %d layers", len(results), len(layers))
	}
	n := software.Count()
	if n.Launches != 2 || n.CopiesIn != 0 || n.CopiesOut != 1 || n.Allocations != 0 {
		t.Errorf("%+v: want 2 launches, and no copy but that of the results", n)
	}
}

// The tensors of 200 small models share slabs, and so launches.
func TestSmallModelsShareLaunches(t *testing.T) {
	var shapes [][]int
	for range 200 {
		shapes = append(shapes, []int{8, 3, 3, 3}, []int{16, 8, 3, 3}, []int{32, 16, 1, 1})
	}
	e := open(t)
	_, slabBytes := e.Slabs()
	work, _ := fill(shapes, slabBytes)
	configure(t, "")
	foldSlabs(t, e, work)
	if n := software.Count().Launches; n != 1 {
		t.Errorf("200 models of 3 layers took %d launches, want 1", n)
	}
}

// A large weight that spans many slabs sends each slab only the scales of its own channels.
func TestScalesAreClipped(t *testing.T) {
	e := open(t)
	v := fuse.View{Groups: 1, Outer: 1, Channels: 1 << 14, Inner: 64}
	scale := slices.Repeat([]float64{2}, v.Channels)
	s := newSlab(t, e, 1<<16)
	configure(t, "")
	elems := len(s.Bytes()) / 4
	seg := fuse.Segment{Piece: fuse.Piece{Elems: elems, First: 100 * elems / 2, DType: fuse.Float32}, After: fuse.Factor{View: v, Scale: scale}}
	if err := e.Scale(s, []fuse.Segment{seg}); err != nil {
		t.Fatal(err)
	}
	if n := software.Count().BytesIn - len(s.Bytes()); n > 8*(elems/v.Inner+1)+200 {
		t.Errorf("%d bytes beside the weights", n)
	}
}

// One model's slabs are the next one's: pinned memory takes too long to allocate for each.
func TestSlabsAreUsedAgain(t *testing.T) {
	e := open(t)
	_, nBytes := e.Slabs()
	configure(t, "")
	for range 10 {
		a, err := e.NewSlab(nBytes)
		if err != nil {
			t.Fatal(err)
		}
		b, err := e.NewSlab(nBytes)
		if err != nil {
			t.Fatal(err)
		}
		if &a.Bytes()[0] == &b.Bytes()[0] {
			t.Fatal("two slabs share their memory")
		}
		if err := errors.Join(a.Free(), b.Free(), a.Free()); err != nil {
			t.Fatal(err)
		}
		if len(a.Bytes()) != 0 {
			t.Error("a freed slab has bytes")
		}
	}
	if n := software.Count().Allocations; n != 4 {
		t.Errorf("%d allocations for two slabs, ten times; want 4", n)
	}
}
