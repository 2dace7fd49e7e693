package nn

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
)

// narrow is the host with slabs of another number and size. It counts what is not freed, and fails where
// it is told to.
type narrow struct {
	fuse.Engine
	count, nBytes int

	mu            sync.Mutex
	live          int
	scales        int
	failNew, fail error
	failAt        int // the call of Scale that fails
	overflow      bool
}

func (n *narrow) Slabs() (int, int) { return n.count, n.nBytes }

func (n *narrow) NewSlab(nBytes int) (fuse.Slab, error) {
	if n.failNew != nil {
		return nil, n.failNew
	}
	if nBytes > max(n.nBytes, fuse.SegmentAlign) {
		return nil, fmt.Errorf("a slab of %d bytes, want %d at most", nBytes, n.nBytes)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.live++
	s, err := n.Engine.NewSlab(nBytes)
	return &counted{s, n}, err
}

type counted struct {
	fuse.Slab
	of *narrow
}

func (c *counted) Free() error {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.live--
	return c.Slab.Free()
}

func (n *narrow) Scale(s fuse.Slab, segments []fuse.Segment) error {
	n.mu.Lock()
	n.scales++
	failing := n.fail != nil && n.scales == n.failAt
	n.mu.Unlock()
	for _, g := range segments {
		if g.Offset%fuse.SegmentAlign != 0 {
			return fmt.Errorf("a segment at %d", g.Offset)
		}
	}
	if failing {
		return n.fail
	}
	err := n.Engine.Scale(s.(*counted).Slab, segments)
	if n.overflow {
		segments[0].Overflows = 1
	}
	return err
}

// mixed is a model of small and large weights of both types.
func mixed(s *source) *Sequential {
	m := NewSequential()
	for i, size := range []int{1, 3, 40, 2, 1, 17} {
		s.dtype = tensor.Float64
		if i%2 == 1 {
			s.dtype = tensor.Float32
		}
		norm := BatchNorm1d(s.norm(size, true))
		layer := &Linear{Weight: s.dense(size, 7)}
		m.Children = append(m.Children, Child{fmt.Sprint(2 * i), layer}, Child{fmt.Sprint(2*i + 1), &norm})
	}
	return m
}

// The bits are the same for slabs of any size and number, and for any number of cores.
func TestSlabs(t *testing.T) {
	var want []string
	for _, cores := range []int{1, 2, 8} {
		for _, count := range []int{0, 1, 3} {
			for _, nBytes := range []int{0, 16, 24, 100, 4096, 1 << 20} {
				before := runtime.GOMAXPROCS(cores)
				m := mixed(newSource(50))
				e := &narrow{Engine: host.New(), count: count, nBytes: nBytes}
				_, plan, err := FuseBN(m, Options{Engine: e})
				runtime.GOMAXPROCS(before)
				if err != nil || len(plan.Steps) != 6 || e.live != 0 {
					t.Fatalf("%d slabs of %d bytes: %d steps, %d slabs left, error %v", count, nBytes, len(plan.Steps), e.live, err)
				}
				var got []string
				for _, c := range m.Children {
					got = append(got, bits(c.Module.(*Linear).Weight), bits(c.Module.(*Linear).Bias))
				}
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) {
					t.Errorf("%d slabs of %d bytes on %d cores give other bits", count, nBytes, cores)
				}
			}
		}
	}
}

// Whatever the engine does wrong, at whichever slab, the model is what it was and every slab is freed.
func TestEngineErrors(t *testing.T) {
	lost := fmt.Errorf("out of memory: %w", fuse.ErrDeviceLost)
	for _, c := range []struct {
		name   string
		engine *narrow
		text   string
	}{
		{"no slab", &narrow{failNew: lost}, "nn: engine cpu: out of memory: device lost"},
		{"first slab", &narrow{fail: lost, failAt: 1}, "nn: engine cpu: out of memory: device lost"},
		{"later slab", &narrow{fail: lost, failAt: 5}, "nn: engine cpu: out of memory: device lost"},
		{"overflow", &narrow{overflow: true}, "nn: engine cpu: 1 weights became infinite that should not"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := c.engine
			e.Engine, e.count, e.nBytes = host.New(), 2, 64
			m := mixed(newSource(51))
			m.Children = append(m.Children, Child{"gain", &gain{Gain: newSource(1).dense(17), Offset: newSource(1).dense(17)}}, Child{"last", newSource(2).norm2d(17)})
			before := snapshot(m)
			_, _, err := FuseBN(m, Options{Engine: e, Handlers: map[string]BNFuser{"gain": BNFuserFunc(foldGain)}})
			if err == nil || err.Error() != c.text || !errors.Is(err, fuse.ErrDeviceLost) && !e.overflow {
				t.Errorf("got %v, want %s", err, c.text)
			}
			if !slices.Equal(snapshot(m), before) || e.live != 0 {
				t.Errorf("the model changed, or %d slabs are left", e.live)
			}
		})
	}
}

// An engine is not asked for anything when there is nothing to multiply.
func TestNothingToFold(t *testing.T) {
	s := newSource(52)
	m := NewSequential(s.norm2d(3), s.conv2d(3, 3, 1))
	e := &narrow{Engine: host.New(), failNew: errors.New("not needed")}
	before := snapshot(m)
	out, _, err := FuseBN(m, Options{Engine: e})
	if err != nil || out != m || !slices.Equal(snapshot(m), before) {
		t.Errorf("got %v", err)
	}
}
