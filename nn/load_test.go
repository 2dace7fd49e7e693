package nn

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// block is torchvision's BasicBlock, in its names.
type block struct {
	Conv1      *Conv2d      `nn:"conv1"`
	BN1        *BatchNorm2d `nn:"bn1"`
	Conv2      *Conv2d      `nn:"conv2"`
	BN2        *BatchNorm2d `nn:"bn2"`
	Downsample *Sequential  `nn:"downsample"`
}

func (b *block) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	y, err := NewSequential(b.Conv1, b.BN1, &ReLU{}, b.Conv2, b.BN2).Forward(x)
	if err != nil {
		return nil, err
	}
	if b.Downsample != nil {
		if x, err = b.Downsample.Forward(x); err != nil {
			return nil, err
		}
	}
	if y, err = y.Add(x); err != nil {
		return nil, err
	}
	return (&ReLU{}).Forward(y)
}

func newNorm2d() *BatchNorm2d { return &BatchNorm2d{Eps: 1e-5} }

func newBlock(stride int) *block {
	b := &block{
		Conv1: &Conv2d{Stride: []int{stride}, Padding: []int{1}}, BN1: newNorm2d(),
		Conv2: &Conv2d{Padding: []int{1}}, BN2: newNorm2d(),
	}
	if stride > 1 {
		b.Downsample = NewSequential(&Conv2d{Stride: []int{stride}}, newNorm2d())
	}
	return b
}

// globalMean is AdaptiveAvgPool2d((1, 1)) and Flatten.
type globalMean struct{}

func (globalMean) Forward(x *tensor.Dense) (*tensor.Dense, error) {
	in, err := input(x, 3)
	if err != nil {
		return nil, err
	}
	n := product(in.shape[2:])
	y := make([]float64, len(in.values)/n)
	for i, v := range in.values {
		y[i/n] += v / float64(n)
	}
	return newDense(x.Dtype(), in.shape[:2], y), nil
}

// resnet is the small ResNet of testdata/networks.py, without weights.
func resnet() *Sequential {
	return &Sequential{[]Child{
		{"conv1", &Conv2d{Stride: []int{2}, Padding: []int{3}}}, {"bn1", newNorm2d()}, {"relu", &ReLU{}},
		{"maxpool", &MaxPool2d{Kernel: []int{3}, Stride: []int{2}, Padding: []int{1}}},
		{"layer1", NewSequential(newBlock(1))}, {"layer2", NewSequential(newBlock(2))}, {"layer3", NewSequential(newBlock(2))},
		{"avgpool", globalMean{}}, {"fc", &Linear{}},
	}}
}

