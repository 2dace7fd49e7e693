package state

import (
	"fmt"
	"strings"
)

// Names of classes and functions that a state dict may contain. Any other could stand for code that runs
// when the file is loaded, and ends the reading.
var (
	// harmless things that are saved beside tensors, and that nobody needs here
	inertNames = fieldsOf(`
		_codecs.encode argparse.Namespace collections.Counter collections.defaultdict
		builtins.set builtins.frozenset builtins.bytearray builtins.complex builtins.slice builtins.list builtins.dict
		__builtin__.set __builtin__.frozenset __builtin__.bytearray __builtin__.complex __builtin__.slice __builtin__.list __builtin__.dict
		numpy.dtype numpy.ndarray numpy.core.multiarray.scalar numpy.core.multiarray._reconstruct
		numpy._core.multiarray.scalar numpy._core.multiarray._reconstruct torch.device torch.serialization._get_layout`)

	// functions of torch._utils, and how many arguments come before the tensor's type, or -1
	rebuilds = map[name]int{"torch._utils._rebuild_tensor": -1, "torch._utils._rebuild_tensor_v2": -1, "torch._utils._rebuild_tensor_v3": 6}

	// functions and classes whose value is their first argument
	wrappers = fieldsOf("torch._utils._rebuild_parameter torch._utils._rebuild_parameter_with_state torch.Size")

	storageTypes = pairsOf(`DoubleStorage F64 FloatStorage F32 HalfStorage F16 BFloat16Storage BF16 LongStorage I64 IntStorage I32
		ShortStorage I16 CharStorage I8 ByteStorage U8 BoolStorage BOOL ComplexFloatStorage C64 ComplexDoubleStorage C128
		UntypedStorage U8 storage.UntypedStorage U8`)

	elementTypes = pairsOf(`float64 F64 float32 F32 float16 F16 bfloat16 BF16 int64 I64 int32 I32 int16 I16 int8 I8 uint64 U64 uint32 U32
		uint16 U16 uint8 U8 bool BOOL complex64 C64 complex128 C128 float8_e4m3fn F8_E4M3 float8_e5m2 F8_E5M2`)
)

const orderedDict name = "collections.OrderedDict"

func fieldsOf(text string) map[name]bool {
	all := map[name]bool{}
	for _, s := range strings.Fields(text) {
		all[name(s)] = true
	}
	return all
}

// pairsOf maps names of torch to types.
func pairsOf(text string) map[name]string {
	all := map[name]string{}
	words := strings.Fields(text)
	for i := 0; i < len(words); i += 2 {
		all["torch."+name(words[i])] = words[i+1]
	}
	return all
}

func known(n name) bool {
	_, isRebuild := rebuilds[n]
	return isRebuild || n == orderedDict || inertNames[n] || wrappers[n] || storageTypes[n] != "" || elementTypes[n] != ""
}

// object runs the opcodes that name classes and functions, and those that would call them.
func (m *machine) object(op byte) bool {
	switch op {
	case 0x80: // the protocol
		if v := m.number(1); v > 5 {
			m.fail("pickle protocol %d is not known", v)
		}
	case 0x95: // a frame, which only helps who reads ahead
		if n := m.number(8); n > uint64(m.left) {
			m.fail("the pickle is cut: a frame of %d bytes, and %d are left", n, m.left)
		}
	case 'c':
		module := m.line()
		m.pushName(module, m.line())
	case 0x93:
		v := m.popN(2)
		module, ok1 := v[0].(string)
		class, ok2 := v[1].(string)
		if !ok1 || !ok2 {
			m.fail("the pickle has a name that is no text")
		}
		m.pushName(module, class)
	case 'R', 0x81:
		v := m.popN(2)
		m.call(v[0], v[1])
	case 'b':
		m.pop() // attributes, such as the _metadata of a state dict
		m.last()
	case 'Q':
		m.push(m.storage(m.pop()))
	default:
		return false
	}
	return true
}

func (m *machine) pushName(module, class string) {
	n := name(module + "." + class)
	if m.err == nil && !known(n) {
		m.fail("the pickle names %.200q, which a state dict does not need and which might run code; it is not read", string(n))
	}
	m.push(n)
}

