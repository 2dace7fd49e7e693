package fusetest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/bnfuse/bnfuse/fuse"
)

// oddScales are scales that ask for more than a product of ordinary numbers.
var oddScales = []float64{
	1, -1, 0, math.Copysign(0, -1), 2, 0.5, -0.25,
	1.5, 0.75, -1.25, 3, 1.0 / 3, 1 + 0x1p-11, 1 + 0x1p-24, 1 + 0x1p-52, 1 - 0x1p-53, // short ones make ties
	0x1p-14, 0x1.8p-15, 0x1p-24, 0x1.000002p-25, 0x1p-100, // subnormal and vanishing halves
	0x1p-126, 0x1.fp-127, 0x1p-149, 0x1p-150, 0x1p-300, math.SmallestNonzeroFloat64, // no float32 left
	65504, 0x1p16, 0x1p100, math.MaxFloat32, 0x1p128, 0x1p500, math.MaxFloat64, // overflow
}

// oddWeights are patterns of bits at every corner of a type.
func oddWeights(dt fuse.DType) []uint64 {
	f := formats[dt]
	inf, one := f.inf(), uint64(f.bias())<<f.mantBits
	quiet := uint64(1) << (f.mantBits - 1)
	list := []uint64{
		0, 1, 2, 3, quiet, quiet*2 - 1, // zero and subnormals
		quiet * 2, quiet*2 + 1, // the smallest normal numbers
		one, one + 1, one - 1, one + quiet, one | 5, one + quiet*2,
		inf - 1, inf - 2, inf - quiet*2, // the largest
		inf, inf | quiet, inf | 1, inf | quiet | 3, inf | (quiet*2 - 1), // infinity, NaNs quiet and signalling
	}
	for _, b := range list {
		list = append(list, b|1<<(f.expBits+f.mantBits))
	}
	return list
}

// valueCases is about numbers: every row one channel, all weights against all scales.
func valueCases() []Case {
	var cases []Case
	for _, dt := range dtypes {
		name := func(s string) string { return fmt.Sprintf("%s/%v", s, dt) }
		odd := oddWeights(dt)
		cases = append(cases,
			grid(name("odd"), "NaNs keep their bits, infinities, zeros of both signs, subnormals, overflow and underflow with their counts",
				dt, patterns(dt, odd...), oddScales),
			grid(name("ordinary"), "one corner case in a long run of plain weights does not disturb its neighbours",
				dt, append(append(normal(dt, 611, 1), patterns(dt, odd...)...), normal(dt, 700, 2)...), oddScales[:16]),
			grid(name("pruned"), "zeros stay zeros of their sign and have not vanished", dt, pruned(dt, 500), []float64{1.1, -0.3, 0, 0x1p-200}),
			grid(name("vanishing"), "a weight that becomes zero is counted, unless it or its scale was zero",
				dt, pruned(dt, 300), []float64{0x1p-25, 0x1p-134, 0x1p-150, 0x1p-1074, 0}),
			ties(dt),
			twoSided(dt),
			noFactor(dt),
		)
	}
	for _, dt := range []fuse.DType{fuse.Float16, fuse.BFloat16} {
		every := make([]uint64, 1<<16)
		for i := range every {
			every[i] = uint64(i)
		}
		cases = append(cases, grid(fmt.Sprintf("every/%v", dt), "all 65,536 weights", dt, patterns(dt, every...), []float64{0.7310585786300049}))
	}
	return cases
}

// grid is a weight with one row for each scale, every row the same.
func grid(name, reason string, dt fuse.DType, row []byte, s []float64) Case {
	n := len(row) / dt.Size()
	var weight []byte
	for range s {
		weight = append(weight, row...)
	}
	return whole(name, reason, dt, weight, fuse.Factor{View: view(1, 1, len(s), n), Scale: s}, fuse.Factor{})
}

// pruned is n weights, many of them zero.
func pruned(dt fuse.DType, n int) []byte {
	weight := normal(dt, n, 3)
	r := rand.New(rand.NewPCG(4, 4))
	for i := range n {
		if r.IntN(3) > 0 {
			storeBits(dt, weight[i*dt.Size():], uint64(r.IntN(2))<<(8*dt.Size()-1))
		}
	}
	return weight
}

// ties has a scale for each weight that puts the product on the point halfway between two neighbours,
// or one float64 step beside it: an engine that rounds twice, or through float32, fails here.
func ties(dt fuse.DType) Case {
	f := formats[dt]
	r := rand.New(rand.NewPCG(5, uint64(dt)))
	var weights []uint64
	var s []float64
	for range 600 {
		w := r.Uint64N(1<<f.mantBits) + uint64(f.bias()-3+r.IntN(6))<<f.mantBits
		target := r.Uint64N(1<<f.mantBits) + uint64(f.bias()-3+r.IntN(6))<<f.mantBits
		switch r.IntN(4) {
		case 0: // between subnormals
			target = r.Uint64N(1 << f.mantBits)
		case 1: // between the largest number and infinity
			target = f.inf() - 1 - uint64(r.IntN(2))
		}
		// The step up from target is exact in float64, except for float64 itself.
		step := f.decode(target|1) - f.decode(target&^1)
		tie := f.decode(target) + step/2
		scale := tie / f.decode(w)
		for _, x := range []float64{scale, math.Nextafter(scale, 0), math.Nextafter(scale, math.MaxFloat64)} {
			weights = append(weights, w, w|1<<(f.expBits+f.mantBits))
			s = append(s, x, -x)
		}
	}
	v := view(1, 1, len(s), 1)
	return whole(fmt.Sprintf("ties/%v", dt), "products on a tie or a float64 step beside it are rounded once, to even",
		dt, patterns(dt, weights...), fuse.Factor{View: v, Scale: s}, fuse.Factor{})
}

// twoSided multiplies every odd weight by pairs of scales.
func twoSided(dt fuse.DType) Case {
	odd := oddWeights(dt)
	weights := append(patterns(dt, odd...), normal(dt, 20, 6)...)
	n := len(weights) / dt.Size()
	var weight []byte
	for range oddScales {
		weight = append(weight, weights...)
	}
	before := make([]float64, n)
	for i := range before {
		before[i] = oddScales[(i*7+3)%len(oddScales)]
	}
	return whole(fmt.Sprintf("twoSided/%v", dt), "left to right: what overflows float64 halfway stays infinite, and infinite times zero is NaN and counts as an overflow",
		dt, weight, fuse.Factor{View: view(1, 1, len(oddScales), n), Scale: oddScales}, fuse.Factor{View: view(1, len(oddScales), n, 1), Scale: before})
}

func noFactor(dt fuse.DType) Case {
	return whole(fmt.Sprintf("noFactor/%v", dt), "a segment with no scale stays as it is", dt, patterns(dt, oddWeights(dt)...), fuse.Factor{}, fuse.Factor{})
}
