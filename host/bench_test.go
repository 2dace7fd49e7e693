package host

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// BenchmarkScale scales 64 MiB in memory, over and over, by scales that keep the weights where they are.
func BenchmarkScale(b *testing.B) {
	for _, dt := range dtypes {
		for _, inner := range []int{1, 9, 4608} {
			for _, cores := range []int{1, 2} {
				b.Run(fmt.Sprintf("%v/inner=%d/cores=%d", dt, inner, cores), func(b *testing.B) {
					benchmarkScale(b, dt, inner, cores, 64<<20)
				})
			}
		}
	}
}

// BenchmarkScaleSlab scales one slab of the size that [Engine.Slabs] asks for, hot in the cache.
func BenchmarkScaleSlab(b *testing.B) {
	_, nBytes := New().Slabs()
	for _, dt := range dtypes {
		for _, inner := range []int{1, 9, 4608} {
			b.Run(fmt.Sprintf("%v/inner=%d", dt, inner), func(b *testing.B) { benchmarkScale(b, dt, inner, 1, nBytes) })
		}
	}
}

func benchmarkScale(b *testing.B, dt fuse.DType, inner, cores, nBytes int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	const channels = 512
	r := rand.New(rand.NewPCG(1, 1))
	row := channels * inner
	outer := max(1, nBytes/dt.Size()/row)
	view := fuse.View{Groups: 1, Outer: outer, Channels: channels, Inner: inner}
	if inner > 1 { // [Cout, …]: as many channels as it takes
		view = fuse.View{Groups: 1, Outer: 1, Channels: outer * channels, Inner: inner}
	}
	up, down := make([]float64, view.NumChannels()), make([]float64, view.NumChannels())
	for i := range up {
		up[i] = 0.5 + r.Float64()
		down[i] = 1 / up[i]
	}
	slab := make([]byte, view.Elems()*dt.Size())
	for i := range view.Elems() {
		elem.Store(dt, slab[i*dt.Size():], r.NormFloat64()*0.05)
	}
	seg := []fuse.Segment{{Piece: fuse.Piece{Elems: view.Elems(), DType: dt}}}
	e := New()
	b.SetBytes(int64(len(slab)))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		seg[0].After = fuse.Factor{View: view, Scale: up}
		if i%2 == 1 {
			seg[0].After.Scale = down
		}
		if err := e.Scale(Wrap(slab), seg); err != nil {
			b.Fatal(err)
		}
	}
}
