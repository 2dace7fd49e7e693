package onnx

import (
	"math"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/half"
)

// constantOps are the operators that constants are looked for behind. Each returns nil for a form it
// does not evaluate.
var constantOps map[string]func(args []*constant, as *attributes, opset int64) *constant

func init() {
	constantOps = map[string]func([]*constant, *attributes, int64) *constant{
		"Identity":   func(k []*constant, _ *attributes, _ int64) *constant { return k[0] },
		"Cast":       castConst,
		"Reshape":    reshapeConst,
		"Squeeze":    squeezeConst,
		"Unsqueeze":  unsqueezeConst,
		"Expand":     expandConst,
		"Transpose":  transposeConst,
		"Concat":     concatConst,
		"Sqrt":       unary(math.Sqrt),
		"Reciprocal": unary(func(x float64) float64 { return 1 / x }),
		"Neg":        unary(func(x float64) float64 { return -x }),
		"Pow":        arithmetic(math.Pow),
		"Add":        arithmetic(func(x, y float64) float64 { return x + y }),
		"Sub":        arithmetic(func(x, y float64) float64 { return x - y }),
		"Mul":        arithmetic(func(x, y float64) float64 { return x * y }),
		"Div":        arithmetic(func(x, y float64) float64 { return x / y }),
	}
}

// round rounds x to the nearest value of a floating-point type.
func round(dataType int32, x float64) float64 {
	switch dataType {
	case typeFloat:
		return float64(float32(x))
	case typeFloat16:
		return half.Float16ToFloat64(half.Float64ToFloat16(x))
	case typeBFloat16:
		return half.BFloat16ToFloat64(half.Float64ToBFloat16(x))
	}
	return x
}

func unary(op func(float64) float64) func([]*constant, *attributes, int64) *constant {
	return func(args []*constant, _ *attributes, _ int64) *constant {
		k := args[0]
		if !k.float() || len(args) != 1 {
			return nil
		}
		out := &constant{dataType: k.dataType, dims: k.dims, f: make([]float64, len(k.f))}
		for i, x := range k.f {
			out.f[i] = round(k.dataType, op(x))
		}
		return out
	}
}

func arithmetic(op func(x, y float64) float64) func([]*constant, *attributes, int64) *constant {
	return func(args []*constant, as *attributes, opset int64) *constant {
		if len(args) != 2 || !args[0].float() || !args[1].float() {
			return nil
		}
		a, b := args[0], args[1]
		if opset < 7 && !slices.Equal(a.dims, b.dims) {
			// Before opset 7 broadcasting was asked for and one-sided; a single element is its usual use.
			if as.int("broadcast", 0) != 1 || b.elems() != 1 {
				return nil
			}
		}
		dims, ok := broadcast(a.dims, b.dims)
		if !ok {
			return nil
		}
		n, ok := fuse.NumElems(dims)
		if !ok || n > maxConstElems {
			return nil
		}
		out := &constant{dataType: a.dataType, dims: dims, f: make([]float64, n)}
		for i := range out.f {
			out.f[i] = round(a.dataType, op(a.f[sourceIndex(i, dims, a.dims)], b.f[sourceIndex(i, dims, b.dims)]))
		}
		return out
	}
}

// broadcast is the shape two shapes broadcast to under NumPy's rules.
func broadcast(a, b []int) ([]int, bool) {
	out := make([]int, max(len(a), len(b)))
	for i := range out {
		x, y := 1, 1
		if j := i - len(out) + len(a); j >= 0 {
			x = a[j]
		}
		if j := i - len(out) + len(b); j >= 0 {
			y = b[j]
		}
		switch {
		case x == y || y == 1:
			out[i] = x
		case x == 1:
			out[i] = y
		default:
			return nil, false
		}
	}
	return out, true
}

// sourceIndex is the index, in a tensor of shape from, of what broadcasting puts at index i of shape to.
func sourceIndex(i int, to, from []int) int {
	at, stride := 0, 1
	for d := len(to) - 1; d >= 0; d-- {
		x := i % to[d]
		i /= to[d]
		if j := d - len(to) + len(from); j >= 0 {
			if from[j] != 1 {
				at += x * stride
			}
			stride *= from[j]
		}
	}
	return at
}

func castConst(args []*constant, as *attributes, _ int64) *constant {
	to := as.int("to", 0)
	if to == 0 { // opset 1 names the type by a string: not seen in the wild
		return nil
	}
	k := args[0]
	out := &constant{dataType: int32(to), dims: k.dims}
	switch {
	case out.float():
		for _, x := range k.f {
			out.f = append(out.f, round(out.dataType, x))
		}
		for _, x := range k.i {
			out.f = append(out.f, round(out.dataType, float64(x)))
		}
	case (to == typeInt64 || to == typeInt32) && !k.float():
		out.i = k.i
	default:
		return nil
	}
	return out
}

// withDims is k under another shape of as many elements.
func (k *constant) withDims(dims []int) *constant {
	if n, ok := fuse.NumElems(dims); !ok || n != k.elems() {
		return nil
	}
	return &constant{dataType: k.dataType, dims: dims, f: k.f, i: k.i}
}

