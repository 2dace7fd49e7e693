package host

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// BenchmarkScale scales 64 MiB in memory, there and back, on one core and on two.
func BenchmarkScale(b *testing.B) {
	for _, dt := range dtypes {
		for _, inner := range []int{1, 9, 4608} {
			for _, cores := range []int{1, 2} {
				b.Run(fmt.Sprintf("%v/inner=%d/cores=%d", dt, inner, cores), func(b *testing.B) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
					benchmarkScale(b, dt, inner, 64<<20)
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
			b.Run(fmt.Sprintf("%v/inner=%d", dt, inner), func(b *testing.B) { benchmarkScale(b, dt, inner, nBytes) })
		}
	}
}

func benchmarkScale(b *testing.B, dt fuse.DType, inner, nBytes int) {
	v := view(1, 1, nBytes/dt.Size()/inner, inner) // [Cout, …]
	if inner == 1 {
		v = view(1, nBytes/dt.Size()/512, 512, 1) // [in, out]
	}
	r := rand.New(rand.NewPCG(1, 1))
	up, down := make([]float64, v.NumChannels()), make([]float64, v.NumChannels())
	for i := range up {
		up[i] = 0.5 + r.Float64()
		down[i] = 1 / up[i]
	}
	slab := Wrap(ordinaryWeights(r, dt, v.Elems()))
	seg := []fuse.Segment{{Piece: fuse.Piece{Elems: v.Elems(), DType: dt}}}
	e := New()
	b.SetBytes(int64(v.Elems() * dt.Size()))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		seg[0].After = fuse.Factor{View: v, Scale: [][]float64{up, down}[i%2]}
		if err := e.Scale(slab, seg); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkContract sums a linear layer with a norm before it, stored both ways, and a convolution.
func BenchmarkContract(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, dt := range dtypes {
		for _, c := range []struct {
			name     string
			view     fuse.View
			perInner bool
		}{
			{"Linear", view(1, 256, 2048, 1), false},
			{"MatMul", view(1, 1, 2048, 256), true},
			{"Conv3x3", view(1, 256, 256, 9), false},
		} {
			b.Run(fmt.Sprintf("%s/%v", c.name, dt), func(b *testing.B) {
				slab := Wrap(ordinaryWeights(r, dt, c.view.Elems()))
				work := []fuse.Contraction{{
					Piece: fuse.Piece{Elems: c.view.Elems(), DType: dt}, View: c.view, PerInner: c.perInner,
					Shift: make([]float64, c.view.NumChannels()), Lanes: make([]float64, 256*fuse.NumLanes),
				}}
				e := New()
				b.SetBytes(int64(c.view.Elems() * dt.Size()))
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					if err := e.Contract(slab, work); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func ordinaryWeights(r *rand.Rand, dt fuse.DType, n int) []byte {
	b := make([]byte, n*dt.Size())
	for i := range n {
		elem.Store(dt, b[i*dt.Size():], r.NormFloat64()*0.05)
	}
	return b
}
