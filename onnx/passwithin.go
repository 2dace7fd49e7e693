package onnx

import (
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// passWithin follows the channels through an operator that takes some of each channel's elements, or averages of them:
// an average of a·x + b is a·average + b.
func (m *model) passWithin(n int32, op string, ax axis) (axis, *fuse.Refusal) {
	if ax.rank < 0 {
		return ax, fuse.Refuse(fuse.ReasonAxis, "the rank before %s is not known", op)
	}
	as := m.attrs(n)
	a := shapeArgs{m: m, node: n, as: &as, x: ranked(ax.rank)}
	at := ax.rank - 1 - ax.fromEnd
	switch op {
	case "AveragePool":
		if m.averagesZeros(n, &as) {
			return ax, fuse.Refuse(fuse.ReasonAxis, "AveragePool may count padding, which no norm has changed")
		}
		fallthrough
	case "GlobalAveragePool":
		if at > 1 || as.err != nil {
			return ax, fuse.Refuse(fuse.ReasonAxis, "%s averages over the channels", op)
		}
		return ax, nil
	case "Slice":
		axes, ok := a.ints("axes", 3)
		if starts, given := a.ints("starts", 1); !ok && given && len(m.in(n)) <= 3 {
			for i := range starts {
				axes = append(axes, int64(i))
			}
			ok = as.get("axes") == nil
		}
		if !ok || as.err != nil || contains(axes, at, ax.rank) {
			return ax, fuse.Refuse(fuse.ReasonAxis, "Slice may take some of the channels")
		}
		return ax, nil
	}
	axes, ok := a.ints("axes", 1)
	if !ok || len(axes) == 0 || as.err != nil || contains(axes, at, ax.rank) {
		return ax, fuse.Refuse(fuse.ReasonAxis, "%s may average over the channels", op)
	}
	if to := reduceShape(a); to.known && as.err == nil && len(to.dims) != ax.rank {
		before := 0
		for i := range at {
			if contains(axes, i, ax.rank) {
				before++
			}
		}
		return ax.moved(len(to.dims), at-before), nil
	}
	return ax, nil
}

// contains reports whether a list of axes has axis at of a tensor.
func contains(axes []int64, at, rank int) bool {
	return slices.Contains(axes, int64(at)) || slices.Contains(axes, int64(at-rank))
}

// averagesZeros reports whether an AveragePool may take padding for elements. Runtimes differ in what ceil_mode adds.
func (m *model) averagesZeros(n int32, as *attributes) bool {
	autoPad, pads := as.string("auto_pad", "NOTSET"), as.ints("pads")
	pads = slices.DeleteFunc(slices.Clone(pads), func(p int64) bool { return p == 0 })
	plain := len(pads) == 0 && (autoPad == "NOTSET" || autoPad == "" || autoPad == "VALID")
	counted := as.int("count_include_pad", 0) != 0 || m.opset(n) < 7 // before, the operator did not say
	return as.int("ceil_mode", 0) != 0 || counted && !plain || as.err != nil
}
