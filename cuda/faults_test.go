//go:build cuda && cgo && software

package cuda

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/cuda/software"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"gorgonia.org/cu"
)

// configure makes the driver misbehave for one test.
func configure(t *testing.T, settings string) {
	t.Helper()
	software.Configure(settings)
	t.Cleanup(func() { software.Configure("") })
}

// smallModel is two slabs, one with a contraction first, and what folding must make of them.
type smallModel struct {
	slabs [2][]byte
	want  [2][]byte
	lanes []float64
}

var smallView = fuse.View{Groups: 1, Outer: 8, Channels: 4, Inner: 9}

func newSmallModel() *smallModel {
	m := new(smallModel)
	r := rand.New(rand.NewPCG(7, 8))
	for i := range m.slabs {
		m.slabs[i] = make([]byte, 4*smallView.Elems())
		randomBits(r, m.slabs[i])
		m.want[i] = bytes.Clone(m.slabs[i])
	}
	c := m.contraction()
	host.ReferenceContract(m.slabs[0], &c)
	m.lanes = c.Lanes
	for i := range m.want {
		seg := m.segments()
		host.ReferenceScale(m.want[i], &seg[0])
	}
	return m
}

func (m *smallModel) piece() fuse.Piece {
	return fuse.Piece{Elems: smallView.Elems(), DType: fuse.Float32}
}

func (m *smallModel) contraction() fuse.Contraction {
	return fuse.Contraction{Piece: m.piece(), View: smallView, Shift: []float64{1, -2, 3, 0.5}, Lanes: make([]float64, 8*fuse.NumLanes)}
}

func (m *smallModel) segments() []fuse.Segment {
	return []fuse.Segment{{Piece: m.piece(), Before: fuse.Factor{View: smallView, Scale: []float64{2, 1.5, -1, 0.1}}}}
}

// fold opens an engine, folds the model and closes everything. Without an error the output is complete.
func (m *smallModel) fold() (out [2][]byte, err error) {
	e, err := Open(0)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	for i := range m.slabs {
		s, err := e.NewSlab(len(m.slabs[i]))
		if err != nil {
			return out, err
		}
		defer s.Free()
		copy(s.Bytes(), m.slabs[i])
		if i == 0 {
			c := m.contraction()
			if err := e.Contract(s, []fuse.Contraction{c}); err != nil {
				return out, err
			}
			if fmt.Sprint(c.Lanes) != fmt.Sprint(m.lanes) {
				return out, errors.New("the lanes differ")
			}
		}
		if err := e.Scale(s, m.segments()); err != nil {
			return out, err
		}
		out[i] = bytes.Clone(s.Bytes())
	}
	return out, nil
}

// At every position each fault leaves either the whole output or an error that lets the caller go on with
// another engine, and nothing allocated.
func TestFaultsAtEveryCall(t *testing.T) {
	m := newSmallModel()
	configure(t, "")
	if _, err := m.fold(); err != nil {
		t.Fatal(err)
	}
	clean := software.Count()
	for _, fault := range []struct {
		setting   string
		positions int
	}{
		{"fail=%d", clean.Calls}, {"fail=%d:2", clean.Calls}, {"lost=%d:214", clean.Calls}, {"lost=%d:719", clean.Calls},
		{"oom=%d", clean.Allocations}, {"launch=%d:700", clean.Launches},
	} {
		failed := 0
		for n := 1; n <= fault.positions; n++ {
			setting := fmt.Sprintf(fault.setting, n)
			software.Configure(setting)
			out, err := m.fold()
			switch {
			case err == nil && !(bytes.Equal(out[0], m.want[0]) && bytes.Equal(out[1], m.want[1])):
				t.Errorf("%s: no error, and wrong bytes", setting)
			case err != nil && !errors.Is(err, fuse.ErrDeviceLost):
				t.Errorf("%s: %v does not wrap ErrDeviceLost", setting, err)
			case err != nil:
				failed++
			}
			if live := software.Count().Live; live != (software.Live{}) {
				t.Errorf("%s: left behind %+v", setting, live)
			}
		}
		t.Logf("%s: %d of %d positions ended in an error", fault.setting, failed, fault.positions)
		if failed == 0 {
			t.Errorf("%s: no position ended in an error", fault.setting)
		}
	}
}

// The messages a user meets say what to do.
func TestMessages(t *testing.T) {
	m := newSmallModel()
	for _, c := range []struct{ setting, want string }{
		{"oom=2", "cuda:0: allocate 1152 bytes of device memory: CUDA_ERROR_OUT_OF_MEMORY (2): out of memory: " +
			"1024.0 MiB of the device's 1024.0 MiB are free"},
		{"driver=11060", `cuda:0: load kernel "scale": CUDA_ERROR_UNSUPPORTED_PTX_VERSION (222): the provided PTX was compiled with an ` +
			"unsupported toolchain.: the kernel is PTX 7.8, and this driver knows CUDA 11.6; update the driver to 520 (CUDA 11.8) or newer"},
		{"cc=61", `cuda:0: load kernel "scale": CUDA_ERROR_INVALID_PTX (218): a PTX JIT compilation failed: ` +
			"the kernel needs compute capability 7.5, and the device has 6.1"},
		{"nojit=1", `cuda:0: load kernel "scale": CUDA_ERROR_JIT_COMPILER_NOT_FOUND (221): PTX JIT compiler library not found: ` +
			"the driver's compiler (libnvidia-ptxjitcompiler.so.1) is missing or switched off; install it, or mount it into the container"},
		{"launch=1:719", ": CUDA_ERROR_LAUNCH_FAILED (719): unspecified launch failure"},
		{"devices=0", "cuda: there is no cuda:0: the driver sees 0 devices; see CUDA_VISIBLE_DEVICES"},
	} {
		configure(t, c.setting)
		_, err := m.fold()
		if err == nil || !strings.HasSuffix(strings.Split(err.Error(), "\n")[0], c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.setting, err, c.want)
		}
	}
}

