//go:build cuda && cgo

package cuda

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/fuse/fusetest"
	"gorgonia.org/cu"
)

// The benchmarks report how near folding comes to plain copies that are timed in the same run. Run them on a
// GPU; on the software driver they only show that they run.

var dtypes = []fuse.DType{fuse.Float64, fuse.Float32, fuse.Float16, fuse.BFloat16}

// timed is the least time that work and the stream take, of several times.
func timed(b *testing.B, stream cu.Stream, work func() error) time.Duration {
	b.Helper()
	best := time.Duration(1 << 62)
	for range 7 {
		began := time.Now()
		if err := work(); err != nil {
			b.Fatal(err)
		}
		if err := stream.Synchronize(); err != nil {
			b.Fatal(err)
		}
		best = min(best, time.Since(began))
	}
	return best
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
	if err := cu.MemsetD8(p, 0x3c, int64(nBytes)); err != nil { // 0x3c3c… is an ordinary number in every type
		b.Fatal(err)
	}
	return p
}

// benchLayer is a layer on the device with a norm of ordinary numbers behind it, or before.
func benchLayer(b *testing.B, layout fuse.Layout, shape []int, dtype fuse.DType, before bool) Layer {
	elems, _ := fuse.NumElems(shape)
	channels := max(shape[0], shape[1])
	norm := func() cu.DevicePtr { return deviceMemory(b, 4*channels) }
	n := &Norm{Gamma: norm(), Beta: norm(), Mean: norm(), Var: norm(), Eps: 1e-5}
	l := Layer{Layout: layout, Shape: shape, DType: dtype, Weight: deviceMemory(b, elems*dtype.Size()),
		Bias: deviceMemory(b, 8*channels), After: n}
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
		{"matmul", fuse.MatMul, func(n int) []int { return []int{n / 4096, 4096} }, false},
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

// A whole ResNet-50 in two launches; bundle/torch_fold.py times PyTorch's way, layer by layer.
func BenchmarkResidentResNet50(b *testing.B) {
	context, stream := benchContext(b)
	var layers []Layer
	nBytes := 0
	for i, shape := range fusetest.ResNet50() {
		l := benchLayer(b, fuse.Conv, shape, fuse.Float32, false)
		l.Name = fmt.Sprint("conv", i)
		layers = append(layers, l)
		elems, _ := fuse.NumElems(shape)
		nBytes += 4 * elems
	}
	model := prepare(b, context, layers)
	b.SetBytes(2 * int64(nBytes))
	for b.Loop() {
		foldOnce(b, stream, model)
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
			scale := make([]float64, v.Channels)
			for i := range scale {
				scale[i] = 1
			}
			slabs := make([]fuse.Slab, n)
			for i := range slabs {
				slabs[i] = newSlab(b, e, nBytes)
				randomBits(rand.New(rand.NewPCG(1, uint64(i))), slabs[i].Bytes())
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
