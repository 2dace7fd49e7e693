package fuse

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// channelOf says which channel of the norm an element of a weight belongs to, from the element's place
// along each axis: what a view must agree with.
func channelOf(l Layout, d Direction, shape []int, groups int, index []int) int {
	a, b := index[0], index[1]
	perGroup := shape[0] / groups // rows of the first axis in a group
	switch {
	case l == Conv && d == After: // [Cout, Cin/g, k…]: the output channel is the first axis
		return a
	case l == Conv: // the input channel is the second, counted from the group's first
		return a/perGroup*shape[1] + b
	case l == ConvTranspose && d == After: // [Cin, Cout/g, k…]: the output channel is the second, likewise
		return a/perGroup*shape[1] + b
	case l == ConvTranspose:
		return a
	case l == Linear && d == After, l == MatMul && d == Before: // [out, in] or [in, out]
		return a
	}
	return b
}

func TestViewAgreesWithTheAxes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layout := rapid.SampledFrom([]Layout{Conv, ConvTranspose, Linear, MatMul}).Draw(t, "layout")
		direction := rapid.SampledFrom([]Direction{After, Before}).Draw(t, "direction")
		dim := rapid.IntRange(1, 5)
		shape, groups := []int{dim.Draw(t, "a"), dim.Draw(t, "b")}, 1
		if layout == Conv || layout == ConvTranspose {
			shape = append(shape, rapid.SliceOfN(rapid.IntRange(1, 3), 1, 3).Draw(t, "kernel")...)
			groups = rapid.IntRange(1, 4).Draw(t, "groups")
			shape[0] *= groups
		}
		v, err := layout.View(direction, shape, groups)
		if err != nil {
			t.Fatal(err)
		}
		elems, _ := NumElems(shape)
		if v.Elems() != elems {
			t.Fatalf("view %v has %d elements, the weight %v has %d", v, v.Elems(), shape, elems)
		}
		index := make([]int, len(shape))
		for i := range elems {
			want := channelOf(layout, direction, shape, groups, index)
			if got := v.Channel(i); got != want || got >= v.NumChannels() {
				t.Fatalf("%v %v %v, groups %d: element %v is of channel %d of %d by view %v, want %d",
					layout, direction, shape, groups, index, got, v.NumChannels(), v, want)
			}
			for axis := len(shape) - 1; axis >= 0; axis-- { // the last axis counts fastest
				if index[axis]++; index[axis] < shape[axis] {
					break
				}
				index[axis] = 0
			}
		}
	})
}

func TestViewChannelCounts(t *testing.T) {
	for _, c := range []struct {
		layout    Layout
		direction Direction
		shape     []int
		groups    int
		want      View
		channels  int
	}{
		{Conv, After, []int{64, 3, 7, 7}, 1, View{1, 1, 64, 147}, 64},
		{Conv, Before, []int{64, 3, 7, 7}, 1, View{1, 64, 3, 49}, 3},
		{Conv, After, []int{32, 1, 3, 3}, 32, View{1, 1, 32, 9}, 32},
		{Conv, Before, []int{12, 5, 3, 3}, 3, View{3, 4, 5, 9}, 15},
		{ConvTranspose, After, []int{12, 5, 4, 4}, 3, View{3, 4, 5, 16}, 15},
		{ConvTranspose, Before, []int{12, 5, 4, 4}, 3, View{1, 1, 12, 80}, 12},
		{Linear, After, []int{10, 20}, 1, View{1, 1, 10, 20}, 10},
		{Linear, Before, []int{10, 20}, 1, View{1, 10, 20, 1}, 20},
		{MatMul, After, []int{20, 10}, 1, View{1, 20, 10, 1}, 10},
		{MatMul, Before, []int{20, 10}, 1, View{1, 1, 20, 10}, 20},
		{Conv, After, []int{0, 3, 1}, 1, View{1, 1, 0, 3}, 0},
	} {
		got, err := c.layout.View(c.direction, c.shape, c.groups)
		if err != nil {
			t.Errorf("%v %v %v: %v", c.layout, c.direction, c.shape, err)
		} else if got != c.want || got.NumChannels() != c.channels {
			t.Errorf("%v %v %v, groups %d: view %v of %d channels, want %v of %d", c.layout, c.direction, c.shape, c.groups, got, got.NumChannels(), c.want, c.channels)
		}
	}
}

func TestViewErrors(t *testing.T) {
	for _, c := range []struct {
		layout Layout
		shape  []int
		groups int
		want   string
	}{
		{Conv, []int{3, 3}, 1, "rank"},
		{ConvTranspose, []int{3}, 1, "rank"},
		{Linear, []int{3, 3, 3}, 1, "rank"},
		{MatMul, nil, 1, "rank"},
		{Conv, []int{5, 1, 3}, 2, "groups"},
		{Conv, []int{5, 1, 3}, 0, "groups"},
		{ConvTranspose, []int{5, 1, 3}, -1, "groups"},
		{Linear, []int{4, 4}, 2, "groups"},
		{Conv, []int{5, -1, 3}, 1, "negative"},
		{Conv, []int{1 << 30, 1 << 30, 1 << 30}, 1, "too many"},
	} {
		_, err := c.layout.View(After, c.shape, c.groups)
		if err == nil || !strings.HasPrefix(err.Error(), "fuse: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %v, groups %d: error %v, want one about %q", c.layout, c.shape, c.groups, err, c.want)
		}
	}
}

func TestNumElems(t *testing.T) {
	most := math.MaxInt / 8
	for _, c := range []struct {
		shape []int
		want  int
		ok    bool
	}{
		{nil, 1, true},
		{[]int{}, 1, true},
		{[]int{2, 3, 4}, 24, true},
		{[]int{2, 0, 4}, 0, true},
		{[]int{most}, most, true},
		{[]int{most + 1}, 0, false},
		{[]int{math.MaxInt}, 0, false},
		{[]int{most, 2}, 0, false},
		{[]int{1 << 16, 1 << 16, 1 << 16, 1 << 16, 1 << 16}, 0, false}, // wraps to 0 more than once
		{[]int{0, math.MaxInt, math.MaxInt}, 0, false},                 // a zero does not hide the others
		{[]int{-1}, 0, false},
		{[]int{-1, -1}, 0, false},
		{[]int{0, -1}, 0, false},
	} {
		if got, ok := NumElems(c.shape); got != c.want || ok != c.ok {
			t.Errorf("%v: %d, %v, want %d, %v", c.shape, got, ok, c.want, c.ok)
		}
	}
}

func TestDType(t *testing.T) {
	for _, c := range []struct {
		dt    DType
		valid bool
		size  int
		name  string
	}{
		{0, false, 0, "DType(0)"},
		{Float64, true, 8, "float64"},
		{Float32, true, 4, "float32"},
		{Float16, true, 2, "float16"},
		{BFloat16, true, 2, "bfloat16"},
		{BFloat16 + 1, false, 0, "DType(5)"},
	} {
		if c.dt.Valid() != c.valid || c.dt.Size() != c.size || c.dt.String() != c.name {
			t.Errorf("%d: valid %v, size %d, %q; want %v, %d, %q", c.dt, c.dt.Valid(), c.dt.Size(), c.dt, c.valid, c.size, c.name)
		}
	}
}
