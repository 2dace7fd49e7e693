//go:build cuda && cgo

package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"gorgonia.org/cu"
)

// Resident folds norms into layers that already lie in device memory. It works in a context of the caller's
// and on the caller's streams; it makes neither.
//
//	model, err := resident.Prepare(layers)  // once: allocates and copies tables of a few bytes a channel
//	err = model.Check(stream)               // counts, and writes nothing
//	results, err := model.Results(stream)   // waits for the stream
//	err = model.Fold(stream)                // two launches; returns before they are done
type Resident struct{ device *device }

// NewResident loads the kernels into a context. The program has called driver.Open before it made the
// context, or any other call of gorgonia.org/cu.
func NewResident(context cu.CUContext) (*Resident, error) {
	d := &device{name: "cuda", context: context}
	err := d.do(func() error {
		number, err := cu.CurrentDevice()
		if err != nil {
			return d.check("find the context's device", err)
		}
		d.number, d.name = number, fmt.Sprintf("cuda:%d", int(number))
		return d.load("affine", "fold", "fold_sums")
	})
	if err != nil {
		return nil, err
	}
	return &Resident{d}, nil
}

// Close gives the kernels back. Models must be closed before.
func (r *Resident) Close() error { return r.device.do(r.device.unload) }

// Model is a set of layers that are folded together. It may be used by one stream at a time.
type Model struct {
	device  *device
	plan    *residentPlan
	memory  cu.DevicePtr // [norms][folds][results][scales and shifts]
	host    []byte       // pinned, for the results
	nLayers int          // 0 when closed
}

// Prepare lays out the tables for folding the layers, and copies them to the device. It allocates and
// waits, so that Fold and Check need not. A layer must appear once.
func (r *Resident) Prepare(layers []Layer) (*Model, error) {
	plan, err := planResident(layers)
	if err != nil {
		return nil, err
	}
	m := &Model{device: r.device, plan: plan, nLayers: len(layers)}
	if len(layers) == 0 {
		return m, nil
	}
	if err := m.device.do(m.allocate); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Model) allocate() (err error) {
	d := m.device
	defer func() {
		if err != nil {
			m.free()
		}
	}()
	if m.memory, err = cu.MemAlloc(int64(m.plan.nBytes)); err != nil {
		return d.checkAlloc("device memory", m.plan.nBytes, err)
	}
	if m.host, err = driver.HostAlloc(m.plan.results.nBytes()); err != nil {
		return d.checkAlloc("pinned host memory", m.plan.results.nBytes(), err)
	}
	tables := m.plan.tables(m.memory)
	if err := cu.MemcpyHtoD(m.memory, unsafe.Pointer(&tables[0]), int64(len(tables))); err != nil {
		return d.check("copy the tables", err)
	}
	// A copy of pageable memory may return when it is in the driver's hands, and a stream that is not blocking does not
	// wait for it.
	return d.check("copy the tables", cu.NoStream.Synchronize())
}

// Fold folds every layer in place: one launch for the norms, one for the layers. It returns when they are
// queued on the stream. Nothing in device memory can be undone, so a caller who cannot know the ranges of
// its weights runs Check first.
func (m *Model) Fold(stream cu.Stream) error { return m.start(stream, true) }

// Check counts what Fold would do, with the same two launches, and writes nothing but the counts.
func (m *Model) Check(stream cu.Stream) error { return m.start(stream, false) }

func (m *Model) start(stream cu.Stream, write bool) error {
	if m.nLayers == 0 {
		return nil
	}
	d, p := m.device, m.plan
	return d.do(func() error {
		results := m.memory + cu.DevicePtr(p.results.at)
		if err := cu.MemsetD8Async(results, 0, int64(p.results.nBytes()), stream); err != nil {
			return d.check("clear the counts", err)
		}
		err := d.launch("affine", p.normTiles, stream, new(arguments), uint64(m.memory)+uint64(p.norms.at), uint64(p.norms.n), uint64(p.normTiles))
		if err != nil {
			return err
		}
		writes := uint64(0)
		if write {
			writes = 1
		}
		return d.launch(p.kernel, p.foldTiles, stream, new(arguments), uint64(m.memory)+uint64(p.folds.at), uint64(p.folds.n), uint64(p.foldTiles), writes)
	})
}

// Results is what the last Fold or Check did to each layer. It waits for the stream.
func (m *Model) Results(stream cu.Stream) ([]Result, error) {
	if m.nLayers == 0 {
		return nil, nil
	}
	d, p := m.device, m.plan
	err := d.do(func() error {
		from := m.memory + cu.DevicePtr(p.results.at)
		if err := cu.MemcpyDtoHAsync(unsafe.Pointer(&m.host[0]), from, int64(p.results.nBytes()), stream); err != nil {
			return d.check("copy the counts", err)
		}
		return d.check("wait for the stream", stream.Synchronize())
	})
	if err != nil {
		return nil, err
	}
	results := make([]Result, m.nLayers)
	for i, r := range view[result](m.host, 0, m.nLayers) {
		results[i] = Result{
			Overflows: int(r.overflows), Vanished: int(r.vanished),
			BiasOverflows: int(r.biasOverflows), RefusedChannels: int(r.refused),
		}
	}
	return results, nil
}

// Close frees the tables. The streams that used them must be done.
func (m *Model) Close() error {
	if m.nLayers == 0 {
		return nil
	}
	return m.device.do(m.free)
}

func (m *Model) free() error {
	var errs []error
	if m.memory != 0 {
		errs = append(errs, m.device.check("free device memory", cu.MemFree(m.memory)))
	}
	if m.host != nil {
		errs = append(errs, m.device.check("free pinned memory", cu.MemFreeHost(unsafe.Pointer(&m.host[0]))))
	}
	m.memory, m.host, m.nLayers = 0, nil, 0
	return errors.Join(errs...)
}
