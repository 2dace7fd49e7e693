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
		"Sqrt":       floats(math.Sqrt),
		"Reciprocal": floats(func(x float64) float64 { return 1 / x }),
		"Neg":        unary(func(x float64) float64 { return -x }),
		"Pow":        powConst,
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

// intRange is what is taken of an integer type. Dimensions, axes and flags are no larger, and float64 computes
// with such numbers exactly.
type intRange struct{ least, most float64 }

var intRanges = map[int32]intRange{
	typeBool:   {0, 1},
	typeInt8:   {-1 << 7, 1<<7 - 1},
	typeInt16:  {-1 << 15, 1<<15 - 1},
	typeInt32:  {-1 << 31, 1<<31 - 1},
	typeInt64:  {-1 << 31, 1<<31 - 1},
	typeUint8:  {0, 1<<8 - 1},
	typeUint16: {0, 1<<16 - 1},
	typeUint32: {0, 1<<32 - 1},
}

// made is a constant of n elements, each rounded to its type, an integer towards zero; nil for another type, and
// where an element is out of its range.
func made(dataType int32, dims []int, n int, element func(i int) float64) *constant {
	k := &constant{dataType: dataType, dims: dims}
	if k.float() {
		k.f = make([]float64, n)
		for i := range k.f {
			k.f[i] = round(dataType, element(i))
		}
		return k
	}
	within, ok := intRanges[dataType]
	if !ok {
		return nil
	}
	k.i = make([]int64, n)
	for i := range k.i {
		x := math.Trunc(element(i))
		if !(within.least <= x && x <= within.most) {
			return nil
		}
		k.i[i] = int64(x)
	}
	return k
}

// finite reports whether no element is infinite or NaN.
func (k *constant) finite() bool {
	return !slices.ContainsFunc(k.f, func(x float64) bool { return x-x != 0 })
}

// number is element i; NaN, which is in no integer type's range, for an integer that float64 does not hold.
func (k *constant) number(i int) float64 {
	if k.float() {
		return k.f[i]
	}
	if x := k.i[i]; x < -1<<53 || x > 1<<53 {
		return math.NaN()
	}
	return float64(k.i[i])
}

func unary(op func(float64) float64) func([]*constant, *attributes, int64) *constant {
	return func(args []*constant, _ *attributes, _ int64) *constant {
		k := args[0]
		if len(args) != 1 {
			return nil
		}
		return made(k.dataType, k.dims, k.elems(), func(i int) float64 { return op(k.number(i)) })
	}
}

// floats is unary for operators that integers do not have.
func floats(op func(float64) float64) func([]*constant, *attributes, int64) *constant {
	return func(args []*constant, as *attributes, opset int64) *constant {
		if !args[0].float() {
			return nil
		}
		return unary(op)(args, as, opset)
	}
}

// arithmetic is op over two tensors of one type.
func arithmetic(op func(x, y float64) float64) func([]*constant, *attributes, int64) *constant {
	return func(args []*constant, as *attributes, opset int64) *constant {
		if len(args) != 2 || args[0].dataType != args[1].dataType || args[0].dataType == typeBool {
			return nil
		}
		return elementwise(op, args[0], args[1], as, opset)
	}
}

// powConst is Pow; from opset 12 on the exponent may be of another type.
func powConst(args []*constant, as *attributes, opset int64) *constant {
	if len(args) != 2 || !args[0].float() || args[0].dataType != args[1].dataType && opset < 12 {
		return nil
	}
	return elementwise(math.Pow, args[0], args[1], as, opset)
}

// elementwise is op over two tensors, in the first one's type.
func elementwise(op func(x, y float64) float64, a, b *constant, as *attributes, opset int64) *constant {
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
	return made(a.dataType, dims, n, func(i int) float64 {
		return op(a.number(sourceIndex(i, dims, a.dims)), b.number(sourceIndex(i, dims, b.dims)))
	})
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

// castConst is Cast to a type that made knows, given by its number: before opset 6 its name is given.
func castConst(args []*constant, as *attributes, _ int64) *constant {
	k, to := args[0], int32(as.int("to", 0))
	if !k.float() && slices.ContainsFunc(k.i, func(x int64) bool { return x < -1<<53 || x > 1<<53 }) {
		return nil // float64 does not hold it
	}
	return made(to, k.dims, k.elems(), func(i int) float64 {
		x := k.number(i)
		if to == typeBool && x != 0 {
			return 1
		}
		return x
	})
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
	if len(args) != 2 {
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
	k := args[0]
	return made(k.dataType, dims, n, func(i int) float64 { return k.number(sourceIndex(i, dims, k.dims)) })
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
	if !ok {
		return nil
	}
	dims, strides := make([]int, len(perm)), make([]int, len(perm)) // the strides of the input, in the output's axis order
	for i, p := range perm {
		dims[i], strides[i] = k.dims[p], product(k.dims[p+1:])
	}
	return made(k.dataType, dims, k.elems(), func(i int) float64 {
		at := 0
		for d := len(perm) - 1; d >= 0; d-- {
			at += i % dims[d] * strides[d]
			i /= dims[d]
		}
		return k.number(at)
	})
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
