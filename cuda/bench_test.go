//go:build cuda && cgo

package cuda

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/fuse/fusetest"
	"github.com/bnfuse/bnfuse/internal/elem"
	"gorgonia.org/cu"
)

// The benchmarks report how near folding comes to plain copies that are timed in the same run. Run them on a
// GPU; on the software driver they only show that they run.

var dtypes = []fuse.DType{fuse.Float64, fuse.Float32, fuse.Float16, fuse.BFloat16}

// timed is how long work and the stream take: the median of several times, each of several works in a row, so
// that neither the launch nor the wait counts.
func timed(b *testing.B, stream cu.Stream, work func() error) time.Duration {
	b.Helper()
	var times []time.Duration
	for range benchRounds {
		began := time.Now()
		for range benchInARow {
			if err := work(); err != nil {
				b.Fatal(err)
			}
		}
		if err := stream.Synchronize(); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(began)/benchInARow)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// benchContext makes the device's context current, with a stream.
func benchContext(b *testing.B) (cu.CUContext, cu.Stream) {
	b.Helper()
	runtime.LockOSThread()
	context, err := cu.Device(0).RetainPrimaryCtx()
	if err != nil {
		b.Fatal(err)
	}
	if err := cu.SetCurrentContext(context); err != nil {
		b.Fatal(err)
	}
	stream, err := cu.MakeStream(cu.NonBlocking)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stream.Destroy()
		cu.SetCurrentContext(cu.CUContext{})
		cu.Device(0).ReleasePrimaryCtx()
		runtime.UnlockOSThread()
	})
	return context, stream
}

func deviceMemory(b *testing.B, nBytes int) cu.DevicePtr {
	b.Helper()
	p, err := cu.MemAlloc(int64(nBytes))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cu.MemFree(p) })
	return p
}

// normal are n numbers around a mean.
func normal(r *rand.Rand, n int, mean, deviation float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = mean + deviation*r.NormFloat64()
	}
	return x
}

// onDevice is device memory that holds the bytes, over and over.
func onDevice(b *testing.B, nBytes int, bytes []byte) cu.DevicePtr {
	b.Helper()
	p := deviceMemory(b, nBytes)
	for at := 0; at < nBytes; at += len(bytes) {
		n := min(len(bytes), nBytes-at)
		if err := cu.MemcpyHtoD(p+cu.DevicePtr(at), unsafe.Pointer(&bytes[0]), int64(n)); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// benchLayer is a layer on the device with a norm behind it, or before. The scales are so near to 1 that the weights
// stay ordinary numbers, however often they are folded.
func benchLayer(b *testing.B, layout fuse.Layout, shape []int, dtype fuse.DType, before bool) Layer {
	r := rand.New(rand.NewPCG(1, 2))
	elems, _ := fuse.NumElems(shape)
	channels := max(shape[0], shape[1])
	parameter := func(mean, deviation float64) cu.DevicePtr {
		return onDevice(b, 4*channels, elem.Encode(fuse.Float32, normal(r, channels, mean, deviation)))
	}
	n := &Norm{Gamma: parameter(1, 0.005), Beta: parameter(0, 0.1), Mean: parameter(0, 0.1), Var: parameter(1, 0.005), Eps: 1e-5}
	weights := elem.Encode(dtype, normal(r, min(elems, 1<<18), 0, 0.05))
	l := Layer{Layout: layout, Shape: shape, DType: dtype, Weight: onDevice(b, elems*dtype.Size(), weights),
		Bias: onDevice(b, channels*dtype.Size(), weights), After: n}
	if before {
		l.After, l.Before = nil, n
	}
	return l
}

func prepare(b *testing.B, context cu.CUContext, layers []Layer) *Model {
	b.Helper()
	r, err := NewResident(context)
	if err != nil {
		b.Fatal(err)
	}
	m, err := r.Prepare(layers)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close(); r.Close() })
	return m
}

// Folding in place reads and writes every weight once, as a copy on the device does.
func BenchmarkResident(b *testing.B) {
	for _, c := range []struct {
		name   string
		layout fuse.Layout
		shape  func(elems int) []int
		before bool
	}{
		{"conv3x3", fuse.Conv, func(n int) []int { return []int{n / (512 * 9), 512, 3, 3} }, false},
		{"convtranspose2x2", fuse.ConvTranspose, func(n int) []int { return []int{n / (512 * 4), 512, 2, 2} }, false},
		{"matmul", fuse.MatMul, func(n int) []int { return []int{n / 4096, 4096} }, false},
		{"before-conv3x3", fuse.Conv, func(n int) []int { return []int{n / (512 * 9), 512, 3, 3} }, true},
		{"before-conv1x1", fuse.Conv, func(n int) []int { return []int{n / 1024, 1024, 1} }, true},
		{"before-matmul", fuse.MatMul, func(n int) []int { return []int{4096, n / 4096} }, true},
	} {
		for _, dtype := range dtypes {
			b.Run(c.name+"/"+dtype.String(), func(b *testing.B) {
				context, stream := benchContext(b)
				layer := benchLayer(b, c.layout, c.shape(benchBytes/dtype.Size()), dtype, c.before)
				elems, _ := fuse.NumElems(layer.Shape)
				nBytes := elems * dtype.Size()
				to := deviceMemory(b, nBytes)
				model := prepare(b, context, []Layer{layer})
				copying := timed(b, stream, func() error { return cu.MemcpyDtoDAsync(to, layer.Weight, int64(nBytes), stream) })
				folding := timed(b, stream, func() error { return model.Fold(stream) })
				b.SetBytes(2 * int64(nBytes))
				for b.Loop() {
					foldOnce(b, stream, model)
				}
				b.ReportMetric(float64(2*nBytes)/copying.Seconds()/1e9, "copy-GB/s")
				b.ReportMetric(100*copying.Seconds()/folding.Seconds(), "%copy")
			})
		}
	}
}