// A driver that does not start is an error value, in its own words; it can be tried again.
func TestDriverThatDoesNotStart(t *testing.T) {
	for _, c := range []struct{ setting, want string }{
		{"noinit=34", "cuda: start the driver: CUDA_ERROR_STUB_LIBRARY (34): CUDA driver is a stub library: this libcuda.so.1 is a toolkit's stub; " +
			"take its stubs folder out of LD_LIBRARY_PATH"},
		{"noinit=100", "cuda: start the driver: CUDA_ERROR_NO_DEVICE (100): no CUDA-capable device is detected: the driver sees no GPU; " +
			"see nvidia-smi -L and CUDA_VISIBLE_DEVICES"},
	} {
		configure(t, c.setting)
		if err := driver.OpenFrom(software.Symbols()); err == nil || err.Error() != c.want {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
	configure(t, "")
	if err := driver.OpenFrom(software.Symbols()); err != nil {
		t.Fatal(err)
	}
}

// Nothing is left after each of a hundred openings, and the last fifty start no threads or goroutines.
func TestOpenAndCloseLeaksNothing(t *testing.T) {
	m := newSmallModel()
	configure(t, "")
	var threads, goroutines int
	for i := range 100 {
		if _, err := m.fold(); err != nil {
			t.Fatal(err)
		}
		if live := software.Count().Live; live != (software.Live{}) {
			t.Fatalf("opening %d left %+v", i, live)
		}
		if i == 50 {
			threads, goroutines = countThreads(t), runtime.NumGoroutine()
		}
	}
	const few = 5 // Go's runtime starts one now and then; a leak would be one for each opening
	n := countThreads(t)
	for deadline := time.Now().Add(5 * time.Second); n > threads+few && time.Now().Before(deadline); n = countThreads(t) {
		time.Sleep(10 * time.Millisecond) // the threads of destroyed streams end by themselves
	}
	if n > threads+few {
		t.Errorf("%d threads after 50 openings, %d after 100", threads, n)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines after 50 openings, %d after 100", goroutines, n)
	}
	if n := software.Count().Overruns; n > 0 {
		t.Errorf("%d allocations were written behind their end", n)
	}
}

// countThreads counts the program's threads.
func countThreads(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip(err)
	}
	return len(tasks)
}

// Two devices in one batch: each works, and losing one does not touch the other.
func TestSeveralDevices(t *testing.T) {
	configure(t, "devices=2")
	m := newSmallModel()
	var engines [2]*Engine
	for i := range engines {
		e, err := Open(i)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		engines[i] = e
	}
	scale := func(e *Engine) error {
		s, err := e.NewSlab(len(m.slabs[1]))
		if err != nil {
			return err
		}
		defer s.Free()
		copy(s.Bytes(), m.slabs[1])
		if err := e.Scale(s, m.segments()); err != nil {
			return err
		}
		if !bytes.Equal(s.Bytes(), m.want[1]) {
			return errors.New("wrong bytes")
		}
		return nil
	}
	for _, e := range engines {
		if err := scale(e); err != nil {
			t.Errorf("%s: %v", e.Name(), err)
		}
	}
	configure(t, "devices=2,lost=3")
	if err := scale(engines[0]); !errors.Is(err, fuse.ErrDeviceLost) {
		t.Errorf("the lost device: %v", err)
	}
	if err := scale(engines[1]); err != nil {
		t.Errorf("the other device: %v", err)
	}
	if err := scale(engines[0]); !errors.Is(err, fuse.ErrDeviceLost) {
		t.Errorf("the lost device, again: %v", err)
	}
}

// Want of memory while a model is prepared leaves nothing behind; a fault in any call is an error.
func TestResidentFaults(t *testing.T) {
	p := newProgram(t)
	l := randomLayer(rand.New(rand.NewPCG(13, 14)), fuse.Linear, fuse.Float32, true, true, true, []int{8, 8}, 1)
	layer := p.onDevice(l, 0)
	use := func() (err error) {
		r, err := NewResident(p.context)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		m, err := r.Prepare([]Layer{layer})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.Close()) }()
		if err := m.Check(p.stream); err != nil {
			return err
		}
		_, err = m.Results(p.stream)
		return err
	}
	configure(t, "")
	if err := use(); err != nil {
		t.Fatal(err)
	}
	clean := software.Count()
	for n := 1; n <= clean.Allocations; n++ {
		software.Configure(fmt.Sprintf("oom=%d", n))
		if err := use(); !errors.Is(err, fuse.ErrDeviceLost) {
			t.Errorf("allocation %d: %v", n, err)
		}
		if live := software.Count().Live; live != clean.Live {
			t.Errorf("allocation %d: %+v are left, before it was %+v", n, live, clean.Live)
		}
	}
	errs := 0
	for n := 1; n <= clean.Calls; n++ {
		software.Configure(fmt.Sprintf("fail=%d", n))
		if err := use(); err != nil {
			errs++
		}
		software.Configure("")
		p.must(cu.SetCurrentContext(p.context)) // where the call that failed was to return to it
	}
	if errs != clean.Calls {
		t.Errorf("%d of %d calls that failed gave an error", errs, clean.Calls)
	}
}
