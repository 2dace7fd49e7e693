package onnx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/internal/atomicfile"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

// TestRealModels folds every export in testdata and compares the plan with testdata/expect.json.
func TestRealModels(t *testing.T) {
	var expect map[string]struct{ Folded, Kept int }
	if err := json.Unmarshal(readFile(t, "../testdata/expect.json"), &expect); err != nil {
		t.Fatal(err)
	}
	engine := host.New()
	for name, want := range expect {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), name+".onnx")
			res, err := onnx.FuseFile(context.Background(), filepath.Join("../testdata", name+".onnx"), out, onnx.Options{Engine: engine})
			if err != nil {
				t.Fatal(err)
			}
			folded, kept := 0, 0
			for _, s := range res.Plan.Steps {
				if s.Norm.Kind == "BatchNormalization" {
					folded++
				}
			}
			for _, s := range res.Plan.Skips {
				if s.Norm.Kind == "BatchNormalization" {
					kept++
					if s.Reason == "" || s.Detail == "" {
						t.Errorf("%s is kept without a reason", s.Norm.Name)
					}
				}
			}
			if folded != want.Folded || kept != want.Kept {
				t.Errorf("%d norms folded and %d kept, want %d and %d", folded, kept, want.Folded, want.Kept)
			}
			if st, err := os.Stat(out); err != nil || folded+kept > 0 && st.Size() == 0 {
				t.Errorf("output %v, error %v", st, err)
			}
		})
	}
}

// narrow is the host engine with other slabs: the bytes must not depend on how work is cut.
type narrow struct {
	fuse.Engine
	n, nBytes int
}

func (e narrow) Slabs() (n, nBytes int) { return e.n, e.nBytes }

// TestSameBytes fuses real models with few and many processors, small and large slabs.
func TestSameBytes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, name := range []string{"mobilenet_v2", "half_float_norms", "generator", "external_data"} {
		var want []byte
		for _, c := range []struct{ procs, slabs, nBytes int }{{1, 1, 1 << 20}, {4, 4, 1 << 20}, {2, 3, 4096}, {2, 8, 64}} {
			runtime.GOMAXPROCS(c.procs)
			out := filepath.Join(t.TempDir(), "out.onnx")
			_, err := onnx.FuseFile(context.Background(), "../testdata/"+name+".onnx", out, onnx.Options{Engine: narrow{host.New(), c.slabs, c.nBytes}})
			if err != nil {
				t.Fatal(err)
			}
			got := readFile(t, out)
			if data, err := os.ReadFile(out + ".data"); err == nil {
				got = append(got, data...)
			}
			if want == nil {
				want = got
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s: %+v gives other bytes than %d slab of %d", name, c, 1, 1<<20)
			}
		}
	}
}

// TestOutputFile wants an existing output left alone, an input usable as the output, permissions taken
// over, and nothing left behind by an error.
func TestOutputFile(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.onnx"), filepath.Join(dir, "out.onnx")
	model := readFile(t, "../testdata/qsparse_net.onnx")
	if err := os.WriteFile(in, model, 0o640); err != nil {
		t.Fatal(err)
	}
	fuseTo := func(out string, force bool) error {
		_, err := onnx.FuseFile(context.Background(), in, out, onnx.Options{Engine: host.New(), Force: force})
		return err
	}
	if err := os.WriteFile(out, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := fuseTo(out, false); !errors.Is(err, atomicfile.ErrExists) {
		t.Errorf("an existing output: %v", err)
	}
	if got := readFile(t, out); string(got) != "precious" {
		t.Error("an existing output was changed")
	}
	if err := fuseTo(out, true); err != nil {
		t.Fatal(err)
	}
	fused := readFile(t, out)
	if st, err := os.Stat(out); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("output has mode %v, error %v", st.Mode(), err)
	}
	if err := fuseTo(in, true); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readFile(t, in), fused) {
		t.Error("fusing in place gives other bytes")
	}
	if err := fuseTo(filepath.Join(dir, "missing", "out.onnx"), false); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a missing folder: %v", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := onnx.FuseFile(cancelled, "../testdata/resnet.onnx", filepath.Join(dir, "never.onnx"), onnx.Options{Engine: host.New()}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 {
		t.Errorf("left in the folder: %v (%v)", names, err)
	}
}

// TestNothingToFold copies a model byte for byte, with its external data under their own names.
func TestNothingToFold(t *testing.T) {
	dir := t.TempDir()
	once, twice := filepath.Join(dir, "once.onnx"), filepath.Join(dir, "sub", "twice.onnx")
	if err := os.Mkdir(filepath.Dir(twice), 0o777); err != nil {
		t.Fatal(err)
	}
	o := onnx.Options{Engine: host.New()}
	if _, err := onnx.FuseFile(context.Background(), "../testdata/external_data.onnx", once, o); err != nil {
		t.Fatal(err)
	}
	res, err := onnx.FuseFile(context.Background(), once, twice, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Plan.Steps) > 0 {
		t.Errorf("%d folds in a fused model", len(res.Plan.Steps))
	}
	if !bytes.Equal(readFile(t, once), readFile(t, twice)) {
		t.Error("the copy differs")
	}
	if !bytes.Equal(readFile(t, once+".data"), readFile(t, filepath.Join(dir, "sub", "once.onnx.data"))) {
		t.Error("the external data differ")
	}
}

// TestOver2GiB refuses to write a model that protobuf readers could not read back. The weights are a
// hole in a file, so nothing large is stored.
func TestOver2GiB(t *testing.T) {
	const hole = 1<<31 + 1<<20
	m := &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 13}}, Graph: &onnxtest.Graph{Name: "g",
		Nodes: []onnxtest.Node{
			{Op: "Conv", Name: "conv", In: []string{"x", "w"}, Out: []string{"c"}},
			{Op: "Mul", Name: "scale", In: []string{"c", "k"}, Out: []string{"y"}}},
		Init:    []onnxtest.Tensor{onnxtest.NewTensor("w", onnxtest.Float32, []int64{1, 1, 1}, 1), onnxtest.NewTensor("k", onnxtest.Float32, nil, 2)},
		Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 1, 8)},
		Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, 1, 8)}}}
	in := filepath.Join(t.TempDir(), "in.onnx")
	model := m.Bytes()
	// An unknown field of the model, as long as the hole.
	head := []byte{0xfa, 0xff, 0x03, 0x80, 0x80, 0xc0, 0x80, 0x08} // field 8191, length hole
	f, err := os.Create(in)
	if err == nil {
		_, err = f.Write(append(model, head...))
	}
	if err == nil {
		err = errors.Join(f.Truncate(int64(len(model)+len(head))+hole), f.Close())
	}
	if err != nil {
		t.Skipf("no room for a sparse file: %v", err)
	}
	out := filepath.Join(t.TempDir(), "out.onnx")
	_, err = onnx.FuseFile(context.Background(), in, out, onnx.Options{Engine: host.New()})
	if err == nil || !strings.Contains(err.Error(), "external data") {
		t.Errorf("got error %v, want one that says external data are needed", err)
	}
	if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an output was left: %v", err)
	}
}

// copyTo copies files into a folder of their own.
func copyTo(t *testing.T, dir string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), readFile(t, path), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// In place, the data that the model reads are not replaced: whoever stops between the files leaves a whole model,
// and another model may read them. The output reads a file beside them.
func TestInPlaceWithExternalData(t *testing.T) {
	dir := t.TempDir()
	copyTo(t, dir, "../testdata/external_data.onnx", "../testdata/external_data.onnx.data")
	in := filepath.Join(dir, "external_data.onnx")
	data := readFile(t, in+".data")
	res, err := onnx.FuseFile(context.Background(), in, in, onnx.Options{Engine: host.New(), Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readFile(t, in+".data"), data) {
		t.Error("the model's data were replaced")
	}
	if len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], "stays") || res.Wrote[0] != in+".2.data" {
		t.Errorf("warnings %q, wrote %q", res.Warnings, res.Wrote)
	}
	if err := os.Remove(in + ".data"); err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(dir, "again.onnx")
	if res, err = onnx.FuseFile(context.Background(), in, beside, onnx.Options{Engine: host.New()}); err != nil || len(res.Plan.Steps) > 0 {
		t.Errorf("the output cannot be read without the old data, or is not folded: %v", err)
	}
}

// Force replaces the output and its data. Another file in the way of a copy's external data stays.
func TestForceSparesOthers(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	o := onnx.Options{Engine: host.New(), Force: true}
	once := filepath.Join(from, "once.onnx")
	if _, err := onnx.FuseFile(context.Background(), "../testdata/external_data.onnx", once, o); err != nil {
		t.Fatal(err)
	}
	out, data := filepath.Join(to, "out.onnx"), filepath.Join(to, "once.onnx.data")
	if err := os.WriteFile(data, []byte("another's"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := onnx.FuseFile(context.Background(), once, out, o); err == nil || !strings.Contains(err.Error(), data) {
		t.Errorf("another file in the way: %v", err)
	}
	if got := readFile(t, data); string(got) != "another's" {
		t.Error("another model's data were replaced")
	}
	if err := os.Remove(data); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time the same bytes are there already
		if _, err := onnx.FuseFile(context.Background(), once, out, o); err != nil {
			t.Error(err)
		}
	}
	names, err := os.ReadDir(to)
	if err != nil || len(names) != 2 {
		t.Errorf("in the folder: %v (%v)", names, err)
	}
}

// Where only the norm's parameters lie outside, no external data are left: there is nothing to write, and in place the
// old file stays.
func TestInPlaceWithoutDataLeft(t *testing.T) {
	param := func(i int, name string) onnxtest.Tensor {
		return onnxtest.NewTensor(name, onnxtest.Float32, []int64{1}, 2).InFile("m.onnx.data", int64(64*i))
	}
	m := &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 15}}, Graph: &onnxtest.Graph{
		Name:    "outside",
		Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 1, 1, 1)},
		Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, 1, 1, 1)},
		Init: []onnxtest.Tensor{onnxtest.NewTensor("w", onnxtest.Float32, []int64{1, 1, 1, 1}, 3),
			param(0, "gamma"), param(1, "beta"), param(2, "mean"), param(3, "var")},
		Nodes: []onnxtest.Node{
			{Op: "Conv", Name: "conv", In: []string{"x", "w"}, Out: []string{"c"}},
			{Op: "BatchNormalization", Name: "bn", In: []string{"c", "gamma", "beta", "mean", "var"}, Out: []string{"y"}},
		},
	}}
	dir := t.TempDir()
	in, data := filepath.Join(dir, "m.onnx"), filepath.Join(dir, "m.onnx.data")
	for path, text := range map[string][]byte{in: m.Bytes(), data: m.Files()["m.onnx.data"]} {
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	res, err := onnx.FuseFile(context.Background(), in, in, onnx.Options{Engine: host.New(), Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Plan.Steps) != 1 || len(res.Wrote) != 1 || len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], data+" stays") {
		t.Errorf("%d steps, wrote %q, warnings %q", len(res.Plan.Steps), res.Wrote, res.Warnings)
	}
}

// An output whose data would take the place of the input's has others; the input is as it was, and that is no warning.
func TestDataNameOfTheInput(t *testing.T) {
	dir := t.TempDir()
	copyTo(t, dir, "../testdata/external_data.onnx", "../testdata/external_data.onnx.data")
	in := filepath.Join(dir, "in.onnx")
	if err := os.Rename(filepath.Join(dir, "external_data.onnx"), in); err != nil {
		t.Fatal(err)
	}
	data := readFile(t, filepath.Join(dir, "external_data.onnx.data"))
	out := filepath.Join(dir, "external_data.onnx")
	res, err := onnx.FuseFile(context.Background(), in, out, onnx.Options{Engine: host.New(), Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readFile(t, out+".data"), data) || res.Wrote[0] != out+".2.data" || len(res.Warnings) != 0 {
		t.Errorf("wrote %q, warnings %q", res.Wrote, res.Warnings)
	}
}

// TestExternalLengthZero: a length of 0 means to the end of the file, as an absent one does.
func TestExternalLengthZero(t *testing.T) {
	vector := func(name string) onnxtest.Tensor {
		return onnxtest.NewTensor(name, onnxtest.Float32, []int64{2}, 1, 2)
	}
	w := onnxtest.NewTensor("w", onnxtest.Float32, []int64{2, 2, 1, 1}, 1, 2, 3, 4)
	m := &onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 14}}, Graph: &onnxtest.Graph{
		Name:    "g",
		Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 2, 4, 4)},
		Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, 2, 4, 4)},
		Nodes: []onnxtest.Node{
			{Op: "Conv", In: []string{"x", "w"}, Out: []string{"a"}},
			{Op: "BatchNormalization", In: []string{"a", "g", "b", "m", "v"}, Out: []string{"y"}},
		},
	}}
	dir := t.TempDir()
	data := w.RawBytes()
	w.Encoding, w.External = onnxtest.InFile, onnxtest.External{Entries: []onnxtest.Entry{{Key: "location", Value: "w.bin"}, {Key: "length", Value: "0"}}}
	m.Graph.Init = []onnxtest.Tensor{w, vector("g"), vector("b"), vector("m"), vector("v")}
	in := filepath.Join(dir, "in.onnx")
	if err := errors.Join(os.WriteFile(in, m.Bytes(), 0o666), os.WriteFile(filepath.Join(dir, "w.bin"), data, 0o666)); err != nil {
		t.Fatal(err)
	}
	res, err := onnx.FuseFile(context.Background(), in, filepath.Join(dir, "out.onnx"), onnx.Options{Engine: host.New()})
	if err != nil || len(res.Plan.Steps) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}
