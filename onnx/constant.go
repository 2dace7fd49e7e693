package onnx

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
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
	maxConstWork  = 1 << 25 // elements computed for one plan, beside as many as the model's files have room for
)

// constCache remembers results of constant arithmetic, so that shared chains are computed once. It forgets large ones,
// and then a few nodes that read each other's results would keep a planner busy without end; so it counts, too.
type constCache struct {
	results map[int32]*constant
	elems   int
	work    int64 // elements computed so far
}

func (c *constCache) put(v int32, k *constant) {
	if c.elems += k.elems(); c.results == nil || c.elems > maxConstCache {
		c.results, c.elems = map[int32]*constant{}, k.elems()
	}
	c.results[v] = k
}

// room is how many elements the model's files have room for.
func (m *model) room() int64 {
	n := m.walk.size
	if m.externals != nil {
		for _, f := range m.externals.order {
			n += f.size
		}
	}
	return n
}

func (k *constant) elems() int { return max(len(k.f), len(k.i)) }

// float reports whether the elements are floating-point numbers.
func (k *constant) float() bool { return floatType(k.dataType).Valid() }

// constant returns the value of v if it is stored, or computed from stored values by the operators of
// constantOp. The refusal carries the given reason, or that the value can be overridden.
func (m *model) constant(v int32, reason fuse.Reason) (*constant, *fuse.Refusal) {
	return m.constantAt(v, reason, nil, 0)
}

// constantAt is constant at some depth of the search. A stored vector of numbers goes into room.
func (m *model) constantAt(v int32, reason fuse.Reason, room []float64, depth int) (*constant, *fuse.Refusal) {
	if v < 0 {
		return nil, fuse.Refuse(reason, "an input is missing")
	}
	if k := m.cache.results[v]; k != nil {
		return k, nil
	}
	val := &m.values[v]
	if val.tensor >= 0 {
		if r := m.checkFixed(v); r != nil {
			return nil, r
		}
		t, err := m.initializer(val.tensor)
		if err != nil {
			return nil, fuse.Refuse(reason, "%v", err)
		}
		return m.load(&t, reason, room)
	}
	n := val.producer
	if n < 0 || depth > maxConstDepth {
		return nil, fuse.Refuse(reason, "%q is not a stored constant", m.name(v))
	}
	op := m.op(n)
	if op == "Constant" {
		k, r := m.constantNode(n, reason)
		if r == nil {
			m.cache.put(v, k)
		}
		return k, r
	}
	eval := constantOps[op]
	if eval == nil {
		return nil, fuse.Refuse(reason, "%q is computed by %s", m.name(v), m.opName(n))
	}
	var args []*constant
	for _, in := range m.in(n) {
		k, r := m.constantAt(in, reason, nil, depth+1)
		if r != nil {
			return nil, r
		}
		args = append(args, k)
	}
	if m.cache.work > maxConstWork+m.room() {
		return nil, fuse.Refuse(reason, "%q: the model computes more constants than are followed", m.name(v))
	}
	as := m.attrs(n)
	if as.err != nil || len(args) == 0 {
		return nil, fuse.Refuse(reason, "%q: %s cannot be evaluated: %v", m.name(v), op, as.err)
	}
	k := eval(args, &as, m.opset(n))
	if k != nil {
		m.cache.work += int64(k.elems())
	}
	if k == nil || as.err != nil || k.elems() > maxConstElems {
		return nil, fuse.Refuse(reason, "%q: this form of %s is not evaluated", m.name(v), op)
	}
	if !k.finite() && !slices.ContainsFunc(args, func(a *constant) bool { return !a.finite() }) {
		// Runtimes differ in what they round in between, and one that rounds less may go on with a number.
		if reason == fuse.ReasonNormParams {
			reason = fuse.ReasonNotFinite
		}
		return nil, fuse.Refuse(reason, "%q: %s of finite numbers is not finite", m.name(v), op)
	}
	m.cache.put(v, k)
	return k, nil
}

// checkFixed refuses an initializer that whoever runs the model may replace: from IR version 4 on, one
// that is also a graph input. Before, every initializer had to be one.
func (m *model) checkFixed(v int32) *fuse.Refusal {
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
				return m.load(&t, reason, nil)
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

// load reads a small tensor's values, numbers into room.
func (m *model) load(t *tensor, reason fuse.Reason, room []float64) (*constant, *fuse.Refusal) {
	if t.odd != "" {
		return nil, fuse.Refuse(reason, "tensor %q: %s", t.name(), t.odd)
	}
	if t.elems > maxConstElems {
		return nil, fuse.Refuse(reason, "tensor %q %v has more than %d values", t.name(), t.dims, maxConstElems)
	}
	k := &constant{dataType: t.dataType, dims: t.dims}
	dt := floatType(t.dataType)
	if !dt.Valid() {
		return m.loadInts(t, k, reason)
	}
	b, err := m.elements(t)
	if err != nil {
		return nil, fuse.Refuse(reason, "tensor %q: %v", t.name(), err)
	}
	k.f = elem.DecodeInto(room, dt, b)
	return k, nil
}

// elements reads all of a floating-point tensor's data as little-endian elements. They are valid until the
// file is read again.
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
		return t.f.raw(t.data)
	default:
		var buf bytes.Buffer
		err := t.decode(&buf)
		return buf.Bytes(), err
	}
}

// loadInts reads integers and bool: shapes, axes, flags, and what a Cast makes numbers of.
func (m *model) loadInts(t *tensor, k *constant, reason fuse.Reason) (*constant, *fuse.Refusal) {
	within, ok := intRanges[t.dataType]
	if !ok || t.external != nil {
		return nil, fuse.Refuse(reason, "tensor %q has element type %d", t.name(), t.dataType)
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
			return nil, fuse.Refuse(reason, "tensor %q is split over fields", t.name())
		}
		for _, x := range k.i {
			if t.dataType != typeInt64 && (float64(x) < within.least || float64(x) > within.most) {
				return nil, fuse.Refuse(reason, "tensor %q has %d, which is not of its element type %d", t.name(), x, t.dataType)
			}
		}
		return k, nil
	}
	b, err := t.f.bytes(t.data)
	if err != nil {
		return nil, fuse.Refuse(reason, "tensor %q: %v", t.name(), err)
	}
	size := int(elemBits[t.dataType] / 8)
	for ; len(b) >= size; b = b[size:] {
		k.i = append(k.i, intElement(t.dataType, b))
	}
	return k, nil
}

// intElement is the first element of b, of a type that intRanges has.
func intElement(dataType int32, b []byte) int64 {
	switch dataType {
	case typeInt64:
		return int64(binary.LittleEndian.Uint64(b))
	case typeInt32:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	case typeUint32:
		return int64(binary.LittleEndian.Uint32(b))
	case typeInt16:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case typeUint16:
		return int64(binary.LittleEndian.Uint16(b))
	case typeInt8:
		return int64(int8(b[0]))
	case typeBool:
		return int64(min(b[0], 1))
	default: // uint8
		return int64(b[0])
	}
}
