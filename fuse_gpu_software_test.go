//go:build cuda && cgo && software

package bnfuse

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/cuda/software"
)

// With the tag software the tests run on the software driver.
func init() {
	software.Configure("")
	if err := driver.OpenFrom(software.Symbols()); err != nil {
		panic(err)
	}
}

// A fault at any call of the driver leaves the whole file, equal to the CPU's, or an error and no file.
// Where the device was ours to choose there is always a file: the CPU does the model again.
func TestFaultsLeaveAWholeFileOrNone(t *testing.T) {
	const model = "testdata/stem_opset17.onnx"
	want := fusedFiles(t, model, Options{Device: "cpu"})
	t.Cleanup(func() { software.Configure("") })
	software.Configure("")
	fusedFiles(t, model, Options{Device: "cuda"})
	clean := software.Count()
	for _, fault := range []struct {
		setting   string
		positions int
	}{
		{"fail=%d", clean.Calls}, {"lost=%d:214", clean.Calls}, {"oom=%d", clean.Allocations}, {"launch=%d:700", clean.Launches},
	} {
		for n := 1; n <= fault.positions; n++ {
			for _, device := range []string{"cuda", "auto"} {
				dir := t.TempDir()
				software.Configure(fmt.Sprintf(fault.setting, n))
				_, err := FuseFile(context.Background(), model, filepath.Join(dir, "out.onnx"), Options{Device: device})
				live := software.Count().Live
				got := readFolder(t, dir)
				switch {
				case device == "auto" && err != nil:
					t.Errorf(fault.setting+", auto: %v", n, err)
				case err == nil && !bytes.Equal(got["out.onnx"], want["out.onnx"]):
					t.Errorf(fault.setting+", %s: no error, and not the CPU's file", n, device)
				case err != nil && len(got) != 0:
					t.Errorf(fault.setting+", %s: an error, and yet the files %v", n, device, got)
				}
				if live != (software.Live{}) {
					t.Errorf(fault.setting+", %s: left behind %+v", n, device, live)
				}
			}
		}
		t.Logf("%s: %d positions", fault.setting, fault.positions)
	}
}