func reshapeConst(args []*constant, as *attributes, _ int64) *constant {
	target := as.ints("shape")
	if len(args) > 1 {
		target = args[1].i
	}
	if as.int("allowzero", 0) != 0 && slices.Contains(target, 0) {
		return nil
	}
	dims := make([]int, len(target))
	infer, known := -1, 1
	for i, d := range target {
		switch {
		case d == 0 && i < len(args[0].dims):
			dims[i] = args[0].dims[i]
		case d > 0 && d <= maxConstElems:
			dims[i] = int(d)
		case d == -1 && infer < 0:
			infer, dims[i] = i, 1
		default:
			return nil
		}
		known = min(known*dims[i], maxConstElems+1)
	}
	if infer >= 0 && known > 0 {
		dims[infer] = args[0].elems() / known
	}
	return args[0].withDims(dims)
}

// axesOf are the axes of Squeeze and Unsqueeze: an attribute, or from opset 13 on an input.
func axesOf(args []*constant, as *attributes, rank int) (axes []int, ok bool) {
	list := as.ints("axes")
	if len(args) > 1 {
		list = args[1].i
	}
	for _, a := range list {
		if a < 0 {
			a += int64(rank)
		}
		if a < 0 || a >= int64(rank) || slices.Contains(axes, int(a)) {
			return nil, false
		}
		axes = append(axes, int(a))
	}
	return axes, true
}

func squeezeConst(args []*constant, as *attributes, _ int64) *constant {
	axes, ok := axesOf(args, as, len(args[0].dims))
	if !ok {
		return nil
	}
	var dims []int
	for i, d := range args[0].dims {
		if slices.Contains(axes, i) || len(axes) == 0 && d == 1 {
			continue
		}
		dims = append(dims, d)
	}
	return args[0].withDims(dims)
}

func unsqueezeConst(args []*constant, as *attributes, _ int64) *constant {
	list := as.ints("axes")
	if len(args) > 1 {
		list = args[1].i
	}
	if len(list) > maxRank {
		return nil
	}
	axes, ok := axesOf(args, as, len(args[0].dims)+len(list))
	if !ok {
		return nil
	}
	dims := slices.Clone(args[0].dims)
	slices.Sort(axes)
	for _, a := range axes {
		dims = slices.Insert(dims, a, 1)
	}
	return args[0].withDims(dims)
}

func expandConst(args []*constant, _ *attributes, _ int64) *constant {
	if len(args) != 2 || !args[0].float() {
		return nil
	}
	target := make([]int, len(args[1].i))
	for i, d := range args[1].i {
		if d < 0 || d > maxConstElems {
			return nil
		}
		target[i] = int(d)
	}
	dims, ok := broadcast(args[0].dims, target)
	if !ok {
		return nil
	}
	n, ok := fuse.NumElems(dims)
	if !ok || n > maxConstElems {
		return nil
	}
	out := &constant{dataType: args[0].dataType, dims: dims, f: make([]float64, n)}
	for i := range out.f {
		out.f[i] = args[0].f[sourceIndex(i, dims, args[0].dims)]
	}
	return out
}

// concatConst joins vectors: the target of a Reshape is often put together so.
func concatConst(args []*constant, as *attributes, _ int64) *constant {
	if as.int("axis", 0) != 0 {
		return nil
	}
	out := &constant{dataType: args[0].dataType}
	for _, k := range args {
		if len(k.dims) != 1 || k.dataType != out.dataType || out.elems()+k.elems() > maxConstElems {
			return nil
		}
		out.f, out.i = append(out.f, k.f...), append(out.i, k.i...)
	}
	out.dims = []int{out.elems()}
	return out
}

func transposeConst(args []*constant, as *attributes, _ int64) *constant {
	k := args[0]
	perm, ok := permOf(as, len(k.dims))
	if !ok || !k.float() {
		return nil
	}
	out := &constant{dataType: k.dataType, dims: make([]int, len(perm)), f: make([]float64, len(k.f))}
	strides := make([]int, len(perm)) // of the input, in the output's axis order
	stride := 1
	inStride := make([]int, len(perm))
	for d := len(perm) - 1; d >= 0; d-- {
		inStride[d] = stride
		stride *= k.dims[d]
	}
	for i, p := range perm {
		out.dims[i], strides[i] = k.dims[p], inStride[p]
	}
	for i := range out.f {
		at, rest := 0, i
		for d := len(perm) - 1; d >= 0; d-- {
			at += rest % out.dims[d] * strides[d]
			rest /= out.dims[d]
		}
		out.f[i] = k.f[at]
	}
	return out
}

// permOf is Transpose's permutation: output axis i is input axis perm[i]. Absent, the axes are reversed.
func permOf(as *attributes, rank int) ([]int, bool) {
	list := as.ints("perm")
	perm := make([]int, rank)
	for i := range perm {
		perm[i] = rank - 1 - i
	}
	if as.get("perm") == nil {
		return perm, true
	}
	if len(list) != rank {
		return nil, false
	}
	seen := make([]bool, rank)
	for i, p := range list {
		if p < 0 || p >= int64(rank) || seen[p] {
			return nil, false
		}
		perm[i], seen[p] = int(p), true
	}
	return perm, true
}
