package checkpoint

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// wrappers are the keys under which training scripts save a state dict beside other things, the likeliest
// first.
var wrappers = []string{"state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "params", "weights"}

// maxRepeated bounds the bytes of all tensors that repeat elements, which a short file can have as many of as it likes.
const maxRepeated = 16 << 20

// newStateDict makes a part of a checkpoint of what a pickle holds.
func newStateDict(f *os.File, size int64, top any, bigEndian bool) (*part, error) {
	d, dropped, err := stateDict(top)
	if err != nil {
		return nil, err
	}
	p := &part{file: f, size: size, metadata: []safetensors.Metadatum{{Key: "format", Value: "pt"}}}
	var of []*torchTensor
	repeated := int64(0)
	for i, k := range d.keys {
		name, ok := k.(string)
		t, ok2 := d.values[i].(*torchTensor)
		if !ok || !ok2 {
			dropped = append(dropped, k)
			continue
		}
		one, err := t.named(name, bigEndian)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		if t.repeats(one.nBytes) {
			if repeated += one.nBytes; repeated > maxRepeated {
				return nil, fmt.Errorf("tensor %q: shape %v repeats the %d bytes of its storage, and with other such tensors beyond %d", name, t.shape, t.storage.nBytes, int64(maxRepeated))
			}
		}
		p.tensors = append(p.tensors, one)
		of = append(of, t)
	}
	markShared(p.tensors, of)
	if len(dropped) > 0 {
		p.warnings = append(p.warnings, "not in the output, which holds only the tensors of the state dict: "+listed(dropped))
	}
	return p, nil
}

// listed names a few keys.
func listed(keys []any) string {
	const most = 10
	var names []string
	for _, k := range keys[:min(len(keys), most)] {
		names = append(names, fmt.Sprintf("%.80q", shown(k)))
	}
	if more := len(keys) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// stateDict finds the dictionary of tensors, in one of the usual wrappings, and says what beside it is left
// out.
func stateDict(top any) (*dict, []any, error) {
	var dropped []any
	for range 4 { // {"model": {"state_dict": …}}
		d, ok := top.(*dict)
		if !ok {
			return nil, nil, fmt.Errorf("%w: it holds no dictionary of tensors: save the model's state_dict()", ErrNotStateDict)
		}
		inner := ""
		for _, key := range wrappers {
			if v, ok := d.get(key).(*dict); ok && len(v.keys) > 0 {
				inner = key
				break
			}
		}
		if inner == "" && hasTensors(d) {
			return d, dropped, nil
		}
		if inner == "" {
			inner = onlyStateDict(d)
		}
		if len(d.keys) == 0 {
			return nil, nil, fmt.Errorf("%w: it is an empty dictionary", ErrNotStateDict)
		}
		if inner == "" {
			return nil, nil, fmt.Errorf("%w: it holds no dictionary of tensors under a usual name, but %s", ErrNotStateDict, listed(d.keys))
		}
		dropped = append(dropped, slices.DeleteFunc(slices.Clone(d.keys), func(k any) bool { return k == inner })...)
		top = d.get(inner)
	}
	return nil, nil, fmt.Errorf("%w: its dictionaries are nested too deeply", ErrNotStateDict)
}

// shown is a value of a pickle for a message: only of a text or a number what it is. A tuple can hold another
// twice, and that one another twice: a small file whose values would fill the memory when printed.
func shown(v any) string {
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
		return fmt.Sprint(v)
	case global:
		return v.String()
	}
	return fmt.Sprintf("%T", v)
}

func hasTensors(d *dict) bool {
	return slices.ContainsFunc(d.values, func(v any) bool { _, ok := v.(*torchTensor); return ok })
}

// onlyStateDict is the key of the one dictionary of tensors, "" where there are none or several.
func onlyStateDict(d *dict) string {
	found := ""
	for i, v := range d.values {
		inner, ok := v.(*dict)
		if !ok || !hasTensors(inner) {
			continue
		}
		key, ok := d.keys[i].(string)
		if !ok || found != "" {
			return ""
		}
		found = key
	}
	return found
}
