package verify

import "encoding/binary"

// intFormat is an integer type of constants.
type intFormat struct {
	nBytes int
	signed bool
}

var intFormats = map[int32]intFormat{
	typeBool: {1, false}, typeUint8: {1, false}, typeInt8: {1, true}, typeUint16: {2, false}, typeInt16: {2, true},
	typeUint32: {4, false}, typeInt32: {4, true}, typeInt64: {8, true},
}

// decode reads the first integer of b.
func (f intFormat) decode(b []byte) int64 {
	var raw [8]byte
	copy(raw[:], b[:f.nBytes])
	unused := 64 - 8*f.nBytes
	x := binary.LittleEndian.Uint64(raw[:]) << unused
	if f.signed {
		return int64(x) >> unused
	}
	return int64(x >> unused)
}

// holds reports whether x is a number of the type.
func (f intFormat) holds(x int64) bool {
	var raw [8]byte
	binary.LittleEndian.PutUint64(raw[:], uint64(x))
	return f.decode(raw[:]) == x
}

// operation is an operator over pairs of elements. On integers it gives false where there is no result.
type operation struct {
	float func(x, y float64) float64
	int   func(x, y int64) (int64, bool)
}

// maxOperand bounds the integers that are computed with: their products are integers, too.
const maxOperand = 1 << 31

func whole(op func(x, y int64) int64) func(x, y int64) (int64, bool) {
	return func(x, y int64) (int64, bool) { return op(x, y), max(x, y) < maxOperand && min(x, y) >= -maxOperand }
}

// quotient is rounded towards zero.
func quotient(x, y int64) (int64, bool) {
	if y == 0 {
		return 0, false
	}
	return whole(func(x, y int64) int64 { return x / y })(x, y)
}

// evalInts is op over two tensors of one integer type.
func (op operation) evalInts(a, b *array, dims []int) *array {
	if a.elem != b.elem || a.elem == typeBool {
		return nil
	}
	out := &array{elem: a.elem, dims: dims, i: make([]int64, product(dims))}
	for i := range out.i {
		x, ok := op.int(a.i[sourceIndex(i, dims, a.dims)], b.i[sourceIndex(i, dims, b.dims)])
		if !ok || !intFormats[a.elem].holds(x) {
			return nil
		}
		out.i[i] = x
	}
	return out
}

// evalCast is Cast; to an integer type it cuts off the fraction.
func evalCast(n *node, args []*array) *array {
	to, ok := n.int("to", 0)
	k := args[0]
	out := &array{elem: int32(to), dims: k.dims}
	format, isInt := intFormats[out.elem]
	if !ok || !isInt && !out.isFloat() {
		return nil
	}
	if out.isFloat() {
		for _, x := range k.f {
			out.f = append(out.f, formatOf(out.elem).round(x))
		}
		for _, x := range k.i {
			if int64(float64(x)) != x {
				return nil
			}
			out.f = append(out.f, formatOf(out.elem).round(float64(x)))
		}
		return out
	}
	integers := k.i
	for _, x := range k.f {
		if !(x > -1<<53 && x < 1<<53) {
			return nil
		}
		if x != 0 && out.elem == typeBool {
			x = 1
		}
		integers = append(integers, int64(x))
	}
	for _, x := range integers {
		if out.elem == typeBool && x != 0 {
			x = 1
		}
		if !format.holds(x) {
			return nil
		}
		out.i = append(out.i, x)
	}
	return out
}

// reordered is the array whose element i is element source(i) of k.
func (k *array) reordered(dims []int, source func(i int) int) *array {
	out := &array{elem: k.elem, dims: dims}
	for i := range product(dims) {
		if k.isFloat() {
			out.f = append(out.f, k.f[source(i)])
		} else {
			out.i = append(out.i, k.i[source(i)])
		}
	}
	return out
}
