package onnxtest

import (
	"fmt"
	"iter"
	"math"
	"slices"
)

// Array is a tensor of numbers. They are held as float64 whatever the element type, which is
// remembered; a bool is 0 or 1.
type Array struct {
	Elem ElemType
	Dims []int
	Data []float64
}

// NewArray makes an array. A single element fills it.
func NewArray(elem ElemType, dims []int, data ...float64) Array {
	if n := numElem(dims); len(data) == 1 && n > 1 {
		data = slices.Repeat(data, n)
	}
	return Array{Elem: elem, Dims: dims, Data: data}
}

// Array is the tensor as an array.
func (t Tensor) Array() Array {
	a := Array{Elem: t.Elem, Dims: make([]int, len(t.Dims)), Data: make([]float64, 0, t.NumElem())}
	for i, d := range t.Dims {
		a.Dims[i] = int(d)
	}
	for _, b := range t.elemBits() {
		a.Data = append(a.Data, t.Elem.value(b))
	}
	return a
}

// Tensor is the array as a tensor in raw_data, its numbers rounded to their type.
func (a Array) Tensor(name string) Tensor {
	t := Tensor{Name: name, Elem: a.Elem, Data: a.Data}
	for _, d := range a.Dims {
		t.Dims = append(t.Dims, int64(d))
	}
	return t
}

func zeros(elem ElemType, dims []int) *Array {
	return &Array{Elem: elem, Dims: dims, Data: make([]float64, numElem(dims))}
}

func vector(elem ElemType, data ...float64) *Array {
	return &Array{Elem: elem, Dims: []int{len(data)}, Data: data}
}

// reshaped is the same elements under other dims.
func (a Array) reshaped(dims []int) *Array {
	a.Dims = dims
	return &a
}

// ints are the elements as integers; what is beyond int64, such as "to the end", becomes its limit.
func (a Array) ints() []int {
	out := make([]int, len(a.Data))
	for i, x := range a.Data {
		switch {
		case x >= math.MaxInt64:
			out[i] = math.MaxInt64
		case x <= math.MinInt64:
			out[i] = math.MinInt64
		default:
			out[i] = int(x)
		}
	}
	return out
}

func numElem(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// indices visits every index of dims in memory order, with its place in memory. The index is reused.
func indices(dims []int) iter.Seq2[int, []int] {
	return func(yield func(int, []int) bool) {
		index := make([]int, len(dims))
		for i := range numElem(dims) {
			if !yield(i, index) {
				return
			}
			for axis := len(dims) - 1; axis >= 0; axis-- {
				if index[axis]++; index[axis] < dims[axis] {
					break
				}
				index[axis] = 0
			}
		}
	}
}

// offset is the place in memory of an index.
func offset(dims, index []int) int {
	n := 0
	for axis, d := range dims {
		n = n*d + index[axis]
	}
	return n
}

// broadcast is numpy's: axes are aligned from the last, and a size of 1 stretches.
func broadcast(a, b []int) ([]int, error) {
	out := make([]int, max(len(a), len(b)))
	for i := range out {
		da, db := dimFromEnd(a, i), dimFromEnd(b, i)
		switch {
		case da == db || db == 1:
			out[len(out)-1-i] = da
		case da == 1:
			out[len(out)-1-i] = db
		default:
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", a, b)
		}
	}
	return out, nil
}

func dimFromEnd(dims []int, i int) int {
	if i >= len(dims) {
		return 1
	}
	return dims[len(dims)-1-i]
}

// stretched is the element at an index of the shape that a was broadcast to.
func (a Array) stretched(index []int) float64 {
	n, skip := 0, len(index)-len(a.Dims)
	for axis, d := range a.Dims {
		n *= d
		if d > 1 {
			n += index[skip+axis]
		}
	}
	return a.Data[n]
}
