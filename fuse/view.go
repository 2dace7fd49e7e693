package fuse

import (
	"fmt"
	"math/bits"
	"slices"
)

// Direction says on which side of the layer the norm stands, in data-flow order.
type Direction uint8

const (
	After  Direction = iota // the norm reads the layer's output
	Before                  // the norm feeds the layer's input
)

func (d Direction) String() string {
	if d == Before {
		return "before"
	}
	return "after"
}

// Layout says how a layer's weight is stored.
type Layout uint8

const (
	Conv          Layout = iota // [Cout, Cin/g, k…], any number of spatial axes
	ConvTranspose               // [Cin, Cout/g, k…]
	Linear                      // [out, in]: torch.nn.Linear, ONNX Gemm with transB = 1
	MatMul                      // [in, out]: ONNX MatMul, Gemm with transB = 0
)

func (l Layout) String() string {
	return [...]string{"Conv", "ConvTranspose", "Linear", "MatMul"}[l]
}

// View is a weight's memory, in order, as [Groups][Outer][Channels][Inner]. The element with those
// indices belongs to channel group·Channels + c. It is the only place that knows an axis: every layer
// kind and both directions map to these four numbers, and engines see nothing else.
type View struct {
	Groups, Outer, Channels, Inner int
}

// Elems is the number of elements the view covers.
func (v View) Elems() int { return v.Groups * v.Outer * v.Channels * v.Inner }

// Channel is the channel of the element at index i of the memory order.
func (v View) Channel(i int) int {
	return i/(v.Inner*v.Channels*v.Outer)*v.Channels + i/v.Inner%v.Channels
}

// NumChannels is the number of channels the view tells apart: the length of a scale.
func (v View) NumChannels() int { return v.Groups * v.Channels }

// View gives the view of a weight for a norm in direction d. shape is the weight's shape as stored;
// groups is 1 except for grouped convolutions. It is an error when the rank does not suit the layout
// or groups does not divide the first axis.
func (l Layout) View(d Direction, shape []int, groups int) (View, error) {
	v, err := l.view(d, shape, groups)
	if err != nil {
		return View{}, fmt.Errorf("fuse: %v weight %v, groups %d: %w", l, shape, groups, err)
	}
	return v, nil
}

// ChannelAxis is the axis, 0 or 1, of the weight's shape that holds the channels of a norm in direction d.
func (l Layout) ChannelAxis(d Direction) int {
	if (l == Conv || l == Linear) == (d == After) {
		return 0
	}
	return 1
}

func (l Layout) view(d Direction, shape []int, groups int) (View, error) {
	if _, ok := NumElems(shape); !ok {
		return View{}, errShape
	}
	switch l {
	case Conv, ConvTranspose:
		if len(shape) < 3 {
			return View{}, errRank
		}
		if groups < 1 || shape[0]%groups != 0 {
			return View{}, errGroups
		}
	default:
		if len(shape) != 2 {
			return View{}, errRank
		}
		if groups != 1 {
			return View{}, errGroups
		}
	}
	a, b := shape[0], shape[1]
	kernel, _ := NumElems(shape[2:])
	switch {
	case l == Conv && d == After:
		return View{1, 1, a, b * kernel}, nil
	case l == Conv:
		return View{groups, a / groups, b, kernel}, nil
	case l == ConvTranspose && d == After:
		return View{groups, a / groups, b, kernel}, nil
	case l == ConvTranspose:
		return View{1, 1, a, b * kernel}, nil
	case l.ChannelAxis(d) == 0:
		return View{1, 1, a, b}, nil
	default:
		return View{1, a, b, 1}, nil
	}
}

// NumElems is the product of a shape's axes (1 for a scalar), and whether every axis is non-negative
// and neither the product of the non-zero axes nor eight bytes an element overflows an int.
func NumElems(shape []int) (int, bool) {
	n := uint64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
		hi, lo := bits.Mul64(n, uint64(max(d, 1)))
		if hi != 0 || lo > maxElems {
			return 0, false
		}
		n = lo
	}
	if slices.Contains(shape, 0) {
		return 0, true
	}
	return int(n), true
}

const maxElems = uint64(^uint(0)>>1) / 8
