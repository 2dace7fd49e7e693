package nn

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/internal/atomicfile"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// assorted has tensors of its own, of several types, before a child.
type assorted struct {
	ReLU
	Flags  *tensor.Dense `nn:"flags"`
	Gain   *tensor.Dense `nn:"gain"`
	Counts []*tensor.Dense
	Norm   *BatchNorm1d `nn:"norm"`
}

// The header has the order of PyTorch's state_dict, the bytes that of their alignment; scalars, integers and
// tensors in another order than row-major come back.
func TestSaveOrder(t *testing.T) {
	s := newSource(1)
	transposed := backed([]int{2, 3}, []float64{1, 2, 3, 4, 5, 6})
	if err := transposed.T(); err != nil {
		t.Fatal(err)
	}
	m := &assorted{
		Flags:  tensor.New(tensor.WithShape(3), tensor.WithBacking([]bool{true, false, true})),
		Gain:   transposed,
		Counts: []*tensor.Dense{tensor.New(tensor.WithShape(1), tensor.WithBacking([]uint16{7}))},
		Norm:   &BatchNorm1d{Mean: s.dense(2), Var: s.dense(2), Gamma: s.dense(2), Batches: tensor.New(tensor.FromScalar(int64(9)))},
	}
	path := mustSave(t, m)
	b := readFile(t, path)
	h, err := safetensors.ReadHeader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range h.Tensors {
		names = append(names, e.Name)
		if size := safetensors.ElemBits[e.DType] / 8; e.Off%size != 0 {
			t.Errorf("%s lies at %d", e.Name, e.Off)
		}
	}
	want := []string{"flags", "gain", "Counts.0", "norm.weight", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
	if !slices.Equal(names, want) {
		t.Errorf("the order is %q, want %q", names, want)
	}
	if !slices.Equal(h.Metadata, []safetensors.Metadatum{{Key: "format", Value: "pt"}}) {
		t.Errorf("metadata %q", h.Metadata)
	}
	other := &assorted{Counts: []*tensor.Dense{nil}, Norm: &BatchNorm1d{}}
	mustLoad(t, path, other, LoadOptions{})
	if got := mustValues(t, other.Gain); !slices.Equal(got, []float64{1, 4, 2, 5, 3, 6}) {
		t.Errorf("gain %v", got)
	}
	if got := other.Norm.Batches.Data(); got != int64(9) {
		t.Errorf("batches %v", got)
	}
	if !bytes.Equal(readFile(t, mustSave(t, other)), b) {
		t.Error("what was loaded is saved as other bytes")
	}
}

// An existing file is replaced only when asked for, a failure leaves nothing, and errors name the file.
func TestSaveErrors(t *testing.T) {
	s := newSource(2)
	m := &Linear{Weight: s.dense(2, 2)}
	path := mustSave(t, m)
	if err := SaveFile(path, m, SaveOptions{}); !errors.Is(err, atomicfile.ErrExists) || !strings.HasPrefix(err.Error(), "nn: "+path) {
		t.Errorf("%v", err)
	}
	if err := SaveFile(path, m, SaveOptions{Force: true, Sync: true}); err != nil {
		t.Error(err)
	}
	complexes := tensor.New(tensor.WithShape(1), tensor.WithBacking([]complex64{1}))
	ints2 := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]int64{1, 2, 3, 4}))
	if err := ints2.T(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		model Module
		want  string
	}{
		{&ints{Of: []*tensor.Dense{complexes}}, `tensor "Of.0": it holds complex64`},
		{&ints{Of: []*tensor.Dense{ints2}}, "strides"},
		{&ints{Of: []*tensor.Dense{new(tensor.Dense)}}, `tensor "Of.0": it holds`},
		{NewSequential(nil), `module "0": module is nil`},
	} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		err := SaveFile(path, c.model, SaveOptions{})
		if err == nil || !strings.HasPrefix(err.Error(), "nn: "+path+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want one about %q", err, c.want)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 0 {
			t.Errorf("%q is left", left[0].Name())
		}
	}
	same := func(string) string { return "w" }
	if err := Save(new(bytes.Buffer), NewSequential(m, m), SaveOptions{Rename: same}); err == nil || !strings.Contains(err.Error(), `called "w"`) {
		t.Errorf("two of one name: %v", err)
	}
	if err := Save(full{}, m, SaveOptions{}); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
