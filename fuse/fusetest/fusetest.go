// Package fusetest is the table of cases that every engine must pass.
//
// In: a [fuse.Engine]. Out: test failures. The wanted bits are computed here, from the definition (see
// expect.go), and not by package host: so host is tested too, and an engine on a GPU is compared with
// the definition rather than with another program.
//
// A case goes through the Engine interface only. To add one, add it to the list its kind belongs to;
// every engine then has to pass it.
package fusetest

import (
	"bytes"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

// Case is one or more calls of an engine and the reason why it should be tried.
type Case struct {
	Name   string
	Reason string
	Calls  []Call
}

// Call is a slab's first content and what is done with it: first the contractions, then the segments are
// scaled. Contractions of several calls may share lanes: a tensor whose pieces lie in several slabs.
type Call struct {
	Slab         []byte
	Contractions []fuse.Contraction
	Segments     []fuse.Segment
}

// Run runs every case on the engine, and then many at a time.
func Run(t *testing.T, e fuse.Engine) {
	t.Run("engine", func(t *testing.T) { testEngine(t, e) })
	for _, list := range []struct {
		name  string
		cases []Case
	}{
		{"layers", layerCases()},
		{"values", valueCases()},
		{"shapes", shapeCases()},
		{"contract", contractCases()},
	} {
		t.Run(list.name, func(t *testing.T) {
			for _, c := range list.cases {
				t.Run(c.Name, func(t *testing.T) { runCase(t, e, c) })
			}
		})
	}
	t.Run("moved", func(t *testing.T) {
		for _, cases := range [][]Case{layerCases(), valueCases(), shapeCases(), contractCases()} {
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) { runCase(t, e, c.moved(e.Align())) })
			}
		}
	})
	t.Run("broken", func(t *testing.T) {
		for _, c := range brokenCases(e.Align()) {
			t.Run(c.Name, func(t *testing.T) { runBroken(t, e, c) })
		}
	})
	t.Run("concurrent", func(t *testing.T) { testConcurrent(t, e) })
}

// testEngine checks what an engine says of itself, and its slabs.
func testEngine(t *testing.T, e fuse.Engine) {
	if e.Name() == "" {
		t.Error("the engine has no name")
	}
	n, nBytes := e.Slabs()
	if n < 1 || nBytes < fuse.SegmentAlign {
		t.Errorf("the engine wants %d slabs of %d bytes", n, nBytes)
	}
	if align := e.Align(); align < 1 || fuse.SegmentAlign%align != 0 {
		t.Errorf("the engine wants offsets that are multiples of %d", align)
	}
	for _, want := range []int{0, 1, 100, nBytes} {
		slab, err := e.NewSlab(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(slab.Bytes()); got != want {
			t.Errorf("a slab of %d bytes has %d", want, got)
		}
		if err := slab.Free(); err != nil {
			t.Error(err)
		}
	}
}

// testConcurrent runs cases on different slabs at the same time.
func testConcurrent(t *testing.T, e fuse.Engine) {
	var wg sync.WaitGroup
	for _, cases := range [][]Case{layerCases(), valueCases(), contractCases()} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for _, c := range cases[:min(40, len(cases))] {
				runCase(t, e, c)
			}
		}()
	}
	wg.Wait()
}

// newSlab is a slab of the engine with the given content.
func newSlab(t *testing.T, e fuse.Engine, content []byte) fuse.Slab {
	slab, err := e.NewSlab(len(content))
	if err != nil {
		t.Error(err)
		return nil
	}
	copy(slab.Bytes(), content)
	return slab
}

func runCase(t *testing.T, e fuse.Engine, c Case) {
	lanes := laneBook{}
	for i, call := range c.Calls {
		slab := newSlab(t, e, call.Slab)
		if slab == nil {
			return
		}
		runContractions(t, e, c.Name, slab, call, lanes)
		runSegments(t, e, c.Name, slab, call)
		if err := slab.Free(); err != nil {
			t.Errorf("%s: call %d: %v", c.Name, i, err)
		}
	}
}

