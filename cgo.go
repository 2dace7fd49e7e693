//go:build cuda && cgo

package bnfuse

import (
	"github.com/bnfuse/bnfuse/cuda"
	"github.com/bnfuse/bnfuse/fuse"
)

// This file is the one place that links the CUDA engine in.
func init() {
	openCUDA = func(device int) (fuse.Engine, error) {
		e, err := cuda.Open(device)
		if err != nil {
			return nil, err
		}
		return e, nil
	}
	listCUDA = func() ([]DeviceInfo, error) {
		devices, err := cuda.Devices()
		list := make([]DeviceInfo, len(devices))
		for i, d := range devices {
			list[i] = DeviceInfo(d)
		}
		return list, err
	}
}
