package onnx

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/half"
)

// constant is a small tensor whose value is known before the model runs. Floating-point values are
// held as float64, exactly; each operation on them rounds its results to the tensor's own type.
type constant struct {
	dataType int32
	dims     []int
	f        []float64 // floating-point types
	i        []int64   // integer types and bool
}

// Bounds of constant arithmetic: norm parameters are small, and a chain over them short.
const (
	maxConstElems = 1 << 20
	maxConstDepth = 1000
	maxConstCache = 1 << 20 // elements
)

// constCache remembers results of constant arithmetic, so that shared chains are computed once.
type constCache struct {
	results map[int32]*constant
	elems   int
}

func (c *constCache) put(v int32, k *constant) {
	if c.elems += k.elems(); c.results == nil || c.elems > maxConstCache {
		c.results, c.elems = map[int32]*constant{}, k.elems()
	}
	c.results[v] = k
}

func (k *constant) elems() int { return max(len(k.f), len(k.i)) }

// float reports whether the elements are floating-point numbers.
func (k *constant) float() bool { return floatType(k.dataType).Valid() }

// constant returns the value of v if it is stored, or computed from stored values by the operators of
// constantOp. The refusal carries the given reason, or that the value can be overridden.
func (m *model) constant(v int32, reason fuse.Reason) (*constant, *fuse.Refusal) {
	return m.constantAt(v, reason, 0)
}

func (m *model) constantAt(v int32, reason fuse.Reason, depth int) (*constant, *fuse.Refusal) {
	if v < 0 {
		return nil, fuse.Refuse(reason, "an input is missing")
	}
	if k := m.cache.results[v]; k != nil {
		return k, nil
	}
	val := &m.values[v]
	if val.tensor >= 0 {
		if r := m.overridable(v); r != nil {
			return nil, r
		}
		t, err := m.initializer(val.tensor)
		if err != nil {
			return nil, fuse.Refuse(reason, "%v", err)
		}
		return m.load(&t, reason)
	}
	n := val.producer
	if n < 0 || depth > maxConstDepth {
		return nil, fuse.Refuse(reason, "%q is not a stored constant", m.name(v))
	}
	op := m.op(n)
	if op == "Constant" {
		return m.constantNode(n, reason)
	}
	eval := constantOps[op]
	if eval == nil {
		return nil, fuse.Refuse(reason, "%q is computed by %s", m.name(v), m.opName(n))
	}
	var args []*constant
	for _, in := range m.in(n) {
		k, r := m.constantAt(in, reason, depth+1)
		if r != nil {
			return nil, r
		}
		args = append(args, k)
	}
	as := m.attrs(n)
	if as.err != nil || len(args) == 0 {
		return nil, fuse.Refuse(reason, "%q: %s cannot be evaluated: %v", m.name(v), op, as.err)
	}
	k := eval(args, &as, m.opset(n))
	if k == nil || k.elems() > maxConstElems {
		return nil, fuse.Refuse(reason, "%q: this form of %s is not evaluated", m.name(v), op)
	}
	m.cache.put(v, k)
	return k, nil
}

// overridable refuses an initializer that whoever runs the model may replace: from IR version 4 on, one
// that is also a graph input. Before, every initializer had to be one.
func (m *model) overridable(v int32) *fuse.Refusal {
	val := &m.values[v]
	if val.flags&isInput != 0 && (m.ir >= 4 || val.graph != 0) {
		return fuse.Refuse(fuse.ReasonOverridable, "%q is an initializer and a graph input", m.name(v))
	}
	return nil
}

// constantNode is the value of a Constant node in any of its forms but strings and sparse tensors.
func (m *model) constantNode(n int32, reason fuse.Reason) (*constant, *fuse.Refusal) {
	as := m.attrs(n)
	if as.err == nil && len(as.list) == 1 {
		a := &as.list[0]
		if a.ref {
			return nil, fuse.Refuse(reason, "%q is a parameter of its function", m.nodeName(n))
		}
		switch a.name {
		case "value":
			if t, err := parseTensor(m.lookup, a.tensor...); err == nil && len(a.tensor) > 0 {
				return m.load(&t, reason)
			}
		case "value_float":
			return &constant{dataType: typeFloat, f: []float64{a.f}}, nil
		case "value_floats":
			return &constant{dataType: typeFloat, dims: []int{len(a.floats)}, f: a.floats}, nil
		case "value_int":
			return &constant{dataType: typeInt64, i: []int64{a.i}}, nil
		case "value_ints":
			return &constant{dataType: typeInt64, dims: []int{len(a.ints)}, i: a.ints}, nil
		}
	}
	return nil, fuse.Refuse(reason, "%q: this form of Constant is not a numeric tensor", m.nodeName(n))
}