func foldOnce(b *testing.B, stream cu.Stream, model *Model) {
	if err := model.Fold(stream); err != nil {
		b.Fatal(err)
	}
	if err := stream.Synchronize(); err != nil {
		b.Fatal(err)
	}
}

// Whole networks in two launches; bundle/torch_fold.py times PyTorch's way, layer by layer.
func BenchmarkResidentNetworks(b *testing.B) {
	for _, networks := range []int{1, benchNetworks} { // a ResNet-50, and a zoo
		b.Run(fmt.Sprint(networks, "x"), func(b *testing.B) {
			context, stream := benchContext(b)
			var layers []Layer
			nBytes := 0
			for range networks {
				for _, shape := range fusetest.ResNet50() {
					l := benchLayer(b, fuse.Conv, shape, fuse.Float32, false)
					l.Name = fmt.Sprint("conv", len(layers))
					layers = append(layers, l)
					elems, _ := fuse.NumElems(shape)
					nBytes += 4 * elems
				}
			}
			model := prepare(b, context, layers)
			folding := timed(b, stream, func() error { return model.Fold(stream) })
			b.SetBytes(2 * int64(nBytes))
			for b.Loop() {
				foldOnce(b, stream, model)
			}
			b.ReportMetric(float64(folding.Nanoseconds()), "device-ns")
		})
	}
}

// Staged folding moves every weight over the bus once each way; the measure is pinned copies both ways at
// once.
func BenchmarkStaged(b *testing.B) {
	for _, dtype := range dtypes {
		b.Run(dtype.String(), func(b *testing.B) {
			e := open(b)
			n, nBytes := e.Slabs()
			v := fuse.View{Groups: 1, Outer: 1, Channels: 256, Inner: nBytes / dtype.Size() / 256}
			scale := normal(rand.New(rand.NewPCG(1, 2)), v.Channels, 1, 0.005)
			slabs := make([]fuse.Slab, n)
			for i := range slabs {
				slabs[i] = newSlab(b, e, nBytes)
				copy(slabs[i].Bytes(), elem.Encode(dtype, normal(rand.New(rand.NewPCG(1, uint64(i))), v.Elems(), 0, 0.05)))
			}
			const rounds = 1 + benchBytes>>25
			foldAll := func() {
				var all sync.WaitGroup
				for _, s := range slabs {
					all.Go(func() {
						seg := []fuse.Segment{{Piece: fuse.Piece{Elems: v.Elems(), DType: dtype}, After: fuse.Factor{View: v, Scale: scale}}}
						for range rounds {
							if err := e.Scale(s, seg); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
			}
			copies := bothWays(b, n*rounds, nBytes)
			foldAll()
			b.SetBytes(int64(n * rounds * nBytes))
			began, times := time.Now(), 0
			for b.Loop() {
				foldAll()
				times++
			}
			folding := time.Since(began) / time.Duration(times)
			b.ReportMetric(float64(n*rounds*nBytes)/copies.Seconds()/1e9, "copy-GB/s")
			b.ReportMetric(100*copies.Seconds()/folding.Seconds(), "%copy")
		})
	}
}

// bothWays is how long n pinned copies of nBytes in each direction take, both directions at once.
func bothWays(b *testing.B, n, nBytes int) time.Duration {
	b.Helper()
	_, in := benchContext(b)
	out, err := cu.MakeStream(cu.NonBlocking)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Destroy()
	var pinned [2][]byte
	for i := range pinned {
		if pinned[i], err = driver.HostAlloc(nBytes); err != nil {
			b.Fatal(err)
		}
		defer cu.MemFreeHost(unsafe.Pointer(&pinned[i][0]))
	}
	from, to := deviceMemory(b, nBytes), deviceMemory(b, nBytes)
	return timed(b, out, func() error {
		for range n {
			if err := cu.MemcpyHtoDAsync(to, unsafe.Pointer(&pinned[0][0]), int64(nBytes), in); err != nil {
				return err
			}
			if err := cu.MemcpyDtoHAsync(unsafe.Pointer(&pinned[1][0]), from, int64(nBytes), out); err != nil {
				return err
			}
		}
		return in.Synchronize()
	})
}
