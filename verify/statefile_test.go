package verify_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

// stateFile is a safetensors file in memory, which a test may spoil.
type stateFile struct {
	metadata map[string]string
	tensors  []stateTensor
	ordered  bool // the header lists the tensors in their order, not by name
}

type stateTensor struct {
	name, dtype string
	shape       []int
	data        []byte
}

func (f *stateFile) tensor(name string) *stateTensor {
	i := slices.IndexFunc(f.tensors, func(t stateTensor) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	return &f.tensors[i]
}

func (f *stateFile) remove(name string) {
	f.tensors = slices.DeleteFunc(f.tensors, func(t stateTensor) bool { return t.name == name })
}

// clone is a copy that can be changed alone.
func (f *stateFile) clone() *stateFile {
	c := &stateFile{metadata: maps.Clone(f.metadata), tensors: slices.Clone(f.tensors)}
	for i := range c.tensors {
		c.tensors[i].data = slices.Clone(c.tensors[i].data)
	}
	return c
}

func (f *stateFile) bytes() []byte {
	header := map[string]any{}
	if f.metadata != nil {
		header["__metadata__"] = f.metadata
	}
	var data []byte
	var members [][]byte
	for _, t := range f.tensors {
		header[t.name] = map[string]any{"dtype": t.dtype, "shape": append([]int{}, t.shape...), "data_offsets": []int{len(data), len(data) + len(t.data)}}
		data = append(data, t.data...)
		members = append(members, fmt.Appendf(nil, "%s:%s", asJSON(t.name), asJSON(header[t.name])))
	}
	text := asJSON(header)
	if f.ordered {
		text = slices.Concat([]byte("{"), bytes.Join(members, []byte(",")), []byte("}"))
	}
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, data)
}

func asJSON(x any) []byte {
	text, err := json.Marshal(x)
	if err != nil {
		panic(err)
	}
	return text
}

func (f *stateFile) write(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, f.bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func readState(t *testing.T, path string) *stateFile {
	t.Helper()
	d, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	f := &stateFile{metadata: d.Parts[0].Metadata}
	for _, name := range d.Order {
		x := d.Tensors[name]
		b, err := io.ReadAll(x.Reader())
		if err != nil {
			t.Fatal(err)
		}
		f.tensors = append(f.tensors, stateTensor{name, x.DType, append([]int{}, x.Shape...), b})
	}
	return f
}

// numbers makes a tensor of a type, each number cut to it.
func numbers(name, dtype string, shape []int, next func() float64) stateTensor {
	t := stateTensor{name: name, dtype: dtype, shape: shape}
	n := 1
	for _, d := range shape {
		n *= d
	}
	for range n {
		switch x := next(); dtype {
		case "F64":
			t.data = binary.LittleEndian.AppendUint64(t.data, math.Float64bits(x))
		case "F32":
			t.data = binary.LittleEndian.AppendUint32(t.data, math.Float32bits(float32(x)))
		case "BF16":
			t.data = binary.LittleEndian.AppendUint16(t.data, uint16(math.Float32bits(float32(x))>>16))
		case "F16":
			t.data = binary.LittleEndian.AppendUint16(t.data, float16(x))
		default:
			panic(dtype)
		}
	}
	return t
}

// float16 cuts a number of the range of normal ones.
func float16(x float64) uint16 {
	b := math.Float64bits(x)
	return uint16(b>>48&0x8000) | uint16(int(b>>52&0x7ff)-1023+15)<<10 | uint16(b>>42&0x3ff)
}

// layerAndNorms are the tensors of a layer and of norms of as many channels.
func layerAndNorms(dtype string, shape []int, bias int, norms map[string]int) *stateFile {
	r := rand.New(rand.NewPCG(1, 2))
	between := func(low, high float64) func() float64 {
		return func() float64 { return low + r.Float64()*(high-low) }
	}
	f := &stateFile{metadata: map[string]string{"format": "pt"}}
	f.tensors = append(f.tensors, numbers("l.weight", dtype, shape, between(-1.1, 1)))
	if bias > 0 {
		f.tensors = append(f.tensors, numbers("l.bias", dtype, []int{bias}, between(-1, 1)))
	}
	for _, name := range slices.Sorted(maps.Keys(norms)) {
		c := []int{norms[name]}
		f.tensors = append(f.tensors, numbers(name+".weight", dtype, c, between(-2, 2)), numbers(name+".bias", dtype, c, between(-1, 1)),
			numbers(name+".running_mean", dtype, c, between(-1, 1)), numbers(name+".running_var", dtype, c, between(0.5, 2)),
			stateTensor{name + ".num_batches_tracked", "I64", nil, make([]byte, 8)})
	}
	f.tensors = append(f.tensors, numbers("other.weight", dtype, []int{2, 3}, between(-1, 1)), stateTensor{"steps", "I64", []int{1}, []byte{1, 2, 3, 4, 5, 6, 7, 8}})
	return f
}

func tempFile(t *testing.T, name string) string { return filepath.Join(t.TempDir(), name) }
