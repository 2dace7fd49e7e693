package fusetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/bnfuse/bnfuse/fuse"
)

var dtypes = []fuse.DType{fuse.Float64, fuse.Float32, fuse.Float16, fuse.BFloat16}

// view writes a view without naming its four numbers.
func view(groups, outer, channels, inner int) fuse.View {
	return fuse.View{Groups: groups, Outer: outer, Channels: channels, Inner: inner}
}

// builder lays pieces out in a slab: each at an aligned offset, with a gap behind it whose bytes no
// engine may change.
type builder struct {
	call Call
	gap  int
}

const gapByte = 0xa5

// place puts elements from to to of a weight into the slab.
func (b *builder) place(dt fuse.DType, weight []byte, from, to int) fuse.Piece {
	size := dt.Size()
	p := fuse.Piece{Offset: len(b.call.Slab), Elems: to - from, First: from, DType: dt}
	b.call.Slab = append(b.call.Slab, weight[from*size:to*size]...)
	b.gap = (b.gap + 5) % 37 // now and then none
	pad := b.gap
	for (len(b.call.Slab)+pad)%fuse.SegmentAlign != 0 {
		pad++
	}
	b.call.Slab = append(b.call.Slab, bytes.Repeat([]byte{gapByte}, pad)...)
	return p
}

// segment places a piece to be scaled.
func (b *builder) segment(dt fuse.DType, weight []byte, from, to int, after, before fuse.Factor) {
	b.call.Segments = append(b.call.Segments, fuse.Segment{Piece: b.place(dt, weight, from, to), After: after, Before: before})
}

// whole is a case of one weight, scaled from end to end.
func whole(name, reason string, dt fuse.DType, weight []byte, after, before fuse.Factor) Case {
	var b builder
	b.segment(dt, weight, 0, len(weight)/dt.Size(), after, before)
	return Case{Name: name, Reason: reason, Calls: []Call{b.call}}
}

// encode rounds values to the type.
func encode(dt fuse.DType, values ...float64) []byte {
	b := make([]byte, len(values)*dt.Size())
	for i, x := range values {
		storeBits(dt, b[i*dt.Size():], formats[dt].round(x))
	}
	return b
}

// patterns stores patterns of bits.
func patterns(dt fuse.DType, bits ...uint64) []byte {
	b := make([]byte, len(bits)*dt.Size())
	for i, x := range bits {
		storeBits(dt, b[i*dt.Size():], x)
	}
	return b
}

// normal is n weights as a trained layer has them. The same seed gives the same weights.
func normal(dt fuse.DType, n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(dt)))
	values := make([]float64, n)
	for i := range values {
		values[i] = r.NormFloat64() * 0.05
	}
	return encode(dt, values...)
}

// scales is one scale a channel, of both signs, around 1.
func scales(v fuse.View, seed uint64) fuse.Factor {
	r := rand.New(rand.NewPCG(seed, 99))
	f := fuse.Factor{View: v, Scale: make([]float64, v.NumChannels())}
	for i := range f.Scale {
		f.Scale[i] = r.NormFloat64() + 1
	}
	return f
}

// must is for views of shapes that are right.
func must(v fuse.View, err error) fuse.View {
	if err != nil {
		panic(fmt.Sprintf("fusetest: %v", err))
	}
	return v
}
