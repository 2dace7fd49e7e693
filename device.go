package bnfuse

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
)

// DeviceInfo describes an engine's device for people. What is not known is zero.
type DeviceInfo struct {
	Name              string `json:"name"`                         // what Open takes: "cpu", "cuda:0"
	Model             string `json:"model"`                        // "NVIDIA H200"
	ComputeCapability string `json:"compute_capability,omitempty"` // "9.0"
	MemoryBytes       uint64 `json:"memory_bytes,omitempty"`
	Driver            string `json:"driver,omitempty"` // the newest CUDA the driver knows: "12.2"
}

// The CUDA engine, where it is linked in; see cgo.go.
var (
	openCUDA func(device int) (fuse.Engine, error)
	listCUDA func() ([]DeviceInfo, error)
)

// Open opens an engine by its name: "cpu", "cuda" (the first device), "cuda:1", "cuda:all" (every device,
// which share the work), or "auto", which is CUDA where a device can be used and the CPU where not. "" is
// "auto". Close it when done.
func Open(name string) (fuse.Engine, error) {
	switch name {
	case "cpu":
		return host.New(), nil
	case "", "auto":
		if openCUDA != nil {
			if e, err := openCUDA(0); err == nil {
				return e, nil
			}
		}
		return host.New(), nil
	case "cuda:all":
		return openAll()
	}
	device, ok := cudaDevice(name)
	if !ok {
		return nil, fmt.Errorf("bnfuse: %w %q: want auto, cpu, cuda, cuda:N or cuda:all", ErrUnknownDevice, name)
	}
	if openCUDA == nil {
		return nil, ErrNoCUDA
	}
	return openCUDA(device)
}

// openAll opens every CUDA device as one engine.
func openAll() (fuse.Engine, error) {
	if listCUDA == nil {
		return nil, ErrNoCUDA
	}
	devices, err := listCUDA()
	if err != nil {
		return nil, err
	}
	var engines []fuse.Engine
	for i := range devices {
		e, err := openCUDA(i)
		if err != nil {
			return nil, errors.Join(err, fuse.Join(engines...).Close())
		}
		engines = append(engines, e)
	}
	return fuse.Join(engines...), nil
}

// cudaDevice reads "cuda" or "cuda:N".
func cudaDevice(name string) (int, bool) {
	if name == "cuda" {
		return 0, true
	}
	number, ok := strings.CutPrefix(name, "cuda:")
	n, err := strconv.ParseUint(number, 10, 16)
	return int(n), ok && err == nil
}

// Devices lists the devices that Open can open, the CPU first. Even where the error says why there is no
// CUDA device, the list is good.
func Devices() ([]DeviceInfo, error) {
	list := []DeviceInfo{{Name: "cpu", Model: fmt.Sprintf("%s, %d threads", runtime.GOARCH, runtime.GOMAXPROCS(0))}}
	if listCUDA == nil {
		return list, ErrNoCUDA
	}
	cuda, err := listCUDA()
	return append(list, cuda...), err
}
