package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bnfuse/bnfuse/fuse"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), -update accepts it:\n%s", path, diff)
	}
}

func norm(index int, kind, name string) fuse.NormInfo {
	n := fuse.NormInfo{Index: index, Kind: kind, Name: name, Channels: 2}
	if kind == "BatchNormalization" {
		n.Eps = float64(float32(1e-5))
	}
	return n
}

// plan has steps and skips that interleave, a norm that goes into two layers, and names as hostile files have them.
func plan() *fuse.Plan {
	scale := fuse.Affine{Scale: []float64{2, -0.5}, Shift: []float64{0, 1}}
	nan := norm(7, "BatchNormalization", "nan\x1b[2J")
	nan.Eps = math.NaN()
	two := norm(5, "BatchNormalization", "bn5")
	return &fuse.Plan{
		Steps: []fuse.Step{
			{Norm: norm(1, "BatchNormalization", "bn1"), Layer: fuse.LayerInfo{Name: "conv0", Kind: "Conv"}, Affine: scale},
			{Norm: norm(2, "Mul", "mul2"), Layer: fuse.LayerInfo{Name: "conv0", Kind: "Conv"}, Affine: scale},
			{Norm: two, Layer: fuse.LayerInfo{Name: "a->b", Kind: "Gemm"}, Direction: fuse.Before, Affine: scale},
			{Norm: two, Layer: fuse.LayerInfo{Name: "fc2", Kind: "Gemm"}, Direction: fuse.Before, Affine: scale},
		},
		Skips: []fuse.Skip{
			{Norm: norm(0, "BatchNormalization", "bn0"), Reason: fuse.ReasonNoLayer, Detail: `it reads "x"`},
			{Norm: norm(4, "Add", "add4"), Layer: fuse.LayerInfo{Name: "conv3", Kind: "Conv"}, Reason: fuse.ReasonBroadcast},
			{Norm: nan, Reason: fuse.ReasonNotFinite, Detail: "epsilon is NaN"},
		},
	}
}

func TestJSON(t *testing.T) {
	m := New(plan())
	m.Input, m.Output, m.Engine, m.Format, m.Seconds, m.BytesIn, m.BytesOut = "in.onnx", "out.onnx", "cpu", "onnx", 0.25, 100, 90
	var b bytes.Buffer
	if err := m.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.json", b.Bytes())
	var back Model
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, &back, sameNumbers); diff != "" {
		t.Errorf("read back (-wrote +read):\n%s", diff)
	}
}

func TestEmptyPlan(t *testing.T) {
	var b bytes.Buffer
	if err := New(&fuse.Plan{}).WriteJSON(&b); err != nil || !strings.Contains(b.String(), `"norms": []`) {
		t.Errorf("%v: %s", err, &b)
	}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	m := New(plan())
	for _, width := range []int{0, 100, 80} {
		fmt.Fprintf(&b, "-- width %d --\n", width)
		if err := m.WriteTable(&b, width); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprintln(&b, "-- summary --")
	fmt.Fprintln(&b, m.Summary())
	m.WriteFolded(&b)
	m.WriteKept(&b, false)
	golden(t, "plan.txt", b.Bytes())
}

func TestWrapName(t *testing.T) {
	for name, want := range map[string]string{
		"/layer1/layer1.0/bn1/BatchNorm": "/layer1/\nlayer1.0/\nbn1/\nBatchNorm",
		"/a/b/c":                         "/a/b/c",
		"/a/a_very_long_name/b":          "/a/\na_very_lon\ng_name/\nb",
		"":                               "",
		"模型模型模型/b":                       "模型模型模\n型/\nb",
	} {
		if got := wrapName(name, 10); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestSummary(t *testing.T) {
	model := func(output string, norms ...Norm) *Model {
		m := &Model{Output: output, Norms: norms}
		for _, n := range norms {
			if n.Status == Folded {
				m.Folded++
			}
		}
		return m
	}
	folded, stays := Norm{Kind: "BatchNormalization", Status: Folded}, Norm{Kind: "BatchNormalization", Status: Kept}
	mul, add := Norm{Kind: "Mul", Status: Folded}, Norm{Kind: "Add", Status: Kept}
	for want, m := range map[string]*Model{
		"2 of 2 batch norms folded":                                        model("out", folded, folded),
		"1 of 2 batch norms can be folded":                                 model("", folded, stays),
		"1 of 1 batch norms folded and 2 per-channel Mul, Add, Sub or Div": model("out", folded, mul, mul, add),
		"1 per-channel Mul, Add, Sub or Div folded":                        model("out", mul, add),
		"0 of 1 batch norms folded, copied as it is":                       model("out", stays),
		"no batch norms found, copied as it is":                            model("out", add),
		"no batch norms found":                                             model(""),
		"no batch norms found (they are gone), copied as it is":            {Output: "out", Note: "they are gone"},
		"0 of 1 batch norms folded and 1 per-channel Mul, Add, Sub or Div": model("out", stays, mul),
	} {
		if got := m.Summary(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestManyWithOneReason: sixty norms that stay for one reason do not hide the one that stays for another.
func TestManyWithOneReason(t *testing.T) {
	p := &fuse.Plan{}
	for i := range 60 {
		p.Skips = append(p.Skips, fuse.Skip{Norm: norm(i, "BatchNormalization", fmt.Sprint("bn", i)), Reason: fuse.ReasonNoLayer, Detail: fmt.Sprintf("it reads %q", fmt.Sprint("x", i))})
	}
	p.Skips = append(p.Skips, fuse.Skip{Norm: norm(60, "BatchNormalization", "last"), Reason: fuse.ReasonTraining})
	var short, all bytes.Buffer
	New(p).WriteKept(&short, false)
	New(p).WriteKept(&all, true)
	want := `  kept bn0: no layer beside it: it reads "x0"
  kept bn1: no layer beside it: it reads "x1"
  kept bn2: no layer beside it: it reads "x2"
  kept 57 more: no layer beside it (-v lists them)
  kept last: norm is in training mode
`
	if diff := cmp.Diff(want, short.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := strings.Count(all.String(), "\n"); n != 61 {
		t.Errorf("all of 61 are %d lines", n)
	}
}

// TestManyWithOneReasonToTheLetter: what is the same for all norms of a model is said once.
func TestManyWithOneReasonToTheLetter(t *testing.T) {
	p := &fuse.Plan{}
	for i := range 5 {
		p.Skips = append(p.Skips, fuse.Skip{Norm: norm(i, "BatchNorm", fmt.Sprint("bn", i)), Reason: "unknown", Detail: "pass --graph"})
	}
	var short, all bytes.Buffer
	New(p).WriteKept(&short, false)
	New(p).WriteKept(&all, true)
	if want := "  kept bn0 and 4 more, each: unknown: pass --graph (-v lists them)\n"; short.String() != want {
		t.Errorf("got %q, want %q", &short, want)
	}
	if n := strings.Count(all.String(), "kept bn"); n != 5 {
		t.Errorf("all of 5 are %d: %s", n, &all)
	}
}
