//go:build cuda && cgo

package cuda

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/fuse"
	"gorgonia.org/cu"
)

// Four slabs keep a copy in, a kernel and a copy out under way while the caller fills or empties the fourth.
// Copies of 12 MiB run at the bus's speed; the page more is for a stretch of a file that does not begin where a
// slab does.
const (
	numSlabs  = 4
	slabBytes = 12<<20 + 4<<10
)

// Engine folds weights that are staged through a device. It is a [fuse.Engine].
type Engine struct {
	device *device
	slabs  atomic.Int64 // not yet freed
	idle   idleSlabs
	lost   atomic.Pointer[error] // what ended the device, after which every call fails with it
	closed atomic.Bool
}

var _ fuse.Engine = (*Engine)(nil)

// Open opens a device by its number and loads the kernels. A program that has no driver, no device or an
// unsuitable one gets an error that says what to do.
func Open(number int) (*Engine, error) {
	if err := driver.Open(); err != nil {
		return nil, err
	}
	n, err := cu.NumDevices()
	if err != nil {
		return nil, driverError("cuda: count the devices", err)
	}
	if number < 0 || number >= n {
		return nil, fmt.Errorf("cuda: there is no cuda:%d: the driver sees %d devices; see CUDA_VISIBLE_DEVICES", number, n)
	}
	d := &device{name: fmt.Sprintf("cuda:%d", number), number: cu.Device(number)}
	if d.context, err = d.number.RetainPrimaryCtx(); err != nil {
		return nil, d.check("open the device", err)
	}
	if err := d.do(func() error { return d.load("scale", "contract") }); err != nil {
		return nil, errors.Join(err, d.check("close the device", d.number.ReleasePrimaryCtx()))
	}
	return &Engine{device: d}, nil
}

// Name is "cuda:0" for device 0.
func (e *Engine) Name() string { return e.device.name }

// Slabs asks for as many slabs as keep both directions of the bus and the device busy.
func (e *Engine) Slabs() (n, nBytes int) { return numSlabs, slabBytes }

// Align is a vector of the kernels.
func (e *Engine) Align() int { return fuse.SegmentAlign }

// Close gives the kernels and the context back. Slabs must be freed before. What is asked of the engine afterwards is
// an error, but for another Close, which does nothing.
func (e *Engine) Close() error {
	if n := e.slabs.Load(); n != 0 {
		return fmt.Errorf("%s: closed with %d slabs not freed", e.Name(), n)
	}
	if e.closed.Swap(true) {
		return nil
	}
	err := e.device.do(func() error {
		var errs []error
		for s := e.idle.take(slabBytes); s != nil; s = e.idle.take(slabBytes) {
			errs = append(errs, s.release())
		}
		return errors.Join(append(errs, e.device.unload())...)
	})
	if e.lost.Load() != nil {
		err = nil // a lost device takes no more calls; what it held goes with its context
	}
	closed := fmt.Errorf("%s: the engine is closed", e.Name())
	e.lost.CompareAndSwap(nil, &closed)
	return errors.Join(err, e.device.check("close the device", e.device.number.ReleasePrimaryCtx()))
}

// do runs f with the context current, unless the device is lost. An error of the driver's means that it is;
// only want of memory may pass.
func (e *Engine) do(f func() error) error {
	if lost := e.lost.Load(); lost != nil {
		return *lost
	}
	err := e.device.do(f)
	if err != nil {
		e.judge(err)
	}
	return err
}

// judge notes an error that ends the device.
func (e *Engine) judge(err error) {
	if refused := (*driver.Error)(nil); errors.As(err, &refused) && refused.Code != driver.OutOfMemory {
		e.lost.CompareAndSwap(nil, &err)
	}
}