func runContractions(t *testing.T, e fuse.Engine, name string, slab fuse.Slab, call Call, lanes laneBook) {
	if call.Contractions == nil {
		return
	}
	work := make([]fuse.Contraction, len(call.Contractions)) // the table of cases stays as it is
	for i, c := range call.Contractions {
		work[i] = c
		work[i].Lanes, _ = lanes.of(c.Lanes)
	}
	if err := e.Contract(slab, work); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if !bytes.Equal(slab.Bytes(), call.Slab) {
		t.Errorf("%s: Contract changed the slab", name)
	}
	for i, c := range call.Contractions {
		got, want := lanes.of(c.Lanes)
		expectContraction(call.Slab, &c, want)
		shown := 0
		for l := range want {
			g, w := got[l], want[l]
			if same := math.Float64bits(g) == math.Float64bits(w) || math.IsNaN(g) && math.IsNaN(w); !same && shown < 5 {
				shown++
				t.Errorf("%s: contraction %d, output %d, lane %d: got %v (%#x), want %v (%#x)", name, i, l/fuse.NumLanes, l%fuse.NumLanes,
					g, math.Float64bits(g), w, math.Float64bits(w))
			}
		}
	}
}

// moved is the case with every piece by bytes further behind in its slab.
func (c Case) moved(by int) Case {
	calls := make([]Call, len(c.Calls))
	for i, call := range c.Calls {
		calls[i] = Call{
			Slab:         append(bytes.Repeat([]byte{gapByte}, by), call.Slab...),
			Contractions: slices.Clone(call.Contractions),
			Segments:     slices.Clone(call.Segments),
		}
		for k := range calls[i].Contractions {
			calls[i].Contractions[k].Offset += by
		}
		for k := range calls[i].Segments {
			calls[i].Segments[k].Offset += by
		}
	}
	c.Calls = calls
	return c
}

// laneBook keeps, for each lanes slice of the table, the engine's copy and the wanted values.
type laneBook map[*float64][2][]float64

func (b laneBook) of(lanes []float64) (got, want []float64) {
	if len(lanes) == 0 {
		return nil, nil
	}
	pair, ok := b[&lanes[0]]
	if !ok {
		pair = [2][]float64{append([]float64(nil), lanes...), append([]float64(nil), lanes...)}
		b[&lanes[0]] = pair
	}
	return pair[0], pair[1]
}

func runSegments(t *testing.T, e fuse.Engine, name string, slab fuse.Slab, call Call) {
	if call.Segments == nil {
		return
	}
	want := bytes.Clone(call.Slab)
	wantSegments := append([]fuse.Segment(nil), call.Segments...)
	for i := range wantSegments {
		expectSegment(want, &wantSegments[i])
	}
	got := append([]fuse.Segment(nil), call.Segments...)
	for i := range got {
		got[i].Overflows, got[i].Vanished = -1, -1 // Scale sets them, it does not add
	}
	if err := e.Scale(slab, got); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	shown := 0
	for i := range got {
		g, w := &got[i], &wantSegments[i]
		if (g.Overflows != w.Overflows || g.Vanished != w.Vanished) && shown < 5 {
			shown++
			t.Errorf("%s: segment %d (%v): %d overflows and %d vanished, want %d and %d", name, i, g.DType, g.Overflows, g.Vanished, w.Overflows, w.Vanished)
		}
		size := g.DType.Size()
		for j := 0; j < g.Elems && shown < 5; j++ {
			at := g.Offset + j*size
			if a, b := slab.Bytes()[at:at+size], want[at:at+size]; !bytes.Equal(a, b) {
				shown++
				t.Errorf("%s: segment %d (%v), element %d: %#x became %#x, want %#x (after %v, before %v)", name, i, g.DType, g.First+j,
					loadBits(g.DType, call.Slab[at:]), loadBits(g.DType, a), loadBits(g.DType, b), scaleFor(&g.After, g.First+j), scaleFor(&g.Before, g.First+j))
			}
		}
	}
	if shown == 0 && !bytes.Equal(slab.Bytes(), want) {
		t.Errorf("%s: bytes between the segments changed", name)
	}
}
