package checkpoint

import (
	"errors"
	"fmt"
	"slices"
)

// role is what a name stands for in a checkpoint.
type role int

const (
	rebuilds  role = iota + 1 // a function whose arguments describe a tensor
	ordered                   // collections.OrderedDict
	parameter                 // a function that wraps a tensor
	sizes                     // torch.Size
	stored                    // a class of storage
	elements                  // a torch.dtype
	plain                     // something a checkpoint may carry along and nobody needs
)

// known is a name that a pickle may contain. Everything else is refused: it is what could run code if the
// pickle were loaded.
type known struct {
	role  role
	dtype string // of a storage or a torch.dtype
}

var globals = map[global]known{
	{"collections", "OrderedDict"}:                    {role: ordered},
	{"torch._utils", "_rebuild_tensor"}:               {role: rebuilds},
	{"torch._utils", "_rebuild_tensor_v2"}:            {role: rebuilds},
	{"torch._utils", "_rebuild_tensor_v3"}:            {role: rebuilds},
	{"torch._utils", "_rebuild_parameter"}:            {role: parameter},
	{"torch._utils", "_rebuild_parameter_with_state"}: {role: parameter},
	{"torch", "Size"}:                                 {role: sizes},
	{"torch.storage", "UntypedStorage"}:               {role: stored, dtype: "U8"},
	{"torch", "UntypedStorage"}:                       {role: stored, dtype: "U8"},
}

func init() {
	for module, names := range map[string][]string{
		"_codecs":                {"encode"}, // bytes, in protocol 2
		"argparse":               {"Namespace"},
		"builtins":               {"set", "frozenset", "bytearray", "complex", "slice", "list", "dict"},
		"__builtin__":            {"set", "frozenset", "bytearray", "complex", "slice", "list", "dict"},
		"collections":            {"Counter", "defaultdict"},
		"numpy":                  {"dtype", "ndarray"},
		"numpy.core.multiarray":  {"scalar", "_reconstruct"},
		"numpy._core.multiarray": {"scalar", "_reconstruct"},
		"torch":                  {"device"},
		"torch.serialization":    {"_get_layout"},
	} {
		for _, name := range names {
			globals[global{module, name}] = known{role: plain}
		}
	}
	for name, dtype := range map[string]string{
		"Double": "F64", "Float": "F32", "Half": "F16", "BFloat16": "BF16", "Long": "I64", "Int": "I32", "Short": "I16",
		"Char": "I8", "Byte": "U8", "Bool": "BOOL", "ComplexFloat": "C64", "ComplexDouble": "C128",
	} {
		globals[global{"torch", name + "Storage"}] = known{stored, dtype}
	}
	for name, dtype := range map[string]string{
		"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
		"int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
		"complex64": "C64", "complex128": "C128", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
	} {
		globals[global{"torch", name}] = known{elements, dtype}
	}
}

func (u *unpickler) global() error {
	module, err := u.line()
	if err != nil {
		return err
	}
	name, err := u.line()
	if err != nil {
		return err
	}
	return u.pushGlobal(global{module, name})
}

func (u *unpickler) stackGlobal() error {
	names, err := u.popN(2)
	if err != nil {
		return err
	}
	module, ok1 := names[0].(string)
	name, ok2 := names[1].(string)
	if !ok1 || !ok2 {
		return fmt.Errorf("the pickle's name %s.%s is no text", shown(names[0]), shown(names[1]))
	}
	return u.pushGlobal(global{module, name})
}

// unread are the functions of package torch._utils that make tensors of a kind that is not read, for they have no
// elements in a row that a weight could be scaled in.
var unread = map[string]string{
	"_rebuild_qtensor":           "quantized",
	"_rebuild_sparse_tensor":     "sparse",
	"_rebuild_sparse_csr_tensor": "sparse",
	"_rebuild_nested_tensor":     "nested",
}

func (u *unpickler) pushGlobal(g global) error {
	if kind := unread[g.name]; kind != "" && g.module == "torch._utils" {
		return fmt.Errorf("%w of plain tensors: one is %s (%v)", ErrNotStateDict, kind, g)
	}
	if _, ok := globals[g]; !ok {
		return fmt.Errorf("%w: the pickle names %.200q, which a state dict does not need and which could run code: "+
			"it is not read; save the model's state_dict() instead", ErrNotStateDict, g)
	}
	return u.push(g)
}

// reduce reads what the pickle asks to call as a description.
func (u *unpickler) reduce() error {
	top, err := u.popN(2)
	if err != nil {
		return err
	}
	g, ok := top[0].(global)
	args, ok2 := top[1].(tuple)
	if !ok || !ok2 {
		return fmt.Errorf("the pickle calls %T with %T", top[0], top[1])
	}
	switch globals[g].role {
	case ordered:
		return u.orderedDict(args)
	case rebuilds:
		t, err := u.storages.rebuild(g, args)
		if err != nil {
			return fmt.Errorf("%v: %w", g, err)
		}
		return u.push(t)
	case parameter:
		if len(args) == 0 {
			return fmt.Errorf("%v without a tensor", g)
		}
		return u.push(args[0])
	case sizes:
		if len(args) == 1 {
			if t, ok := args[0].(tuple); ok {
				return u.push(t)
			}
		}
		return fmt.Errorf("%v of %d values", g, len(args))
	case plain:
		return u.push(opaque{g.String()})
	}
	return fmt.Errorf("the pickle calls %v, which is no function", g)
}

// orderedDict reads OrderedDict() and OrderedDict([(key, value), …]).
func (u *unpickler) orderedDict(args tuple) error {
	d := &dict{}
	if len(args) > 1 {
		return fmt.Errorf("an OrderedDict of %d values", len(args))
	}
	if len(args) == 1 {
		pairs, ok := args[0].(*list)
		if !ok {
			return fmt.Errorf("an OrderedDict of %T", args[0])
		}
		if u.copied += len(pairs.items); u.copied > maxPickleBytes/8 {
			return errors.New("OrderedDicts of the same list, again and again")
		}
		for _, p := range pairs.items {
			var kv []any
			switch p := p.(type) {
			case tuple:
				kv = p
			case *list:
				kv = p.items
			}
			if len(kv) != 2 {
				return fmt.Errorf("an OrderedDict of %T", p)
			}
			d.set(kv[0], kv[1])
		}
	}
	return u.push(d)
}

// build drops the attributes of an object: those of a state dict are its _metadata, versions of modules.
func (u *unpickler) build() error {
	if _, err := u.pop(); err != nil {
		return err
	}
	v, err := u.top()
	if err != nil {
		return err
	}
	switch v.(type) {
	case *dict, *torchTensor, opaque:
		return nil
	}
	return fmt.Errorf("the pickle gives attributes to %T", v)
}

// maxRank is more axes than PyTorch allows.
const maxRank = 64

// ints reads a tuple of sizes that are not negative.
func ints(v any) ([]int, bool) {
	t, ok := v.(tuple)
	if !ok || len(t) > maxRank {
		return nil, false
	}
	out := make([]int, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || n < 0 {
			return nil, false
		}
		out[i] = int(n)
	}
	return out, !slices.ContainsFunc(out, func(n int) bool { return n > 1<<60 })
}
