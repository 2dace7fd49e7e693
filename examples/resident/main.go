//go:build cuda && cgo

// Resident folds a batch normalization into a convolution whose weights already lie in GPU memory, as a Go
// program would that loads its model there: no weight is copied, and two kernels do a whole model.
//
//	make example-resident               # on this machine's GPU
//	make example-resident LD_LIBRARY_PATH=$PWD/build/cuda   # after make libcuda: on the software driver
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"unsafe"

	"github.com/bnfuse/bnfuse/cuda"
	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/fuse"
	"gorgonia.org/cu"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "resident:", err)
		os.Exit(1)
	}
}

// run is what a program that uses gorgonia.org/cu does anyway, but for its first line: that finds the driver.
func run(out io.Writer) error {
	if err := driver.Open(); err != nil {
		return err
	}
	runtime.LockOSThread() // a context is current on a thread
	defer runtime.UnlockOSThread()
	context, err := cu.Device(0).RetainPrimaryCtx()
	if err != nil {
		return err
	}
	defer cu.Device(0).ReleasePrimaryCtx() // the memory goes with it
	if err := cu.SetCurrentContext(context); err != nil {
		return err
	}
	stream, err := cu.MakeStream(cu.NonBlocking)
	if err != nil {
		return err
	}
	layer, err := convolution()
	if err != nil {
		return err
	}
	if err := fold(context, stream, []cuda.Layer{layer}); err != nil {
		return err
	}
	return show(out, layer)
}

// convolution puts a convolution of 2 channels to 2, and the norm behind it, into device memory.
func convolution() (cuda.Layer, error) {
	var at []cu.DevicePtr
	for _, x := range [][]float32{
		{1, 2, 3, 4}, {0.5, -0.5}, // weight, bias
		{2, 3}, {0, 1}, {1, 0}, {0.75, 3.75}, // gamma, beta, mean, variance
	} {
		p, err := cu.AllocAndCopy(unsafe.Pointer(&x[0]), int64(4*len(x)))
		if err != nil {
			return cuda.Layer{}, err
		}
		at = append(at, p)
	}
	return cuda.Layer{
		Name: "conv1", Layout: fuse.Conv, Shape: []int{2, 2, 1, 1}, DType: fuse.Float32,
		Weight: at[0], Bias: at[1],
		After: &cuda.Norm{Gamma: at[2], Beta: at[3], Mean: at[4], Var: at[5], Eps: 0.25},
	}, nil
}

// fold folds the layers in place.
func fold(context cu.CUContext, stream cu.Stream, layers []cuda.Layer) error {
	resident, err := cuda.NewResident(context)
	if err != nil {
		return err
	}
	defer resident.Close()
	model, err := resident.Prepare(layers)
	if err != nil {
		return err
	}
	defer model.Close()

	// Nothing in device memory can be undone, so first see whether every value keeps its range.
	if err := model.Check(stream); err != nil {
		return err
	}
	results, err := model.Results(stream)
	if err != nil {
		return err
	}
	for i, r := range results {
		if !r.Exact() {
			return fmt.Errorf("layer %q cannot be folded: %+v", layers[i].Name, r)
		}
	}
	if err := model.Fold(stream); err != nil { // two launches; a program could go on queueing work here
		return err
	}
	return stream.Synchronize()
}

func show(out io.Writer, layer cuda.Layer) error {
	var weight [4]float32
	var bias [2]float32
	if err := cu.MemcpyDtoH(unsafe.Pointer(&weight), layer.Weight, 16); err != nil {
		return err
	}
	if err := cu.MemcpyDtoH(unsafe.Pointer(&bias), layer.Bias, 8); err != nil {
		return err
	}
	fmt.Fprintln(out, "scale  γ/√(σ²+ε)  = [2 1.5]")
	fmt.Fprintln(out, "weight [1 2 3 4]  →", weight)
	fmt.Fprintln(out, "bias   [0.5 -0.5] →", bias)
	return nil
}
