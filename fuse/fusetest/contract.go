package fusetest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/bnfuse/bnfuse/fuse"
)

// contractCases is about the sums that a norm before a layer leaves in the bias.
func contractCases() []Case {
	var cases []Case
	for _, l := range layers {
		if l.layout == fuse.ConvTranspose {
			continue // a norm with a shift before a transposed convolution is never folded
		}
		v := must(l.layout.View(fuse.Before, l.shape, l.groups))
		for _, dt := range dtypes {
			c := contraction(dt, v, l.layout == fuse.MatMul)
			weight := normal(dt, v.Elems(), 11)
			cases = append(cases, inPieces(fmt.Sprintf("%s/%v", l.name, dt), l.reason, weight, c, v.Elems()))
		}
	}
	for _, dt := range dtypes {
		name := func(s string) string { return fmt.Sprintf("%s/%v", s, dt) }
		for _, v := range []fuse.View{view(1, 5, 40, 9), view(3, 2, 7, 25), view(1, 3, 2001, 1)} {
			cases = append(cases, inPieces(name(fmt.Sprintf("pieces%v", v)), "a tensor in several slabs gives the bits of one, wherever it is cut",
				normal(dt, v.Elems(), 12), contraction(dt, v, false), 77))
		}
		v := view(1, 1, 100, 37)
		cases = append(cases,
			inPieces(name("piecesPerInner"), "the same for a weight stored [in, out]", normal(dt, v.Elems(), 13), contraction(dt, v, true), 501),
			oddContraction(name("odd"), dt, false),
			oddContraction(name("oddPerInner"), dt, true),
			startedLanes(name("startedLanes"), dt),
			noElements(name("empty"), dt),
		)
	}
	return append(cases, order(), manyContractions())
}

// contraction is one of a whole weight, its lanes empty, its shifts of sizes so different that a sum in
// another order has other bits.
func contraction(dt fuse.DType, v fuse.View, perInner bool) fuse.Contraction {
	r := rand.New(rand.NewPCG(21, 22))
	c := fuse.Contraction{Piece: fuse.Piece{DType: dt}, View: v, Shift: make([]float64, v.NumChannels()), PerInner: perInner}
	for i := range c.Shift {
		c.Shift[i] = math.Ldexp(r.NormFloat64(), r.IntN(40)-20)
	}
	outputs := v.Groups * v.Outer
	if perInner {
		outputs = v.Inner
	}
	c.Lanes = make([]float64, outputs*fuse.NumLanes)
	return c
}

// inPieces contracts a weight in pieces of n elements, each in a slab of its own.
func inPieces(name, reason string, weight []byte, c fuse.Contraction, n int) Case {
	var calls []Call
	elems := len(weight) / c.DType.Size()
	for from := 0; from < elems; from += n {
		var b builder
		b.place(c.DType, weight, 0, min(3, elems)) // so that the piece does not start the slab
		c.Piece = b.place(c.DType, weight, from, min(from+n, elems))
		b.call.Contractions = []fuse.Contraction{c}
		calls = append(calls, b.call)
	}
	return Case{name, reason, calls}
}

func oddContraction(name string, dt fuse.DType, perInner bool) Case {
	row := patterns(dt, oddWeights(dt)...)
	n := len(row) / dt.Size()
	v := view(1, len(oddScales), n, 1)
	if perInner {
		v = view(1, 1, len(oddScales), n)
	}
	var weight []byte
	for range oddScales {
		weight = append(weight, row...)
	}
	c := contraction(dt, v, perInner)
	for i := range c.Shift {
		c.Shift[i] = oddScales[(i*5+1)%len(oddScales)]
	}
	return inPieces(name, "infinite and NaN weights and zero shifts are summed like any other", weight, c, v.Elems())
}

func startedLanes(name string, dt fuse.DType) Case {
	v := view(2, 3, 5, 9)
	c := contraction(dt, v, false)
	for i := range c.Lanes {
		c.Lanes[i] = float64(i) * 0x1.000001p-7
	}
	c.Lanes[3] = math.Copysign(0, -1)
	return inPieces(name, "the products are added to what the lanes hold", normal(dt, v.Elems(), 14), c, v.Elems())
}

func noElements(name string, dt fuse.DType) Case {
	c := contraction(dt, view(1, 2, 3, 4), false)
	c.Lanes[0] = 5
	return Case{name, "a piece without elements adds nothing", []Call{{Slab: []byte{1}, Contractions: []fuse.Contraction{c}}}}
}

// order has terms that cancel: lane 0 is 2^60 − 2^60 + 1 and lane 1 is 1 + 2^60 − 2^60.
func order() Case {
	v := view(1, 1, 3*fuse.NumLanes, 1)
	c := contraction(fuse.Float32, v, false)
	for i := range c.Shift {
		c.Shift[i] = []float64{0x1p60, -0x1p60, 1}[(i/fuse.NumLanes+i%fuse.NumLanes*2)%3]
	}
	weight := make([]float64, v.Elems())
	for i := range weight {
		weight[i] = 1
	}
	return inPieces("order", "within a lane the terms are added in ascending order", encode(fuse.Float32, weight...), c, v.Elems())
}

func manyContractions() Case {
	var b builder
	for i := range 60 {
		dt := dtypes[i%len(dtypes)]
		v := view(1+i%2, 1+i%3, 1+i%9, 1+i%12)
		c := contraction(dt, v, false)
		weight := normal(dt, v.Elems(), uint64(i))
		c.Piece = b.place(dt, weight, i%v.Elems(), v.Elems())
		b.call.Contractions = append(b.call.Contractions, c)
	}
	return Case{"manyContractions", "many tensors in one slab, each with lanes of its own", []Call{b.call}}
}
