package report

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sameNumbers compares NaN with NaN.
var sameNumbers = cmp.Comparer(func(x, y Number) bool { return x == y || x != x && y != y })

// zoo has a model of every outcome, in no order.
func zoo() *Zoo {
	fused := New(plan())
	fused.Input, fused.Output, fused.Engine, fused.Format = "b/net.onnx", "b/net.onnx", "cpu", "onnx"
	fused.BytesIn, fused.BytesOut, fused.Seconds = 100, 90, 0.25
	fused.Warnings = []string{"3 weights of conv0 vanish"}
	return &Zoo{
		Input: "in", Output: "out", Engine: "cpu", Version: "v1.2.3",
		Models: []*Model{
			fused,
			{Input: "c.pt", Format: "pytorch", BytesIn: 7, Status: ModelFailed, Error: `c.pt: the file is <cut> "short"`},
			{Input: "a.onnx", Output: "a.onnx", Engine: "cpu", Format: "onnx", BytesIn: 10, BytesOut: 10, Status: ModelCopied, Resumed: true},
		},
		Totals: Totals{Files: 2, Seconds: 1.5},
	}
}

func TestSum(t *testing.T) {
	z := zoo()
	for range 2 { // a second time changes nothing
		z.Sum()
		want := Totals{Models: 3, Fused: 1, Copied: 1, Failed: 1, Resumed: 1, Folded: 3, Kept: 3, Warnings: 1, Files: 2,
			BytesIn: 117, BytesOut: 100, Seconds: 1.5}
		if diff := cmp.Diff(want, z.Totals); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if z.Models[0].Input != "a.onnx" || z.Models[2].Input != "c.pt" {
		t.Error("the models are not sorted")
	}
	if z.Models[1].Status != ModelFused {
		t.Errorf("the status of %s is %q", z.Models[1].Input, z.Models[1].Status)
	}
}

// TestZooTable: a row a model, and the reason that keeps most of its norms.
func TestZooTable(t *testing.T) {
	z := zoo()
	long := New(plan())
	long.Input, long.Format = "d/\x1b[2J.onnx", "onnx"
	for range 3 {
		long.Norms = append(long.Norms, Norm{Status: Kept, Reason: "norm is in training mode: and that is so"})
	}
	long.Kept += 3
	z.Models = append(z.Models, long)
	z.Sum()
	var b bytes.Buffer
	for _, width := range []int{0, 70} {
		fmt.Fprintf(&b, "-- width %d --\n", width)
		if err := z.WriteTable(&b, width); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprintln(&b, z.Summary())
	z.Output = ""
	if err := z.WriteTable(&b, 0); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&b, z.Summary())
	golden(t, "zoo.txt", b.Bytes())
}

func TestZooJSON(t *testing.T) {
	z := zoo()
	z.Shard = "2/8"
	z.Sum()
	var b bytes.Buffer
	if err := z.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "zoo.json", b.Bytes())
	if diff := cmp.Diff(z, readBack(t, b.Bytes()), sameNumbers); diff != "" {
		t.Errorf("read back (-wrote +read):\n%s", diff)
	}
	var empty bytes.Buffer
	if err := new(Zoo).WriteJSON(&empty); err != nil || !strings.Contains(empty.String(), "\"models\": [\n]") {
		t.Errorf("%v: %s", err, &empty)
	}
	z.Models[0].Seconds = math.Inf(1)
	if err := z.WriteJSON(&b); err == nil {
		t.Error("an infinite time was written")
	}
}

func readBack(t *testing.T, text []byte) *Zoo {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	z, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestReadModel: the report on one model becomes a zoo of one.
func TestReadModel(t *testing.T) {
	m := New(plan())
	m.Input, m.Output, m.Engine, m.Format, m.Seconds, m.BytesIn, m.BytesOut = "in.onnx", "out.onnx", "cpu", "onnx", 0.25, 100, 90
	var b bytes.Buffer
	if err := m.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	got := readBack(t, b.Bytes())
	want := &Zoo{Engine: "cpu", Models: []*Model{m}, Totals: Totals{Seconds: 0.25}}
	want.Sum()
	if diff := cmp.Diff(want, got, sameNumbers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadErrors(t *testing.T) {
	dir := t.TempDir()
	norm := func(s string) string { return `{"models": [{"input": "a", "folded": 1, "norms": [` + s + `]}]}` }
	for name, c := range map[string]struct{ text, want string }{
		"empty":     {" \n", "empty"},
		"page":      {"<!doctype html>", "must be JSON"},
		"text":      {"hello", "not a report as JSON"},
		"cut":       {`{"models": [`, "not a report as JSON"},
		"two":       {`{"models": []} {"models": []}`, "not a report as JSON"},
		"list":      {"[]", "not a report as JSON"},
		"braces":    {`{"models": [` + strings.Repeat("{},", 99) + "{}]}", "all braces"},
		"other":     {`{"devices": []}`, `neither "models"`},
		"types":     {`{"models": 3}`, "not a report as JSON"},
		"null":      {`{"models": [null]}`, "model 0: it is null"},
		"status":    {`{"models": [{"input": "a"}, {"input": "b", "status": "lost"}]}`, `model 1: "b": status "lost"`},
		"norm":      {norm(`{"name": "n", "status": "gone"}`), `norm "n": status "gone"`},
		"count":     {norm(`{"status": "kept"}`), "0 norms are folded and 1 kept, but it says 1 and 0"},
		"histogram": {norm(`{"name": "n", "status": "folded", "scales": {"first": 0, "counts": [-1]}}`), "no histogram"},
		"negative":  {`{"models": [{"input": "a", "bytes_in": -1}]}`, "negative"},
	} {
		path := filepath.Join(dir, name+".json")
		if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		z, err := ReadFile(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "report: "+path+": ") {
			t.Errorf("%s: %v and error %v, want one that names the file and has %q", name, z, err, c.want)
		}
	}
	if _, err := ReadFile(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	missing := filepath.Join(dir, "missing.json")
	if _, err := ReadFile(missing); err == nil || err.Error() != "report: "+missing+": no such file or directory" {
		t.Errorf("a missing file: %v", err)
	}
	large := filepath.Join(dir, "large.json")
	if err := errors.Join(os.WriteFile(large, nil, 0o666), os.Truncate(large, maxReportBytes+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(large); err == nil || !strings.Contains(err.Error(), "no report is larger") {
		t.Errorf("a large file: %v", err)
	}
}

// TestCause: beside a model's path an error does not name it again.
func TestCause(t *testing.T) {
	for text, want := range map[string]string{
		"onnx: zoo/a.onnx: offset 2: it is cut": "offset 2: it is cut",
		"zoo: zoo/a.onnx: the file is empty":    "the file is empty",
		"the device is lost":                    "the device is lost",
		"onnx: zoo/a.onnx.data: it is cut":      "onnx: zoo/a.onnx.data: it is cut",
	} {
		if got := (&Model{Input: "zoo/a.onnx", Error: text}).cause(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
