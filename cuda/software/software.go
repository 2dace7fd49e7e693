//go:build cuda && cgo && software

package software

/*
#cgo CFLAGS: -I${SRCDIR}/../driver/include -O2
#cgo CXXFLAGS: -O2 -std=c++17 -fno-exceptions -fno-rtti
#cgo LDFLAGS: -lpthread
#include <stdlib.h>
#include "software.h"
*/
import "C"

import "unsafe"

// Symbols is the resolver for driver.OpenFrom.
func Symbols() unsafe.Pointer { return unsafe.Pointer(C.sw_symbol) }

// Configure says how the driver behaves from now on, and clears its counters and sticky errors. The
// settings are a list such as "devices=2,oom=3,launch=1:700":
//
//	devices=N mem=N cc=N driver=N   how many devices, bytes on each, capability (90 is 9.0), CUDA version (12020)
//	noinit=CODE nojit=1             the driver does not start, or cannot compile PTX
//	oom=N                           allocation N finds no memory
//	fail=N[:CODE]                   call N fails, and nothing else happens
//	launch=N[:CODE]                 kernel N dies and ends its context
//	lost=N[:CODE]                   the device is lost at call N
//	copy_us=N kernel_us=N mbps=N    how long copies and kernels take at least
func Configure(settings string) {
	s := C.CString(settings)
	defer C.free(unsafe.Pointer(s))
	C.sw_configure(s)
}

// Counters is what the driver has done since Configure, and what exists now.
type Counters struct {
	Calls, Allocations, Launches int
	CopiesIn, CopiesOut          int // to a device, to the host
	BytesIn, BytesOut            int
	Live                         Live
	Overlaps                     int // times a copy in, a kernel and a copy out were under way at once
	Overruns                     int // allocations written behind their end
}

// Live is what has been made and not been given back.
type Live struct {
	DeviceBytes, PinnedBytes           int // whole pages
	Streams, Events, Modules, Contexts int
}

// Count reads the counters.
func Count() Counters {
	c := C.sw_count()
	return Counters{
		Calls: int(c.calls), Allocations: int(c.allocations), Launches: int(c.launches),
		CopiesIn: int(c.copies_to_device), CopiesOut: int(c.copies_to_host),
		BytesIn: int(c.bytes_to_device), BytesOut: int(c.bytes_to_host),
		Live: Live{
			DeviceBytes: int(c.device_bytes), PinnedBytes: int(c.pinned_bytes),
			Streams: int(c.streams), Events: int(c.events), Modules: int(c.modules), Contexts: int(c.contexts),
		},
		Overlaps: int(c.overlaps), Overruns: int(c.overruns),
	}
}