// load reads a small tensor's values.
func (m *model) load(t *tensor, reason fuse.Reason) (*constant, *fuse.Refusal) {
	if t.odd != "" || t.elems > maxConstElems {
		return nil, fuse.Refuse(reason, "tensor %q of %v: too large, or %s", t.name, t.dims, t.odd)
	}
	k := &constant{dataType: t.dataType, dims: t.dims}
	dt := floatType(t.dataType)
	if !dt.Valid() {
		return m.loadInts(t, k, reason)
	}
	b, err := m.elements(t)
	if err != nil {
		return nil, fuse.Refuse(reason, "tensor %q: %v", t.name, err)
	}
	k.f = elem.Decode(dt, b)
	return k, nil
}

// elements reads all of a floating-point tensor's data as little-endian elements.
func (m *model) elements(t *tensor) ([]byte, error) {
	switch {
	case t.external != nil:
		b := make([]byte, t.external.length)
		f, err := m.externals.open(t.external)
		if err == nil {
			_, err = f.ReadAt(b, t.external.offset)
		}
		return b, err
	case t.flat:
		return t.f.bytes(t.data)
	default:
		var buf bytes.Buffer
		err := t.decode(&buf)
		return buf.Bytes(), err
	}
}

// loadInts reads int64, int32 and bool tensors: shapes, axes and flags.
func (m *model) loadInts(t *tensor, k *constant, reason fuse.Reason) (*constant, *fuse.Refusal) {
	size := map[int32]int{typeInt64: 8, typeInt32: 4, typeBool: 1}[t.dataType]
	if size == 0 || t.external != nil {
		return nil, fuse.Refuse(reason, "tensor %q has element type %d", t.name, t.dataType)
	}
	if !t.flat {
		field, _ := typedField(t.dataType)
		c := t.f.cursor(t.at[0])
		for c.next() {
			if c.num == field {
				c.varints(func(v uint64) { k.i = append(k.i, int64(v)) })
			}
		}
		if c.err != nil || len(t.at) > 1 {
			return nil, fuse.Refuse(reason, "tensor %q is split over fields", t.name)
		}
		return k, nil
	}
	b, err := t.f.bytes(t.data)
	if err != nil {
		return nil, fuse.Refuse(reason, "tensor %q: %v", t.name, err)
	}
	for ; len(b) >= size; b = b[size:] {
		switch size {
		case 8:
			k.i = append(k.i, int64(binary.LittleEndian.Uint64(b)))
		case 4:
			k.i = append(k.i, int64(int32(binary.LittleEndian.Uint32(b))))
		case 1:
			k.i = append(k.i, int64(b[0]))
		}
	}
	return k, nil
}

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
		"Sqrt":       unary(math.Sqrt),
		"Reciprocal": unary(func(x float64) float64 { return 1 / x }),
		"Neg":        unary(func(x float64) float64 { return -x }),
		"Pow":        binary2(math.Pow),
		"Add":        binary2(func(x, y float64) float64 { return x + y }),
		"Sub":        binary2(func(x, y float64) float64 { return x - y }),
		"Mul":        binary2(func(x, y float64) float64 { return x * y }),
		"Div":        binary2(func(x, y float64) float64 { return x / y }),
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

func binary2(op func(x, y float64) float64) func([]*constant, *attributes, int64) *constant {
	return func(args []*constant, as *attributes, opset int64) *constant {
		if len(args) != 2 || !args[0].float() || !args[1].float() {
			return nil
		}
		a, b := args[0], args[1]
		if opset < 7 && !slices.Equal(a.dims, b.dims) {
			// Before opset 7 broadcasting was asked for and one-sided; a single element is its usual use.
			if on, ok := as.int("broadcast", 0); !ok || on != 1 || b.elems() != 1 {
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
	to, ok := as.int("to", 0)
	if !ok || to == 0 { // opset 1 names the type by a string: not seen in the wild
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
	target, ok := as.ints("shape")
	if len(args) > 1 {
		target = args[1].i
	}
	allowZero, ok2 := as.int("allowzero", 0)
	if !ok || !ok2 || allowZero != 0 {
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
	list, ok := as.ints("axes")
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
	return axes, ok
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
	list, _ := as.ints("axes")
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
	list, ok := as.ints("perm")
	if !ok {
		return nil, false
	}
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
