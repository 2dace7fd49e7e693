package fusetest

import (
	"fmt"

	"github.com/bnfuse/bnfuse/fuse"
)

// layer is a weight as a layer stores it.
type layer struct {
	name   string
	reason string
	layout fuse.Layout
	shape  []int
	groups int
}

var layers = []layer{
	{"Conv2d", "the ordinary case", fuse.Conv, []int{6, 5, 3, 3}, 1},
	{"Conv1x1", "Inner before the layer is 1", fuse.Conv, []int{33, 17, 1, 1}, 1},
	{"Conv1d", "one spatial axis", fuse.Conv, []int{5, 7, 11}, 1},
	{"Conv3d", "three spatial axes", fuse.Conv, []int{3, 2, 3, 2, 5}, 1},
	{"ConvGrouped", "a norm before a grouped convolution has a channel of its own in each group", fuse.Conv, []int{12, 5, 3, 3}, 3},
	{"ConvDepthwise", "runs of 9 elements", fuse.Conv, []int{40, 1, 3, 3}, 40},
	{"ConvStem", "runs of 147 elements, no multiple of any vector", fuse.Conv, []int{8, 3, 7, 7}, 1},
	{"ConvDeep", "runs of 576 elements, long enough to be done one by one", fuse.Conv, []int{4, 64, 3, 3}, 1},
	{"ConvTranspose2d", "the channel is the second axis", fuse.ConvTranspose, []int{6, 5, 3, 3}, 1},
	{"ConvTransposeGrouped", "the channel is the second axis within a group: what other tools get wrong", fuse.ConvTranspose, []int{12, 5, 4, 4}, 3},
	{"ConvTransposeDepthwise", "as many groups as channels", fuse.ConvTranspose, []int{30, 1, 2, 2}, 30},
	{"ConvTranspose1d", "one spatial axis", fuse.ConvTranspose, []int{7, 9, 5}, 1},
	{"Linear", "the channel is the slow axis, or with a norm before it the fast one", fuse.Linear, []int{10, 130}, 1},
	{"LinearWide", "rows longer than any table of scales", fuse.Linear, []int{3, 2001}, 1},
	{"MatMul", "the channel is the fast axis, or with a norm before it the slow one", fuse.MatMul, []int{130, 10}, 1},
	{"MatMulWide", "rows longer than any table of scales", fuse.MatMul, []int{3, 2001}, 1},
	{"OneChannel", "one channel repeated over all of the weight", fuse.ConvTranspose, []int{9, 1, 3, 3}, 1},
	{"OneElement", "the smallest weight", fuse.Linear, []int{1, 1}, 1},
}

// layerCases is every kind of layer with a norm on each side and on both, in every type.
func layerCases() []Case {
	var cases []Case
	for i, l := range layers {
		after := must(l.layout.View(fuse.After, l.shape, l.groups))
		before := must(l.layout.View(fuse.Before, l.shape, l.groups))
		for _, dt := range dtypes {
			weight := normal(dt, after.Elems(), uint64(i))
			a, b := scales(after, uint64(2*i)), scales(before, uint64(2*i+1))
			name := func(side string) string { return fmt.Sprintf("%s/%s/%v", l.name, side, dt) }
			cases = append(cases,
				whole(name("after"), l.reason, dt, weight, a, fuse.Factor{}),
				whole(name("before"), l.reason, dt, weight, fuse.Factor{}, b),
				whole(name("both"), l.reason+"; two products and one rounding to the type", dt, weight, a, b),
			)
		}
	}
	return cases
}
