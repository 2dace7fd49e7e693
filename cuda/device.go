//go:build cuda && cgo

package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/kernels"
	"gorgonia.org/cu"
)

// Device describes a device for people.
type Device struct {
	Name              string // what Open's engine is called: "cuda:0"
	Model             string // "NVIDIA H200"
	ComputeCapability string // "9.0"
	MemoryBytes       uint64
	Driver            string // the newest CUDA the driver knows: "12.2"
}

// Devices lists the devices. The error is the driver's, or that there is none.
func Devices() ([]Device, error) {
	if err := driver.Open(); err != nil {
		return nil, err
	}
	n, err := cu.NumDevices()
	if err != nil {
		return nil, driverError("cuda: count the devices", err)
	}
	list := make([]Device, n)
	for i := range list {
		if list[i], err = describe(cu.Device(i)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func describe(number cu.Device) (Device, error) {
	model, err1 := number.Name()
	major, minor, err2 := number.ComputeCapability()
	memory, err3 := number.TotalMem()
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return Device{}, driverError(fmt.Sprintf("cuda: describe device %d", int(number)), err)
		}
	}
	return Device{
		Name:              fmt.Sprintf("cuda:%d", int(number)),
		Model:             model,
		ComputeCapability: fmt.Sprintf("%d.%d", major, minor),
		MemoryBytes:       uint64(memory),
		Driver:            cudaVersion(cu.Version()),
	}, nil
}

// device is a context and the kernels loaded into it.
type device struct {
	name    string
	number  cu.Device
	context cu.CUContext
	modules []cu.Module
	kernels map[string]cu.Function
}

// do runs f with the device's context current. The driver keeps the current context for each thread, so the
// goroutine stays on its own until f returns; then the caller's context is current again.
func (d *device) do(f func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := cu.CurrentContext()
	if err != nil {
		return d.check("find the current context", err)
	}
	defer func() {
		err = errors.Join(err, d.check("return to the caller's context", cu.SetCurrentContext(before)))
	}()
	if err := cu.SetCurrentContext(d.context); err != nil {
		return d.check("use the context", err)
	}
	return f()
}

// load loads the kernels, so that a device they do not run on is found before work begins. The context must
// be current. On an error nothing stays loaded.
func (d *device) load(names ...string) error {
	d.kernels = make(map[string]cu.Function)
	for _, name := range names {
		if err := d.loadKernel(name); err != nil {
			return errors.Join(err, d.unload())
		}
	}
	return nil
}

func (d *device) loadKernel(name string) error {
	module, err := cu.LoadData(kernels.Image(name))
	if err != nil {
		return d.checkLoad(name, err)
	}
	d.modules = append(d.modules, module)
	d.kernels[name], err = module.Function(name)
	return d.checkLoad(name, err)
}

// unload gives the kernels back. The context must be current.
func (d *device) unload() error {
	var errs []error
	for _, m := range d.modules {
		errs = append(errs, d.check("unload a kernel", m.Unload()))
	}
	d.modules = nil
	return errors.Join(errs...)
}

// arguments is room for those of the kernel that takes the most. The binding lets it escape.
type arguments struct {
	values   [4]uint64
	pointers [4]unsafe.Pointer
}

// maxBlocks is how many blocks a grid can have; when there are more tiles, blocks take several.
const maxBlocks = 1<<31 - 1

// launch starts a kernel over the tiles, with a block for each: the device hands them out faster than a block can go
// from one to the next. The context must be current. Every argument has eight bytes, because the binding copies eight
// bytes from each.
func (d *device) launch(kernel string, tiles int, stream cu.Stream, room *arguments, values ...uint64) error {
	n := copy(room.values[:], values)
	for i := range n {
		room.pointers[i] = unsafe.Pointer(&room.values[i])
	}
	err := d.kernels[kernel].Launch(min(tiles, maxBlocks), 1, 1, kernels.Threads, 1, 1, 0, stream, room.pointers[:n])
	if err != nil {
		return d.check("launch kernel "+kernel, err)
	}
	return nil
}