func mustLoad(t *testing.T, path string, m Module, o LoadOptions) Loaded {
	t.Helper()
	out, err := LoadFile(path, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustSave(t *testing.T, m Module) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := SaveFile(path, m, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return path
}

// tensorBytes are the tensors of a file by their names, with types and shapes.
func tensorBytes(t *testing.T, path string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := safetensors.ReadHeader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range h.Tensors {
		all[e.Name] = e.DType + string(b[e.Off:e.Off+e.NBytes])
	}
	return all
}

// A real ResNet: loaded, saved, loaded again it is the same to the byte; folded it gives the same outputs,
// and is saved and loaded without its norms.
func TestRealNetwork(t *testing.T) {
	const path = "../testdata/resnet.safetensors"
	m := resnet()
	if out := mustLoad(t, path, m, LoadOptions{}); out.Missing != nil || out.Unexpected != nil {
		t.Errorf("%+v", out)
	}
	saved := mustSave(t, m)
	if got, want := tensorBytes(t, saved), tensorBytes(t, path); !reflect.DeepEqual(got, want) {
		t.Errorf("%d tensors, want the file's %d", len(got), len(want))
	}
	second := resnet()
	mustLoad(t, saved, second, LoadOptions{})
	if a, b := readFile(t, saved), readFile(t, mustSave(t, second)); !bytes.Equal(a, b) {
		t.Error("the same network gives other bytes")
	}

	s := newSource(1)
	s.dtype = tensor.Float32
	x := s.dense(1, 3, 33, 33)
	before := forward(t, m, x)
	fused, plan := mustFuse(t, m, x, Options{})
	if len(plan.Steps) != 3 { // bn1 and two of downsample: how a block connects its children, only it knows
		t.Errorf("%d norms were folded", len(plan.Steps))
	}
	saved = mustSave(t, fused)
	if all := tensorBytes(t, saved); all["bn1.running_mean"] != "" || all["conv1.bias"] == "" || all["fc.bias"] == "" {
		t.Errorf("%d tensors", len(all))
	}
	if _, err := LoadFile(saved, resnet(), LoadOptions{}); !errors.Is(err, ErrKeys) {
		t.Errorf("a network with norms takes a file without: %v", err)
	}
	again := resnet() // the same steps lead to the same network, whose tensors are another's by then
	mustLoad(t, path, again, LoadOptions{})
	if _, _, err := FuseBN(again, Options{}); err != nil {
		t.Fatal(err)
	}
	again.Child("conv1").(*Conv2d).Weight.Zero()
	mustLoad(t, saved, again, LoadOptions{})
	compare(t, "output", forward(t, again, x), before, tolerances[tensor.Float32])
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fileOf is a safetensors file of tensors of one element type.
func fileOf(dtype string, tensors ...any) []byte {
	var entries []safetensors.Entry
	var data []byte
	for i := 0; i < len(tensors); i += 2 {
		shape := tensors[i+1].([]int)
		x := make([]float64, product(shape))
		for j := range x {
			x[j] = float64(len(data)+j) / 8
		}
		b := elem.Encode(safetensors.Floats[dtype], x)
		entries = append(entries, safetensors.Entry{Name: tensors[i].(string), DType: dtype, Shape: shape, Off: int64(len(data)), NBytes: int64(len(b))})
		data = append(data, b...)
	}
	return append(safetensors.EncodeHeader(entries, nil), data...)
}

func loadBytes(b []byte, m Module, o LoadOptions) (Loaded, error) {
	return Load(bytes.NewReader(b), int64(len(b)), m, o)
}

// What does not match is an error that says where, and leaves every tensor of the network as it was.
func TestLoadErrors(t *testing.T) {
	s := newSource(2)
	s.dtype = tensor.Float32
	declared := func() Module {
		return NewSequential(&Conv2d{Weight: s.dense(2, 3, 1, 1)}, &BatchNorm2d{Mean: s.dense(2), Var: s.dense(2)})
	}
	undeclared := func() Module { return NewSequential(&Conv2d{Groups: 2}, newNorm2d()) }
	w, mean, variance := "0.weight", "1.running_mean", "1.running_var"
	good := fileOf("F32", w, []int{2, 3, 1, 1}, mean, []int{2}, variance, []int{2})
	if _, err := loadBytes(good, declared(), LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	infinite := fileOf("F64", w, []int{2, 3, 1, 1}, mean, []int{2}, variance, []int{2})
	copy(infinite[len(infinite)-8:], elem.Encode(fuse.Float64, []float64{-1e300}))
	for _, c := range []struct {
		name    string
		model   Module
		file    []byte
		options LoadOptions
		want    string
		is      error
	}{
		{"missing", declared(), fileOf("F32", mean, []int{2}), LoadOptions{}, `(missing: ["0.weight" "1.running_var"])`, ErrKeys},
		{"unexpected", declared(), fileOf("F32", w, []int{2, 3, 1, 1}, mean, []int{2}, variance, []int{2}, "2.bias", []int{1}),
			LoadOptions{}, `(unexpected: ["2.bias"])`, ErrKeys},
		{"a bias that the layer does not have", declared(), fileOf("F32", w, []int{2, 3, 1, 1}, mean, []int{2}, variance, []int{2}, "0.bias", []int{2}),
			LoadOptions{}, `(unexpected: ["0.bias"])`, ErrKeys},
		{"both", declared(), fileOf("F32", w, []int{2, 3, 1, 1}, "x", []int{2}), LoadOptions{},
			`(missing: ["1.running_mean" "1.running_var"], unexpected: ["x"])`, ErrKeys},
		{"shape", declared(), fileOf("F32", w, []int{2, 3, 1}, mean, []int{2}, variance, []int{2}), LoadOptions{},
			`nn: tensor "0.weight": the file has [2 3 1], the network [2 3 1 1]`, nil},
		{"the last shape", declared(), fileOf("F32", w, []int{2, 3, 1, 1}, mean, []int{2}, variance, []int{3}), LoadOptions{}, `"1.running_var"`, nil},
		{"float64", declared(), fileOf("F64", w, []int{2, 3, 1, 1}, mean, []int{2}, variance, []int{2}), LoadOptions{}, "rounds", ErrRound},
		{"infinite", declared(), infinite, LoadOptions{Round: true}, `"1.running_var": -1e+300 would be infinite`, nil},
		{"no weight", undeclared(), fileOf("F32", "0.bias", []int{2}, mean, []int{2}, variance, []int{2}), LoadOptions{}, `missing: ["0.weight"]`, ErrKeys},
		{"no statistics", undeclared(), fileOf("F32", w, []int{2, 3, 1, 1}), LoadOptions{}, `missing: ["1.running_mean" "1.running_var"]`, ErrKeys},
		{"rank", undeclared(), fileOf("F32", w, []int{2, 3, 1}), LoadOptions{}, `module "0": Conv2d: weight [2 3 1] has 3 axes, want 4`, nil},
		{"groups", undeclared(), fileOf("F32", w, []int{3, 3, 1, 1}), LoadOptions{}, `module "0": Conv2d`, nil},
		{"bias", undeclared(), fileOf("F32", w, []int{2, 3, 1, 1}, "0.bias", []int{3}), LoadOptions{}, "2 output channels, bias is [3]", nil},
		{"lengths of the norm's", undeclared(), fileOf("F32", w, []int{2, 3, 1, 1}, mean, []int{2}, variance, []int{3}), LoadOptions{Partial: true},
			`module "1": BatchNorm2d: running_var [3] is not of the same length`, nil},
		{"axes of the norm's", undeclared(), fileOf("F32", w, []int{2, 3, 1, 1}, mean, []int{2, 1}), LoadOptions{Partial: true}, "has 2 axes, want 1", nil},
		{"empty", &Linear{}, fileOf("F32", "weight", []int{0, 2}), LoadOptions{}, "no tensor of gorgonia is empty", nil},
		{"no such file", declared(), good[:len(good)-1], LoadOptions{}, "it is cut", nil},
		{"nil", NewSequential(nil), good, LoadOptions{}, `module "0": module is nil`, ErrNilModule},
		{"two tensors of one name", &sameNames{}, good, LoadOptions{}, `two tensors of the network are called "w"`, nil},
		{"a module by value", plainValue{Weight: s.dense(2)}, fileOf("F32", "Weight", []int{2}), LoadOptions{}, "is no pointer", nil},
		{"not floats", &ints{Of: []*tensor.Dense{tensor.New(tensor.WithShape(2), tensor.WithBacking([]int64{1, 2}))}}, fileOf("F32", "Of.0", []int{2}), LoadOptions{}, "the file has F32, the network int64", nil},
	} {
		before := tensorsOf(t, c.model)
		_, err := loadBytes(c.file, c.model, c.options)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want one about %q", c.name, err, c.want)
		}
		if !slices.Equal(tensorsOf(t, c.model), before) {
			t.Errorf("%s: a tensor was replaced", c.name)
		}
	}
}

// Every truncation of a file is an error.
func TestTruncated(t *testing.T) {
	whole := readFile(t, "../testdata/grouped_decoder.safetensors")
	small := fileOf("F32", "0.weight", []int{2, 3, 1, 1}, "1.running_mean", []int{2}, "1.running_var", []int{2})
	for n := range small {
		if _, err := loadBytes(small[:n], NewSequential(&Conv2d{}, newNorm2d()), LoadOptions{Partial: true}); err == nil {
			t.Errorf("%d of %d bytes are no error", n, len(small))
		}
	}
	for _, n := range []int{0, 7, 8, 100, len(whole) / 2, len(whole) - 1} {
		if _, err := loadBytes(whole[:n], &Linear{}, LoadOptions{Partial: true}); err == nil {
			t.Errorf("%d of %d bytes are no error", n, len(whole))
		}
	}
}

type sameNames struct {
	ReLU
	A *tensor.Dense `nn:"w"`
	B *tensor.Dense `nn:"w"`
}

type plainValue struct{ Weight *tensor.Dense }

func (plainValue) Forward(x *tensor.Dense) (*tensor.Dense, error) { return x, nil }

type ints struct {
	ReLU
	Of []*tensor.Dense
}

// tensorsOf lists the tensor objects of a network; nil for one that cannot be walked.
func tensorsOf(t *testing.T, m Module) []*tensor.Dense {
	modules, err := stateOf(m)
	if err != nil {
		return nil
	}
	var all []*tensor.Dense
	for _, own := range modules {
		for _, p := range own.params {
			all = append(all, p.tensor())
		}
	}
	return all
}

// Every type of the file comes out exactly, in the network's type or in one that holds it.
func TestLoadTypes(t *testing.T) {
	s := newSource(3)
	want := []float64{0, 0.125, 0.25}
	for _, c := range []struct {
		dtype string
		old   tensor.Dtype // of the network; the zero value for none
		is    tensor.Dtype
		round bool
	}{
		{"F16", tensor.Dtype{}, tensor.Float32, false}, {"BF16", tensor.Dtype{}, tensor.Float32, false},
		{"F32", tensor.Dtype{}, tensor.Float32, false}, {"F64", tensor.Dtype{}, tensor.Float64, false},
		{"F16", tensor.Float32, tensor.Float32, false}, {"BF16", tensor.Float64, tensor.Float64, false},
		{"F32", tensor.Float64, tensor.Float64, false}, {"F64", tensor.Float32, tensor.Float32, true},
	} {
		m := &Linear{}
		if c.old.Type != nil {
			s.dtype = c.old
			m.Weight = s.dense(1, 3)
		}
		if _, err := loadBytes(fileOf(c.dtype, "weight", []int{1, 3}), m, LoadOptions{Round: c.round}); err != nil {
			t.Errorf("%s: %v", c.dtype, err)
			continue
		}
		if got := mustValues(t, m.Weight); m.Weight.Dtype() != c.is || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v", c.dtype, m.Weight.Dtype(), got)
		}
	}
}

// Every bit of a float32 passes, NaNs' too, and pieces of a large tensor are put together.
func TestBitsPass(t *testing.T) {
	x := make([]float32, chunkBytes/2+3)
	for i := range x {
		x[i] = math.Float32frombits(uint32(i) * 12347)
	}
	x[1] = math.Float32frombits(0x7f80_0001) // signals
	m := &Linear{Weight: backed([]int{1, len(x)}, x)}
	saved := mustSave(t, m)
	other := &Linear{}
	mustLoad(t, saved, other, LoadOptions{})
	for i, y := range other.Weight.Data().([]float32) {
		if math.Float32bits(y) != math.Float32bits(x[i]) {
			t.Fatalf("element %d is %x, want %x", i, math.Float32bits(y), math.Float32bits(x[i]))
		}
	}
}

// Partial loads what both have; a prefix is a matter of Rename.
func TestPartialAndRename(t *testing.T) {
	m := NewSequential(&Linear{}, &Linear{})
	file := fileOf("F32", "module.0.weight", []int{1, 2}, "module.extra", []int{1})
	out, err := loadBytes(file, m, LoadOptions{Partial: true, Rename: func(name string) string { return "module." + name }})
	if err != nil || !slices.Equal(out.Missing, []string{"module.1.weight"}) || !slices.Equal(out.Unexpected, []string{"module.extra"}) {
		t.Errorf("%+v, %v", out, err)
	}
	if m.Child("0").(*Linear).Weight == nil || m.Child("1").(*Linear).Weight != nil {
		t.Error("it loaded something else")
	}
	m = NewSequential(&DataParallel{&Linear{}})
	if _, err := loadBytes(fileOf("F32", "0.module.weight", []int{1, 2}), m, LoadOptions{}); err != nil {
		t.Errorf("the wrapper's name: %v", err)
	}
}

// A tensor in two places stays one, whichever of its names the file has, if it has one value.
func TestTied(t *testing.T) {
	s := newSource(4)
	s.dtype = tensor.Float32
	shared := &Linear{}
	for _, names := range [][]any{{"0.weight", []int{2, 2}}, {"1.weight", []int{2, 2}}} {
		w := s.dense(2, 2)
		m := NewSequential(&Linear{Weight: w}, &Linear{Weight: w})
		if _, err := loadBytes(fileOf("F32", names...), m, LoadOptions{}); err != nil {
			t.Error(err)
		}
		if a, b := m.Child("0").(*Linear).Weight, m.Child("1").(*Linear).Weight; a != b || a == w {
			t.Error("the tensor is two now, or the old one")
		}
	}
	for _, m := range []Module{NewSequential(shared, shared)} {
		_, err := loadBytes(fileOf("F32", "0.weight", []int{2, 2}, "1.weight", []int{2, 2}), m, LoadOptions{})
		if err == nil || !strings.Contains(err.Error(), `one tensor with "0.weight"`) {
			t.Errorf("two values for one tensor: %v", err)
		}
		if _, err := loadBytes(fileOf("F32", "0.weight", []int{2, 2}), m, LoadOptions{}); err != nil {
			t.Error(err)
		}
	}
	saved := tensorBytes(t, mustSave(t, NewSequential(shared, shared)))
	if len(saved) != 2 || saved["0.weight"] != saved["1.weight"] {
		t.Errorf("%d tensors were saved", len(saved))
	}
	mustLoad(t, mustSave(t, NewSequential(shared, shared)), NewSequential(shared, shared), LoadOptions{})
}

// An index leads to its shards; what does not lie where it says is an error.
func TestLoadShards(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("a.safetensors", fileOf("F32", "weight", []int{2, 3}))
	write("b.safetensors", fileOf("F16", "bias", []int{2}))
	m := &Linear{}
	mustLoad(t, write("m.safetensors.index.json", []byte(`{"weight_map":{"weight":"a.safetensors","bias":"b.safetensors"}}`)), m, LoadOptions{})
	if m.Bias == nil || !m.Weight.Shape().Eq(tensor.Shape{2, 3}) {
		t.Error("not all was loaded")
	}
	for index, want := range map[string]string{
		`{"weight_map":{"weight":"b.safetensors"}}`:                                        `places tensor "bias" in ""`,
		`{"weight_map":{"weight":"a.safetensors","bias":"a.safetensors"}}`:                 `"bias" is not in shard`,
		`{"weight_map":{"weight":"a.safetensors","bias":"c.safetensors"}}`:                 "shard c.safetensors: no such file",
		`{"weight_map":{"weight":"../` + filepath.Base(dir) + `/a.safetensors","bias":1}}`: "beside the index",
		`{`: "JSON",
	} {
		if _, err := LoadFile(write("bad.safetensors.index.json", []byte(index)), &Linear{}, LoadOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", index, err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "none.safetensors")} {
		if _, err := LoadFile(path, &Linear{}, LoadOptions{}); err == nil || !strings.HasPrefix(err.Error(), "nn: "+path+": ") {
			t.Errorf("%v", err)
		}
	}
}

// A field whose tag is "-" holds nothing of the state, and is a use of its module even so.
func TestHiddenField(t *testing.T) {
	s := newSource(5)
	conv := s.conv2d(2, 2, 1)
	m := &struct {
		Sequential
		Also *Conv2d `nn:"-"`
	}{Also: conv}
	m.Children = NewSequential(conv, s.norm2d(2)).Children
	if got := slotsOf(m); len(got) == 0 || !got[len(got)-1].hidden {
		t.Errorf("%+v", got)
	}
}
