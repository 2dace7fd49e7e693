//go:build cuda && cgo && software

package software_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/cuda/software"
	"github.com/bnfuse/bnfuse/kernels"
	"gorgonia.org/cu"
)

func TestMain(m *testing.M) {
	if n, err := cu.NumDevices(); n != 0 || err != nil {
		panic("there is a device before the driver is opened")
	}
	if _, err := cu.MemAlloc(1); !errors.Is(err, cu.NoDevice) {
		panic(err)
	}
	software.Configure("")
	if err := driver.OpenFrom(software.Symbols()); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// device makes the first device's context current for a test.
func device(t *testing.T, settings string) {
	t.Helper()
	software.Configure(settings)
	runtime.LockOSThread()
	c, err := cu.Device(0).RetainPrimaryCtx()
	must(t, err)
	must(t, cu.SetCurrentContext(c))
	t.Cleanup(func() {
		cu.SetCurrentContext(cu.CUContext{})
		must(t, cu.Device(0).ReleasePrimaryCtx())
		runtime.UnlockOSThread()
		software.Configure("")
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A function the driver lacks is an error value, not a crash.
func TestMissingFunction(t *testing.T) {
	device(t, "")
	if _, err := cu.MemAllocManaged(1, cu.AttachGlobal); !errors.Is(err, cu.NotSupported) {
		t.Error(err)
	}
}

// The current context belongs to a thread: a goroutine that forgets to lock its own has none.
func TestContextIsTheThreads(t *testing.T) {
	device(t, "")
	other := make(chan error)
	go func() {
		runtime.LockOSThread()
		_, err := cu.MemAlloc(16)
		other <- err
	}()
	if err := <-other; !errors.Is(err, cu.InvalidContext) {
		t.Error(err)
	}
}

// A pinned buffer that is used again before its copy is done shows as wrong bytes.
func TestPinnedCopiesRunLate(t *testing.T) {
	device(t, "copy_us=30000")
	pinned, err := driver.HostAlloc(256)
	must(t, err)
	memory, err := cu.MemAlloc(256)
	must(t, err)
	stream, err := cu.MakeStream(cu.NonBlocking)
	must(t, err)
	pinned[0] = 1
	must(t, cu.MemcpyHtoDAsync(memory, unsafe.Pointer(&pinned[0]), 256, stream))
	pinned[0] = 2
	must(t, stream.Synchronize())
	var got [256]byte
	must(t, cu.MemcpyDtoH(unsafe.Pointer(&got[0]), memory, 256))
	if got[0] != 2 {
		t.Errorf("the copy took byte %d, before the reuse", got[0])
	}
}

// Copies are checked against the table of allocations.
func TestCopiesStayInTheirMemory(t *testing.T) {
	device(t, "")
	memory, err := cu.MemAlloc(256)
	must(t, err)
	b := make([]byte, 512)
	for name, err := range map[string]error{
		"too long":                    cu.MemcpyHtoD(memory, unsafe.Pointer(&b[0]), 257),
		"a host pointer for a device": cu.MemcpyHtoD(cu.DevicePtr(uintptr(unsafe.Pointer(&b[0]))), unsafe.Pointer(&b[256]), 8),
		"a device pointer for a host": cu.MemcpyDtoH(unsafe.Add(nil, uintptr(memory)), memory, 8),
	} {
		if !errors.Is(err, cu.InvalidValue) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A sticky error is every call's answer until the context ends.
func TestErrorsStick(t *testing.T) {
	device(t, "lost=3:700")
	var err error
	for range 5 {
		_, err = cu.MemAlloc(16)
	}
	if !errors.Is(err, cu.IllegalAddress) {
		t.Error(err)
	}
}

func TestPTXIsRead(t *testing.T) {
	device(t, "")
	scale := kernels.PTX("scale")
	for _, c := range []struct {
		ptx  string
		want error
	}{
		{scale, nil},
		{"junk", cu.InvalidImage},
		{strings.Replace(scale, ".target sm_75", ".target sm_120", 1), cu.InvalidPtx},
		{strings.ReplaceAll(scale, ".entry scale(", ".entry scales("), cu.NotFound},
		{strings.Replace(scale, ".param .u64 scale_param_3", "", 1), cu.InvalidImage},
	} {
		m, err := cu.LoadData(c.ptx)
		if err == nil {
			_, err = m.Function("scale")
		}
		if !errors.Is(err, c.want) {
			t.Errorf("got %v, want %v", err, c.want)
		}
	}
}

// overrun runs a kernel that writes n bytes and more behind the start of memory of 1000.
func overrun(t *testing.T, n uint64) {
	m, err := cu.LoadData("\n.version 7.8\n.target sm_75\n.visible .entry overrun(.param .u64 a, .param .u64 b)")
	must(t, err)
	f, err := m.Function("overrun")
	must(t, err)
	memory, err := cu.MemAlloc(1000)
	must(t, err)
	at := uint64(memory)
	must(t, f.Launch(1, 1, 1, 1, 1, 1, 0, cu.NoStream, []unsafe.Pointer{unsafe.Pointer(&at), unsafe.Pointer(&n)}))
	if err := cu.MemFree(memory); !errors.Is(err, cu.IllegalAddress) {
		t.Error("freeing memory that was written behind its end:", err)
	}
}

func TestOverrunIsFoundWhenFreed(t *testing.T) {
	device(t, "")
	overrun(t, 1000)
	if n := software.Count().Overruns; n != 1 {
		t.Errorf("%d overruns, want 1", n)
	}
}

// Farther on lies a page nobody may touch. The write kills the program, so it is another one.
func TestOverrunMeetsTheGuardPage(t *testing.T) {
	if os.Getenv("BNFUSE_TEST_OVERRUN") != "" {
		device(t, "")
		overrun(t, 4096)
		return
	}
	c := exec.Command(os.Args[0], "-test.run=^TestOverrunMeetsTheGuardPage$")
	c.Env = append(os.Environ(), "BNFUSE_TEST_OVERRUN=1")
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "SIGSEGV") && !strings.Contains(string(out), "SEGV") {
		t.Errorf("the write went unseen: %v\n%s", err, out)
	}
}

// A stream works while its caller goes on, and an event says when it is done.
func TestStreamsWorkByThemselves(t *testing.T) {
	device(t, "copy_us=30000")
	pinned, err := driver.HostAlloc(256)
	must(t, err)
	memory, err := cu.MemAlloc(256)
	must(t, err)
	stream, err := cu.MakeStream(cu.NonBlocking)
	must(t, err)
	event, err := cu.MakeEvent(cu.DisableTiming)
	must(t, err)
	began := time.Now()
	must(t, cu.MemcpyHtoDAsync(memory, unsafe.Pointer(&pinned[0]), 256, stream))
	must(t, event.Record(stream))
	if waited := time.Since(began); waited > 20*time.Millisecond {
		t.Errorf("the copy kept its caller %v", waited)
	}
	if err := event.Query(); !errors.Is(err, cu.NotReady) {
		t.Error(err)
	}
	must(t, event.Synchronize())
	must(t, event.Query())
}
