package checkpoint

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	independent "github.com/nlpodyssey/safetensors"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// made is a tensor of a checkpoint that a test writes.
type made struct {
	name  string
	dtype string
	shape []int
	data  []byte
}

// floats makes a tensor of numbers, rounded to the type.
func floats(name, dtype string, shape []int, x ...float64) made {
	return made{name, dtype, shape, elem.Encode(safetensors.Floats[dtype], x)}
}

// encode is a safetensors file of the tensors.
func encode(metadata []safetensors.Metadatum, tensors ...made) []byte {
	var entries []safetensors.Entry
	var data []byte
	for _, t := range tensors {
		entries = append(entries, safetensors.Entry{Name: t.name, DType: t.dtype, Shape: t.shape, Off: int64(len(data)), NBytes: int64(len(t.data))})
		data = append(data, t.data...)
	}
	return append(safetensors.EncodeHeader(entries, metadata), data...)
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tensorsOf reads a safetensors file with a reader that is not ours.
func tensorsOf(t *testing.T, path string) map[string]made {
	t.Helper()
	s, err := independent.Deserialize(readAll(t, path))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	all := map[string]made{}
	for _, nt := range s.Tensors() {
		shape := []int{}
		for _, d := range nt.TensorView.Shape() {
			shape = append(shape, int(d))
		}
		all[nt.Name] = made{nt.Name, nt.TensorView.DType().String(), shape, nt.TensorView.Data()}
	}
	return all
}

func (m made) values(t *testing.T) []float64 {
	t.Helper()
	dt := safetensors.Floats[m.dtype]
	if dt == 0 {
		t.Fatalf("%s is %q", m.name, m.dtype)
	}
	return elem.Decode(dt, m.data)
}

// TestUnknownTypesPass: tensors of types that cannot be scaled, also of ones nobody knows, keep their bytes.
func TestUnknownTypesPass(t *testing.T) {
	odd := []made{
		{"a", "F8_E4M3", []int{3}, []byte{1, 2, 3}},
		{"b", "F4", []int{2, 2}, []byte{4, 5}},
		{"c", "C64", []int{1}, []byte("complex.")},
		{"d", "NEXT_YEARS", []int{7}, []byte{9}},
		{"e", "F32", []int{0, 4}, nil},
	}
	in := write(t, "in.safetensors", encode([]safetensors.Metadatum{{Key: "z", Value: "1"}, {Key: "a", Value: "ü\u2028<"}}, append(odd, pairTensors("F32")...)...))
	out := fuseTo(t, in, Options{Pairs: pairsOf(t, Pair{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5})})
	c, err := open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, want := range odd {
		got := c.byName[want.name]
		b := make([]byte, got.nBytes)
		if _, err := got.src.ReadAt(b, got.off); len(b) > 0 && err != nil {
			t.Fatal(err)
		}
		if got.dtype != want.dtype || !slices.Equal(got.shape, want.shape) || !bytes.Equal(b, want.data) {
			t.Errorf("%s is %s %v %v now", want.name, got.dtype, got.shape, b)
		}
	}
	if m := c.parts[0].metadata; len(m) != 3 || m[0] != (safetensors.Metadatum{Key: "z", Value: "1"}) || m[1].Value != "ü\u2028<" || m[2].Key != recordKey {
		t.Errorf("metadata %v", m)
	}
	var names []string
	for _, tensor := range c.tensors() {
		names = append(names, tensor.name)
		if size := safetensors.ElemBits[tensor.dtype] / 8; size > 0 && tensor.off%size != 0 {
			t.Errorf("%s lies at %d", tensor.name, tensor.off)
		}
	}
	if want := []string{"a", "b", "c", "d", "e", "conv.weight", "conv.bias"}; !slices.Equal(names, want) {
		t.Errorf("the order is %v, want %v", names, want)
	}
}
