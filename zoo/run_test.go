package zoo

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/report"
)

// mixed is a zoo of all formats, with a damaged model and other files.
const mixed = `
	README.md: # a zoo
	resnet.onnx = resnet.onnx
	resnet.pt = resnet.pt
	resnet.safetensors = resnet.safetensors
	deep/mobilenet.model = mobilenet_v2.onnx
	deep/external_data.onnx = external_data.onnx
	deep/external_data.onnx.data = external_data.onnx.data
	deep/cut.onnx: cut
	deep/config.json: {}
	folder -> deep
	no/graph/state.pth = resnet.pt
	no/graph/state.safetensors = resnet.safetensors
`

// runZoo runs on the CPU; a failing run is the test's to judge.
func runZoo(t *testing.T, dir, out string, o Options) (*report.Zoo, error) {
	t.Helper()
	o.Engine, o.Log = host.New(), slog.New(slog.DiscardHandler)
	if o.Version == "" {
		o.Version = "test"
	}
	return Run(context.Background(), dir, out, o)
}

func mustRun(t *testing.T, dir, out string, o Options) *report.Zoo {
	t.Helper()
	z, err := runZoo(t, dir, out, o)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// contents are every file of a folder, the journals too, by path.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if d.Type()&fs.ModeSymlink != 0 {
			files[rel], err = os.Readlink(path)
			return err
		}
		files[rel] = string(readFile(t, path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// outcomes are the models by path: "fused", "copied" or "failed", and " before" of an earlier run.
func outcomes(t *testing.T, dir string, z *report.Zoo) map[string]string {
	t.Helper()
	list := map[string]string{}
	for _, m := range z.Models {
		rel, err := filepath.Rel(dir, m.Input)
		if err != nil {
			t.Fatal(err)
		}
		list[rel] = m.Status
		if m.Resumed {
			list[rel] += " before"
		}
		if (m.Status == report.ModelFailed) != (m.Error != "") {
			t.Errorf("%s: status %s, error %q", rel, m.Status, m.Error)
		}
	}
	return list
}

func wantOutcomes(t *testing.T, dir string, z *report.Zoo, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, outcomes(t, dir, z)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

// each gives all models of mixed the same outcome, but for the damaged one and those without pairs.
func each(fused, copied string) map[string]string {
	return map[string]string{
		"resnet.onnx": fused, "resnet.pt": fused, "resnet.safetensors": fused,
		"deep/mobilenet.model": fused, "deep/external_data.onnx": fused, "deep/cut.onnx": "failed",
		"no/graph/state.pth": copied, "no/graph/state.safetensors": copied,
	}
}

// OUT can stand in for DIR: fused models under their names, the rest as it was; and DIR is not touched.
func TestRun(t *testing.T) {
	dir, out := tree(t, mixed), filepath.Join(t.TempDir(), "out")
	before := contents(t, dir)
	z := mustRun(t, dir, out, Options{})
	wantOutcomes(t, dir, z, each("fused", "copied"))
	if z.Totals.Files != 3 || z.Totals.Models != 8 || z.Totals.Failed != 1 {
		t.Errorf("totals %+v", z.Totals)
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Errorf("the input was changed:\n%s", diff)
	}

	want := map[string]string{}
	for _, same := range []string{"README.md", "deep/config.json", "folder", "no/graph/state.pth", "no/graph/state.safetensors"} {
		want[same] = before[same]
	}
	alone := t.TempDir()
	for _, name := range []string{"resnet.onnx", "deep/mobilenet.model", "deep/external_data.onnx"} {
		to := filepath.Join(alone, name)
		os.MkdirAll(filepath.Dir(to), 0o777)
		if _, err := onnx.FuseFile(context.Background(), filepath.Join(dir, name), to, onnx.Options{Engine: host.New()}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"resnet.pt", "resnet.safetensors"} {
		to := filepath.Join(alone, strings.TrimSuffix(name, ".safetensors")+".safetensors")
		o := checkpoint.Options{Engine: host.New(), Graph: filepath.Join(dir, "resnet.onnx")}
		if _, err := checkpoint.FuseFile(context.Background(), filepath.Join(dir, name), to, o); err != nil {
			t.Fatal(err)
		}
	}
	maps.Copy(want, contents(t, alone))
	got := contents(t, out)
	delete(got, journalPrefix)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Fatalf("files (-want +got):\n%s", diff)
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: other bytes than alone", name)
		}
	}
}

// A second run does what is missing and nothing else, and reports on everything.
func TestResume(t *testing.T) {
	dir, out := tree(t, mixed), filepath.Join(t.TempDir(), "out")
	first := mustRun(t, dir, out, Options{})
	want := contents(t, out)
	again := each("fused before", "copied before")

	z := mustRun(t, dir, out, Options{})
	wantOutcomes(t, dir, z, again)
	if z.Totals.Folded != first.Totals.Folded || z.Totals.BytesOut != first.Totals.BytesOut || z.Totals.Files != first.Totals.Files {
		t.Errorf("totals %+v, want %+v", z.Totals, first.Totals)
	}
	if diff := cmp.Diff(want, contents(t, out)); diff != "" {
		t.Errorf("a second run changed:\n%s", diff)
	}

	for name, change := range map[string]func(){
		"an output is missing":   func() { os.Remove(filepath.Join(out, "resnet.onnx")) },
		"an output is cut":       func() { os.Truncate(filepath.Join(out, "resnet.onnx"), 100) },
		"a temporary file":       func() { writeFile(t, filepath.Join(out, ".resnet.onnx.1-0.bnfuse-tmp"), nil) },
		"half a line of journal": func() { appendTo(t, filepath.Join(out, journalPrefix), `{"path":"res`) },
		"garbage in the journal": func() { appendTo(t, filepath.Join(out, journalPrefix), "\x00\x00\n{}\n") },
	} {
		change()
		os.Remove(filepath.Join(out, "README.md"))
		mustRun(t, dir, out, Options{})
		if diff := cmp.Diff(want, contents(t, out)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// What is done holds only for the same input, options and version.
func TestDoneAgain(t *testing.T) {
	dir, out := tree(t, mixed), filepath.Join(t.TempDir(), "out")
	mustRun(t, dir, out, Options{})

	z := mustRun(t, dir, out, Options{Version: "another"})
	wantOutcomes(t, dir, z, each("fused", "copied"))
	if z.Totals.Files != 3 {
		t.Errorf("%d other files", z.Totals.Files)
	}

	z = mustRun(t, dir, out, Options{Version: "another", Checkpoint: Checkpoint{KeepNorms: true}})
	want := each("fused before", "copied")
	want["resnet.pt"], want["resnet.safetensors"] = "fused", "fused"
	wantOutcomes(t, dir, z, want)

	// The graph of the checkpoints is another now.
	writeFile(t, filepath.Join(dir, "resnet.onnx"), readFile(t, "../testdata/stem_opset17.onnx"))
	z = mustRun(t, dir, out, Options{Version: "another", Checkpoint: Checkpoint{KeepNorms: true}})
	want = each("fused before", "copied before")
	want["resnet.onnx"], want["resnet.pt"], want["resnet.safetensors"] = "fused", "copied", "copied"
	wantOutcomes(t, dir, z, want)

	z = mustRun(t, dir, out, Options{Version: "another", Checkpoint: Checkpoint{KeepNorms: true}, NoResume: true})
	want = each("fused", "copied")
	want["resnet.pt"], want["resnet.safetensors"] = "copied", "copied"
	wantOutcomes(t, dir, z, want)
}

// Shards divide the work, and all of them together are one run.
func TestRunShards(t *testing.T) {
	dir, whole, out := tree(t, mixed), filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "out")
	mustRun(t, dir, whole, Options{})
	models := 0
	for i := range 3 {
		z := mustRun(t, dir, out, Options{Shard: Shard{i + 1, 3}})
		models += z.Totals.Models
	}
	if models != 8 {
		t.Errorf("the shards have %d models together, want 8", models)
	}
	want, got := contents(t, whole), contents(t, out)
	delete(want, journalPrefix)
	for name := range got {
		if strings.HasPrefix(name, journalPrefix) {
			delete(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-whole +shards):\n%s", diff)
	}
	wantOutcomes(t, dir, mustRun(t, dir, out, Options{}), each("fused before", "copied before"))
}

// Rules name the graph of checkpoints that lie elsewhere.
func TestGraphs(t *testing.T) {
	dir, out := tree(t, mixed), filepath.Join(t.TempDir(), "out")
	glob, err := ParseGlob("no/**")
	if err != nil {
		t.Fatal(err)
	}
	z := mustRun(t, dir, out, Options{Graphs: []GraphRule{{glob, "../testdata/resnet.onnx"}}})
	wantOutcomes(t, dir, z, each("fused", "fused"))
	files := contents(t, out)
	if files["no/graph/state.pth.safetensors"] != files["resnet.pt.safetensors"] || files["no/graph/state.pth"] != "" {
		t.Error("the checkpoint under the rule is not what its twin beside the graph is")
	}
}

// In a Hugging Face cache a file that several snapshots have is fused once, and OUT has no links.
func TestHuggingFaceCache(t *testing.T) {
	dir, out := tree(t, `
		models--a--net/blobs/b1 = resnet.onnx
		models--a--net/blobs/b2: {}
		models--a--net/refs/main: r2
		models--a--net/snapshots/r1/model.onnx -> ../../blobs/b1
		models--a--net/snapshots/r2/model.onnx -> ../../blobs/b1
		models--a--net/snapshots/r2/renamed.onnx -> ../../blobs/b1
		models--a--net/snapshots/r2/config.json -> ../../blobs/b2
	`), filepath.Join(t.TempDir(), "out")
	before := contents(t, dir)
	for range 2 {
		z := mustRun(t, dir, out, Options{})
		if z.Totals.Fused != 3 || z.Totals.Failed != 0 {
			t.Errorf("totals %+v", z.Totals)
		}
		var same []fs.FileInfo
		for _, name := range []string{"r1/model.onnx", "r2/model.onnx", "r2/renamed.onnx", "r2/config.json"} {
			info, err := os.Lstat(filepath.Join(out, "models--a--net/snapshots", name))
			if err != nil || !info.Mode().IsRegular() {
				t.Errorf("%s: %v, %v", name, info, err)
			}
			same = append(same, info)
		}
		if !os.SameFile(same[0], same[1]) {
			t.Error("the blob of two snapshots was written twice")
		}
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Errorf("the cache was changed:\n%s", diff)
	}
}

// Places where OUT must not be, and what stands in the way of a file.
func TestRefusals(t *testing.T) {
	dir := tree(t, mixed+"taken.pt = resnet.pt\ntaken.onnx = resnet.onnx\ntaken.pt.safetensors = resnet.safetensors")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{dir, filepath.Join(dir, "deep/out"), filepath.Dir(dir), filepath.Join(link, "out")} {
		if _, err := runZoo(t, dir, out, Options{}); !errors.Is(err, ErrInside) {
			t.Errorf("%s: %v", out, err)
		}
	}
	foreign := tree(t, "precious.onnx: mine")
	if _, err := runZoo(t, dir, foreign, Options{}); !errors.Is(err, ErrNotOurs) {
		t.Errorf("a folder with other files: %v", err)
	}
	z := mustRun(t, dir, foreign, Options{Force: true})
	if got := outcomes(t, dir, z)["taken.pt"]; got != "failed" {
		t.Errorf("a checkpoint whose output is another file: %s", got)
	}
	if files := contents(t, foreign); files["precious.onnx"] != "mine" || files["taken.pt.safetensors"] == "" {
		t.Error("a file was lost")
	}
	j, err := openJournal(dir, foreign, Shard{}, false, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runZoo(t, dir, foreign, Options{}); !errors.Is(err, ErrAtWork) {
		t.Errorf("beside another run: %v", err)
	}
	if err := j.close(false); err != nil {
		t.Error(err)
	}
	writeFile(t, filepath.Join(foreign, journalPrefix), []byte("something else\n"))
	if _, err := runZoo(t, dir, foreign, Options{}); err == nil || !strings.Contains(err.Error(), "--no-resume") {
		t.Errorf("a journal of another make: %v", err)
	}
	mustRun(t, dir, foreign, Options{NoResume: true})
	if _, err := runZoo(t, filepath.Join(dir, "missing"), foreign, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// Nothing is written through a link that lies in OUT.
func TestLinksInOutput(t *testing.T) {
	dir, elsewhere := tree(t, mixed+"deep/er/config.json: {}"), tree(t, "cut.onnx: mine\nresnet.onnx: mine")
	out := t.TempDir()
	if err := errors.Join(os.Symlink(elsewhere, filepath.Join(out, "deep")), os.Symlink(filepath.Join(elsewhere, "resnet.onnx"), filepath.Join(out, "resnet.onnx"))); err != nil {
		t.Fatal(err)
	}
	before := contents(t, elsewhere)
	z := mustRun(t, dir, out, Options{Force: true})
	if got := outcomes(t, dir, z); got["deep/mobilenet.model"] != "failed" || got["resnet.onnx"] != "fused" {
		t.Errorf("outcomes %v", got)
	}
	if diff := cmp.Diff(before, contents(t, elsewhere)); diff != "" {
		t.Errorf("written through a link:\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "er")); err == nil {
		t.Error("a folder was made through a link")
	}
}

// What cannot be read is named, and the rest is done.
func TestRunUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	dir, out := tree(t, mixed), filepath.Join(t.TempDir(), "out")
	for _, name := range []string{"resnet.safetensors", "README.md"} {
		if err := os.Chmod(filepath.Join(dir, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	want := each("fused", "copied")
	want["resnet.safetensors"], want["README.md"] = "failed", "failed"
	wantOutcomes(t, dir, mustRun(t, dir, out, Options{}), want)
}

// OUT is one zoo's: another takes its place only if it is told to.
func TestAnotherZoo(t *testing.T) {
	a, b, out := tree(t, mixed), tree(t, "resnet.onnx = mobilenet_v2.onnx"), filepath.Join(t.TempDir(), "out")
	mustRun(t, a, out, Options{})
	before := contents(t, out)
	for _, fresh := range []bool{false, true} {
		if _, err := runZoo(t, b, out, Options{NoResume: fresh}); !errors.Is(err, ErrOtherZoo) || !strings.Contains(err.Error(), a) {
			t.Errorf("another zoo: %v", err)
		}
	}
	if diff := cmp.Diff(before, contents(t, out)); diff != "" {
		t.Errorf("OUT was changed:\n%s", diff)
	}
	if z := mustRun(t, b, out, Options{Force: true}); z.Totals.Fused != 1 {
		t.Errorf("totals %+v", z.Totals)
	}
}

// What an earlier run wrote for a model that becomes another file now is removed; what is not part of the zoo
// any more stays and is named.
func TestStaleOutputs(t *testing.T) {
	dir, out := tree(t, mixed), filepath.Join(t.TempDir(), "out")
	mustRun(t, dir, out, Options{})
	os.Remove(filepath.Join(dir, "resnet.onnx"))
	os.RemoveAll(filepath.Join(dir, "no"))
	z := mustRun(t, dir, out, Options{})
	files := contents(t, out)
	if files["resnet.pt.safetensors"] != "" || files["resnet.pt"] != string(readFile(t, "../testdata/resnet.pt")) {
		t.Error("resnet.pt, which has no graph any more, is not there as it was, or is there twice")
	}
	if files["no/graph/state.pth"] == "" {
		t.Error("a file of the earlier run was removed")
	}
	const stay = "files that earlier runs wrote for what is not part of this one stay, 3: no/graph/state.pth, no/graph/state.safetensors, resnet.onnx"
	const unpaired = "nothing says which layers norms of checkpoints follow, and they stay (norms: 18, models: 2): see --graphs, --graph and --pairs"
	if diff := cmp.Diff([]string{unpaired, stay}, z.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// Where a model has become damaged, what an earlier run made of it stays and is named.
func TestOutdatedOutputs(t *testing.T) {
	dir, out := tree(t, mixed), filepath.Join(t.TempDir(), "out")
	mustRun(t, dir, out, Options{})
	writeFile(t, filepath.Join(dir, "resnet.onnx"), []byte("\x08damaged"))
	z := mustRun(t, dir, out, Options{})
	const want = "files that earlier runs wrote for what failed in this one stay, 1: resnet.onnx"
	if !slices.Contains(z.Warnings, want) {
		t.Errorf("warnings %q, want one to be %q", z.Warnings, want)
	}
	if _, err := os.Stat(filepath.Join(out, "resnet.onnx")); err != nil {
		t.Error(err)
	}
}

// Options that point nowhere are an error before anything is done, or a warning.
func TestSelectionsOfNothing(t *testing.T) {
	dir, out := tree(t, mixed), filepath.Join(t.TempDir(), "out")
	nothing, err := ParseGlob("nothing/**")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{Checkpoint: Checkpoint{Graph: "missing.onnx"}}, {Graphs: []GraphRule{{nothing, "missing.onnx"}}}, {Checkpoint: Checkpoint{Pairs: "missing.yaml"}}} {
		if _, err := runZoo(t, dir, out, o); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "missing.") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
	z := mustRun(t, dir, out, Options{Include: []string{"nothing"}, Graphs: []GraphRule{{nothing, "../testdata/resnet.onnx"}}})
	if len(z.Warnings) != 2 || !strings.Contains(z.Warnings[0], "--include") || !strings.Contains(z.Warnings[1], "--graphs") {
		t.Errorf("warnings %q", z.Warnings)
	}
}
