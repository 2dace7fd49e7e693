package zoo

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// unfoldable is a folder with a model whose norms nobody knows, and which keeps its tensors in files below it.
func unfoldable(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "external_split"), os.DirFS("../testdata/external_split")); err != nil {
		t.Fatal(err)
	}
	model := bytes.ReplaceAll(readFile(t, "../testdata/external_split.onnx"), []byte("BatchNormalization"), []byte("BatchNormalizatioX"))
	writeFile(t, filepath.Join(dir, "m.onnx"), model)
	return dir
}

// later gives a file of the zoo another time, so that it is done again.
func later(t *testing.T, dir, name string) {
	t.Helper()
	at := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
		t.Fatal(err)
	}
}

// External data that are in OUT already as they are to be stay there, and belong to the model.
func TestDataThatAreThere(t *testing.T) {
	dir, out := unfoldable(t), filepath.Join(t.TempDir(), "out")
	mustRun(t, dir, out, Options{})
	want := contents(t, dir)
	for _, status := range []string{"copied", "copied before"} {
		if status == "copied" {
			later(t, dir, "m.onnx")
		}
		z := mustRun(t, dir, out, Options{})
		if got := outcomes(t, dir, z)["m.onnx"]; got != status {
			t.Errorf("%s, want %s", got, status)
		}
		got := contents(t, out)
		delete(got, journalPrefix)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-zoo +OUT):\n%s", status, diff)
		}
	}
	if err := os.Remove(filepath.Join(out, "external_split/fc.weight.bin")); err != nil {
		t.Fatal(err)
	}
	if got := outcomes(t, dir, mustRun(t, dir, out, Options{}))["m.onnx"]; got != "copied" {
		t.Errorf("without its data the model is %s", got)
	}
}

// External data do not go where a link in OUT leads, and leftovers there stay.
func TestDataBehindLink(t *testing.T) {
	dir, out := unfoldable(t), filepath.Join(t.TempDir(), "out")
	mustRun(t, dir, out, Options{})
	leftover := filepath.Join(dir, "external_split", ".x.1-0.bnfuse-tmp")
	writeFile(t, leftover, []byte("the zoo's own"))
	before := contents(t, dir)
	elsewhere := filepath.Join(out, "external_split")
	if err := errors.Join(os.RemoveAll(elsewhere), os.Symlink(filepath.Join(dir, "external_split"), elsewhere)); err != nil {
		t.Fatal(err)
	}
	later(t, dir, "m.onnx")
	if got := outcomes(t, dir, mustRun(t, dir, out, Options{}))["m.onnx"]; got != "failed" {
		t.Errorf("the model is %s", got)
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Errorf("the zoo was changed:\n%s", diff)
	}
}

// What a killed run left is removed from the folders of external data, too.
func TestLeftoversOfData(t *testing.T) {
	dir, out := unfoldable(t), filepath.Join(t.TempDir(), "out")
	mustRun(t, dir, out, Options{})
	leftover := filepath.Join(out, "external_split", ".fc.weight.bin.1-0.bnfuse-tmp")
	writeFile(t, leftover, []byte("half"))
	later(t, dir, "m.onnx")
	mustRun(t, dir, out, Options{})
	if _, err := os.Lstat(leftover); err == nil {
		t.Error("it is still there")
	}
}

// Of files that many snapshots have, none is looked for before the first is there.
func TestRepeatedFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		repository := filepath.Join(dir, fmt.Sprintf("models--a--%d", i))
		writeFile(t, filepath.Join(repository, "blobs/b"), bytes.Repeat([]byte{byte(i)}, 1<<16))
		for _, snapshot := range []string{"r1", "r2", "r3"} {
			link := filepath.Join(repository, "snapshots", snapshot, "config.json")
			if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o777), os.Symlink("../../blobs/b", link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	z := mustRun(t, dir, filepath.Join(t.TempDir(), "out"), Options{Jobs: 8})
	if z.Totals.Failed > 0 {
		t.Errorf("%d files failed: %s", z.Totals.Failed, z.Models[0].Error)
	}
}

// The same checkpoint under two names is folded by the graph that a rule gives to one of them.
func TestRuleForRepetition(t *testing.T) {
	dir, out := tree(t, `
		a/m.pt = resnet.pt
		b/m.pt -> ../a/m.pt
	`), filepath.Join(t.TempDir(), "out")
	glob, err := ParseGlob("b/**")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Graphs: []GraphRule{{glob, "../testdata/resnet.onnx"}}}
	want := map[string]string{"a/m.pt": "copied", "b/m.pt": "fused"}
	if diff := cmp.Diff(want, outcomes(t, dir, mustRun(t, dir, out, o))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A run that does everything again removes what earlier runs wrote and it does not.
func TestNoResumeTidies(t *testing.T) {
	dir, out := tree(t, "m.pt = resnet.pt\nx: text"), filepath.Join(t.TempDir(), "out")
	mustRun(t, dir, out, Options{Checkpoint: Checkpoint{Graph: "../testdata/resnet.onnx"}})
	if err := os.Remove(filepath.Join(dir, "x")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "x/y"), []byte("text"))
	z := mustRun(t, dir, out, Options{NoResume: true})
	got := contents(t, out)
	if z.Totals.Failed > 0 || got["m.pt.safetensors"] != "" || got["m.pt"] == "" || got["x/y"] == "" {
		t.Errorf("%+v, %d files", z.Totals, len(got))
	}
}

// A file that fails counts as a model, so that no more are done than there are.
func TestFailedFileIsCounted(t *testing.T) {
	dir, out := tree(t, "m.onnx = resnet.onnx\nx: text"), filepath.Join(t.TempDir(), "out")
	writeFile(t, filepath.Join(out, "x/in the way"), nil)
	var last Event
	z := mustRun(t, dir, out, Options{Force: true, Event: func(e Event) {
		if e.Done > e.Models {
			t.Errorf("%d of %d models are done", e.Done, e.Models)
		}
		last = e
	}})
	if z.Totals.Failed != 1 || last.Done != 2 {
		t.Errorf("%+v, the last event %+v", z.Totals, last)
	}
}

// The journal is no link to somewhere else.
func TestJournalIsLink(t *testing.T) {
	dir, out := tree(t, "m.onnx = resnet.onnx"), t.TempDir()
	precious := filepath.Join(dir, "m.onnx")
	before := readFile(t, precious)
	if err := os.Symlink(precious, filepath.Join(out, journalPrefix)); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{}, {NoResume: true, Force: true}} {
		if _, err := runZoo(t, dir, out, o); err == nil {
			t.Error("the journal was written")
		}
	}
	if !bytes.Equal(before, readFile(t, precious)) {
		t.Error("the model was changed")
	}
}

// A model that has many files open waits for room.
func TestFilesInHand(t *testing.T) {
	p := &pipeline{n: 3, allowed: 25, files: func(int) int { return 10 }}
	p.changed.L = &p.mu
	for want := range 3 {
		if open := p.mayOpen(); open != (want < 2) {
			t.Errorf("with %d models in hand another may be opened: %v", want, open)
		}
		p.inHand++
		p.nFiles += 10
		p.next++
	}
}
