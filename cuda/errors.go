//go:build cuda && cgo

package cuda

import (
	"fmt"
	"reflect"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/kernels"
	"gorgonia.org/cu"
)

// deviceError is a call that a device's driver refused. The work can be done elsewhere.
type deviceError struct {
	device string
	err    *driver.Error
}

func (e *deviceError) Error() string   { return e.device + ": " + e.err.Error() }
func (e *deviceError) Unwrap() []error { return []error{e.err, fuse.ErrDeviceLost} }

// check turns an error of the binding into one that says what was tried and, in the driver's words, why it
// failed. A nil error stays nil.
func (d *device) check(op string, err error) error {
	if err == nil {
		return nil
	}
	return &deviceError{d.name, driverError(op, err)}
}

// driverError finds the code in an error of the binding, whose type is an unexported integer.
func driverError(op string, err error) *driver.Error {
	if e, ok := err.(*driver.Error); ok {
		return e
	}
	v := reflect.ValueOf(err)
	if v.Kind() != reflect.Int {
		return &driver.Error{Op: op, Text: err.Error()}
	}
	return driver.NewError(op, int(v.Int()))
}

// checkAlloc is check for an allocation: for want of memory it says how much was free.
func (d *device) checkAlloc(what string, nBytes int, err error) error {
	if err == nil {
		return nil
	}
	e := driverError(fmt.Sprintf("allocate %s of %s", inMiB(int64(nBytes)), what), err)
	if e.Code == driver.OutOfMemory {
		if free, total, err := cu.MemInfo(); err == nil {
			e.Hint = fmt.Sprintf("%s of the device's %s are free", inMiB(free), inMiB(total))
		}
	}
	return &deviceError{d.name, e}
}

func inMiB(nBytes int64) string {
	if nBytes < 1<<20 {
		return fmt.Sprintf("%d bytes", nBytes)
	}
	return fmt.Sprintf("%.1f MiB", float64(nBytes)/(1<<20))
}

// checkLoad is check for loading a kernel, with the versions that must suit each other.
func (d *device) checkLoad(kernel string, err error) error {
	if err == nil {
		return nil
	}
	e := driverError(fmt.Sprintf("load kernel %q", kernel), err)
	switch e.Code {
	case driver.PTXTooNew:
		e.Hint = fmt.Sprintf("the kernel is PTX %s, and this driver knows CUDA %s; update the driver to 520 (CUDA 11.8) or newer",
			kernels.Version(kernel), cudaVersion(cu.Version()))
	case driver.InvalidPTX, driver.NoBinaryForGPU:
		major, minor, _ := d.number.ComputeCapability()
		target := kernels.Target(kernel)
		e.Hint = fmt.Sprintf("the kernel needs compute capability %s.%s, and the device has %d.%d",
			target[:len(target)-1], target[len(target)-1:], major, minor)
	}
	return &deviceError{d.name, e}
}

// cudaVersion writes the driver's number as people do: 12020 is 12.2.
func cudaVersion(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }
