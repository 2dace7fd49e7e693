package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

const testdata = "../testdata"

// expectation is a model's entry in expect.json.
type expectation struct {
	Folded, Kept int            // BatchNormalization nodes
	Left         map[string]int // op type → nodes of it after the fold
	Tolerance    float64
	Inputs       map[string][]int64
}

func readExpectations(t *testing.T, dir string) map[string]expectation {
	t.Helper()
	var expect map[string]expectation
	if err := json.Unmarshal(readFile(t, filepath.Join(dir, "expect.json")), &expect); err != nil {
		t.Fatal(err)
	}
	return expect
}

// eachModel runs test for every model of testdata, in parallel.
func eachModel(t *testing.T, test func(t *testing.T, model string, want expectation)) {
	expect := readExpectations(t, testdata)
	files, err := filepath.Glob(filepath.Join(testdata, "*.onnx"))
	if err != nil || len(files) != len(expect) {
		t.Fatalf("%d models in %s, %d in its expect.json (%v)", len(files), testdata, len(expect), err)
	}
	for _, model := range files {
		name := stem(model)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, ok := expect[name]
			if !ok {
				t.Fatalf("%s is not in expect.json", model)
			}
			test(t, model, want)
		})
	}
}

func stem(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

func parseModel(t *testing.T, path string) *onnxtest.Model {
	t.Helper()
	m, err := onnxtest.Parse(readFile(t, path))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return m
}

// countOps counts the nodes of each op type, those of subgraphs and functions too.
func countOps(m *onnxtest.Model) map[string]int {
	ops := map[string]int{}
	m.EachNode(func(n *onnxtest.Node) { ops[n.Op]++ })
	return ops
}

// TestTestdata folds every model: the norms that must go are gone, the others are there and in the
// report, and the model computes what it did.
func TestTestdata(t *testing.T) {
	eachModel(t, func(t *testing.T, model string, want expectation) {
		out := filepath.Join(t.TempDir(), "out.onnx")
		r := fuse(t, model, out)
		before, after := parseModel(t, model), parseModel(t, out)
		ops := countOps(after)
		if n := countOps(before)["BatchNormalization"]; n != want.Folded+want.Kept {
			t.Errorf("expect.json knows %d norms, the model has %d", want.Folded+want.Kept, n)
		}
		if n := ops["BatchNormalization"]; n != want.Kept {
			t.Errorf("%d BatchNormalization nodes are left, want %d\n%s", n, want.Kept, reasons(r))
		}
		for op, n := range want.Left {
			if ops[op] != n {
				t.Errorf("%d %s nodes are left, want %d\n%s", ops[op], op, n, reasons(r))
			}
		}
		if folded, kept := countNorms(r); folded != want.Folded || kept != want.Kept {
			t.Errorf("the report has %d folded and %d kept, want %d and %d\n%s", folded, kept, want.Folded, want.Kept, reasons(r))
		}
		if err := onnxtest.Sound(before, after); err != nil {
			t.Error(err)
		}
		equivalent(t, model, out, normal(want.Inputs), want.Tolerance)
	})
}

// countNorms counts the report's BatchNormalization nodes; norms written out as arithmetic are there too.
func countNorms(r report) (folded, kept int) {
	for _, n := range r.Norms {
		switch {
		case n.Kind != "BatchNormalization":
		case n.Status == "folded":
			folded++
		default:
			kept++
		}
	}
	return folded, kept
}

func reasons(r report) string {
	var b strings.Builder
	for _, n := range r.Norms {
		if n.Status != "folded" {
			b.WriteString("\t" + n.Name + ": " + n.Reason + "\n")
		}
	}
	return b.String()
}

// TestFuseTwice folds a folded model again: there must be nothing left to do, so it is copied byte for byte.
func TestFuseTwice(t *testing.T) {
	eachModel(t, func(t *testing.T, model string, _ expectation) {
		once, twice := t.TempDir(), t.TempDir()
		fuse(t, model, filepath.Join(once, "out.onnx"))
		if r := fuse(t, filepath.Join(once, "out.onnx"), filepath.Join(twice, "out.onnx")); r.Folded != 0 {
			t.Errorf("the second run folded %d norms", r.Folded)
		}
		sameTree(t, twice, readTree(t, once))
	})
}

// TestNothingToFold copies models whose norms must all stay, byte for byte.
func TestNothingToFold(t *testing.T) {
	for _, name := range []string{"overridable", "training"} {
		out := filepath.Join(t.TempDir(), "out.onnx")
		model := filepath.Join(testdata, name+".onnx")
		fuse(t, model, out)
		if !bytes.Equal(readFile(t, model), readFile(t, out)) {
			t.Errorf("%s: the output is not a copy of the input", name)
		}
	}
}

// TestSameBytes folds with different numbers of threads.
func TestSameBytes(t *testing.T) {
	eachModel(t, func(t *testing.T, model string, _ expectation) {
		one, two := t.TempDir(), t.TempDir()
		fuseWith(t, []string{"GOMAXPROCS=1"}, model, filepath.Join(one, "out.onnx"))
		fuseWith(t, []string{"GOMAXPROCS=2"}, model, filepath.Join(two, "out.onnx"))
		sameTree(t, two, readTree(t, one))
	})
}

// TestInPlace writes over the input, which needs --force, and gives the same bytes as writing beside it.
func TestInPlace(t *testing.T) {
	eachModel(t, func(t *testing.T, model string, _ expectation) {
		beside, place := t.TempDir(), t.TempDir()
		fuse(t, model, filepath.Join(beside, "model.onnx"))
		copyModel(t, model, filepath.Join(place, "model.onnx"))
		fuse(t, filepath.Join(place, "model.onnx"), filepath.Join(place, "model.onnx"), "--force")
		if !bytes.Equal(readFile(t, filepath.Join(beside, "model.onnx")), readFile(t, filepath.Join(place, "model.onnx"))) {
			t.Errorf("%s folded in place differs from %s folded beside it", model, model)
		}
	})
}

// copyModel copies a model and its external files.
func copyModel(t *testing.T, model, to string) {
	t.Helper()
	writeFile(t, to, readFile(t, model))
	for _, location := range externalFiles(t, model) {
		writeFile(t, filepath.Join(filepath.Dir(to), location), readFile(t, filepath.Join(filepath.Dir(model), location)))
	}
}

// externalFiles lists the files beside the model that its tensors are in.
func externalFiles(t *testing.T, model string) []string {
	t.Helper()
	var locations []string
	parseModel(t, model).EachTensor(func(tensor *onnxtest.Tensor) {
		if tensor.Encoding == onnxtest.InFile && !slices.Contains(locations, tensor.External.Location) {
			locations = append(locations, tensor.External.Location)
		}
	})
	return locations
}

// TestZoo does what TestTestdata does for the real models in BNFUSE_ZOO.
func TestZoo(t *testing.T) {
	dir := os.Getenv("BNFUSE_ZOO")
	if dir == "" {
		t.Skip("BNFUSE_ZOO names no folder of models")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no models in BNFUSE_ZOO=%s (%v)", dir, err)
	}
	expect := map[string]expectation{}
	if _, err := os.Stat(filepath.Join(dir, "expect.json")); err == nil {
		expect = readExpectations(t, dir)
	}
	for _, model := range files {
		t.Run(stem(model), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.onnx")
			r := fuse(t, model, out)
			before, after := countOps(parseModel(t, model))["BatchNormalization"], countOps(parseModel(t, out))["BatchNormalization"]
			t.Logf("%d of %d batch norms are left\n%s", after, before, reasons(r))
			want, known := expect[stem(model)]
			if known && after != want.Kept {
				t.Errorf("%d BatchNormalization nodes are left, want %d", after, want.Kept)
			}
			if want.Tolerance == 0 {
				want.Tolerance = 1e-4
			}
			equivalent(t, model, out, normal(want.Inputs), want.Tolerance)
		})
	}
}