// call gives the value that calling f with args would have, as far as it matters.
func (m *machine) call(f, args any) {
	n, ok := f.(name)
	list, ok2 := args.(tuple)
	if m.err != nil || !ok || !ok2 {
		m.fail("the pickle calls a %T with a %T", f, args)
		return
	}
	switch typeAt, isRebuild := rebuilds[n]; {
	case isRebuild:
		v, err := viewOf(list, typeAt)
		if err != nil {
			m.fail("%s: %w", n, err)
		}
		m.push(v)
	case n == orderedDict:
		m.push(m.ordered(list))
	case wrappers[n] && len(list) > 0:
		m.push(list[0])
	case inertNames[n]:
		m.push(inert{})
	default:
		m.fail("the pickle calls %s with %d arguments", n, len(list))
	}
}

// ordered is OrderedDict() or OrderedDict([(key, value), …]).
func (m *machine) ordered(args tuple) *dict {
	d := newDict()
	if len(args) == 0 {
		return d
	}
	members, ok := args[0].(*list)
	if !ok || len(args) > 1 {
		m.fail("an OrderedDict of a %T", args[0])
		return d
	}
	if m.spread += len(members.items); m.spread > maxPickle/8 { // the memo gives one list any number of times
		m.fail("OrderedDicts of %d members", m.spread)
		return d
	}
	for _, item := range members.items {
		pair, _ := item.(tuple)
		if l, ok := item.(*list); ok {
			pair = l.items
		}
		if len(pair) != 2 {
			m.fail("an OrderedDict with a %T as member", item)
			return d
		}
		d.put(pair[0], pair[1])
	}
	return d
}

// part is a storage from one of its elements on.
type part struct {
	*storage
	first int64
}

// storage reads a reference to a storage, and of PyTorch before 0.4 perhaps to a part of it:
//
//	('storage', class, key, device, number of elements)
//	('storage', class, key, device, number of elements, (key of the part, first element, number of elements))
func (m *machine) storage(ref any) part {
	id, _ := ref.(tuple)
	if len(id) < 5 || len(id) > 6 || id[0] != any("storage") {
		m.fail("the pickle refers to something that is no storage")
		return part{}
	}
	class, _ := id[1].(name)
	key, ok := id[2].(string)
	n, ok2 := id[4].(int64)
	first, ok3 := int64(0), true
	if len(id) == 6 && id[5] != nil {
		first, ok3 = firstOf(id[5], n)
	}
	if storageTypes[class] == "" || !ok || !ok2 || !ok3 || n < 0 || n > maxElems {
		m.fail("the pickle's reference to storage %.100q is not understood", key)
		return part{}
	}
	s := m.stores[key]
	if s == nil {
		s = &storage{key: key, dtype: storageTypes[class], nElems: n}
		m.stores[key] = s
	}
	if s.dtype != storageTypes[class] || s.nElems != n {
		m.fail("the pickle describes storage %.100q in two ways", key)
	}
	return part{s, first}
}

// firstOf is the first element of a part, which must lie within the storage.
func firstOf(description any, n int64) (int64, bool) {
	d, _ := description.(tuple)
	if len(d) != 3 {
		return 0, false
	}
	first, ok := d[1].(int64)
	size, ok2 := d[2].(int64)
	return first, ok && ok2 && first >= 0 && size >= 0 && first <= n && size <= n-first
}

// view is a tensor: some elements of a storage.
type view struct {
	*storage
	dtype         string
	first         int64
	shape, stride []int64 // in elements
}

// viewOf reads (storage, first element, shape, strides, …); the type is the storage's, or an argument.
func viewOf(args tuple, typeAt int) (*view, error) {
	if len(args) < 4 || len(args) <= typeAt {
		return nil, fmt.Errorf("%d arguments", len(args))
	}
	of, ok := args[0].(part)
	first, ok2 := args[1].(int64)
	shape, ok3 := sizes(args[2])
	stride, ok4 := sizes(args[3])
	if !ok || of.storage == nil || !ok2 || !ok3 || !ok4 || first < 0 || first > maxElems || len(shape) != len(stride) {
		return nil, fmt.Errorf("the arguments describe no tensor")
	}
	v := &view{storage: of.storage, dtype: of.dtype, first: of.first + first, shape: shape, stride: stride}
	if typeAt >= 0 {
		class, _ := args[typeAt].(name)
		if v.dtype = elementTypes[class]; v.dtype == "" {
			return nil, fmt.Errorf("the type of the elements is not known")
		}
	}
	return v, nil
}

// sizes reads a tuple of numbers that are not negative.
func sizes(v any) ([]int64, bool) {
	t, ok := v.(tuple)
	if !ok || len(t) > 64 {
		return nil, false
	}
	out := make([]int64, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || n < 0 || n > maxElems {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}
