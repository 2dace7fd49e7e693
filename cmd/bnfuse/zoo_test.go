package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bnfuse/bnfuse/report"
)

// workBesideZoo makes a folder with a zoo in it the current one. One of its models is damaged.
func workBesideZoo(t *testing.T) {
	t.Helper()
	workIn(t, "resnet.onnx", "resnet.pt", "two_heads.onnx", "densenet.onnx")
	for from, to := range map[string]string{
		"resnet.onnx": "models/vision/resnet.onnx", "resnet.pt": "models/vision/resnet.pt",
		"two_heads.onnx": "models/two_heads.onnx", "densenet.onnx": "models/cut.onnx",
	} {
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate("models/cut.onnx", 10_000); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("models/config.json", []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestZoo: one run after the other over the same folder.
func TestZoo(t *testing.T) {
	golden, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	workBesideZoo(t)
	for _, c := range []struct{ name, args string }{
		{"zoo_dry", "zoo models -o out --dry-run"},
		{"zoo_inspect", "inspect models"},
		{"zoo", "zoo models -o out"},
		{"zoo_again", "zoo models -o out -v"},
		{"zoo_quiet", "zoo models -o out -q --no-resume"},
		{"zoo_part", "zoo models -o part --include vision --exclude *.onnx --shard 1/1"},
		{"zoo_json", "zoo models -o out2 --device cpu --json --jobs 1"},
	} {
		compareGolden(t, golden, c.name, c.args, command(strings.Fields(c.args)...))
	}
	all := files(t)
	for _, name := range []string{"out/vision/resnet.onnx", "out/vision/resnet.pt.safetensors", "out/two_heads.onnx", "out/config.json", "part/vision/resnet.pt.safetensors"} {
		if all[name] == "" {
			t.Errorf("%s was not written", name)
		}
	}
	if all["out/cut.onnx"] != "" || all["part/vision/resnet.onnx"] != "" {
		t.Error("there is too much")
	}
}

// TestZooReport: a report may lie in the output, and the next run replaces it, but no other file.
func TestZooReport(t *testing.T) {
	workBesideZoo(t)
	for _, name := range []string{"out/report.json", "out/report.html", "out/new/folder/r.json", "r.json"} {
		for range 2 {
			if r := command("zoo", "models", "-o", "out", "--report", name); r.code != 1 || !strings.Contains(r.stdout, "4 models") {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
	z, err := report.ReadFile("r.json")
	if err != nil {
		t.Fatal(err)
	}
	if z.Totals.Models != 4 || z.Totals.Failed != 1 || z.Totals.Resumed != 3 || z.Totals.Files != 1 {
		t.Errorf("%+v", z.Totals)
	}
	if err := os.WriteFile("r.json", []byte(`{"name": "mine"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, code := range map[string]int{"r.json": 1, "missing/r.json": 1, "r.txt": 2, "models/r.json": 2, "out/config.json": 2} {
		if r := command("zoo", "models", "-o", "out", "--report", name); r.code != code || r.stdout != "" || !strings.Contains(r.stderr, name) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestZooReportThroughLink: the zoo is not written to by another name of it.
func TestZooReportThroughLink(t *testing.T) {
	workBesideZoo(t)
	if err := os.Symlink("models", "link"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link/r.json", "models/r.json", "link/vision/r.html"} {
		if r := command("zoo", "models", "-o", "out", "--report", name); r.code != 2 || !strings.Contains(r.stderr, "in the zoo") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestZooReportOfAnother: without --force no report takes the place of one on another zoo.
func TestZooReportOfAnother(t *testing.T) {
	workBesideZoo(t)
	if err := os.Mkdir("R&D", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"r.json", "r.html"} {
		for _, c := range []struct {
			args string
			code int
		}{{"R&D", 0}, {"./R&D/", 0}, {"models", 1}, {"models --force", 1}, {"R&D", 1}, {"R&D --force", 0}} {
			r := command(strings.Fields("zoo --dry-run --report " + name + " " + c.args)...)
			if refused := strings.Contains(r.stderr, "the file exists; --force replaces it"); r.code != c.code || refused != (r.code == 1 && r.stdout == "") {
				t.Errorf("%s %s: %+v", name, c.args, r)
			}
		}
	}
}

// TestZooStopped: of a run that was stopped the summary says how far it came, and what to do.
func TestZooStopped(t *testing.T) {
	var b bytes.Buffer
	a := &app{stdout: &b, log: slog.New(slog.DiscardHandler)}
	z := &report.Zoo{Input: "models", Output: "out", Totals: report.Totals{Models: 13, Fused: 13}}
	if err := a.printZoo(z, "models", 22); err != nil || !strings.Contains(b.String(), "\n  stopped after 13 of 22 models; the same command goes on\n") {
		t.Errorf("%v: %s", err, &b)
	}
	b.Reset()
	if err := a.printZoo(z, "models", 13); err != nil || strings.Contains(b.String(), "stopped") {
		t.Errorf("of a run to its end, %v: %s", err, &b)
	}
}

// TestZooRepeatsWarnings: what the summary counts is said, also by the run that finds the model done.
func TestZooRepeatsWarnings(t *testing.T) {
	var b bytes.Buffer
	a := &app{log: slog.New(slog.NewTextHandler(&b, nil))}
	a.repeatWarnings(&report.Zoo{Models: []*report.Model{
		{Input: "old.onnx", Resumed: true, Warnings: []string{"channels became zero"}}, {Input: "new.onnx", Warnings: []string{"was said"}},
	}})
	if got := b.String(); !strings.Contains(got, `msg="channels became zero" model=old.onnx`) || strings.Contains(got, "was said") {
		t.Error(got)
	}
}

// TestZooEvents: with --json each line is an object, and together they tell the whole run.
func TestZooEvents(t *testing.T) {
	workBesideZoo(t)
	r := command("zoo", "models", "-o", "out", "--json")
	if r.code != 1 {
		t.Errorf("%+v", r)
	}
	count := map[string]int{}
	for line := range strings.Lines(r.stdout) {
		var e struct {
			Event, Path, Status, Error string
			Models, Done               int
			Totals                     report.Totals
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		count[e.Event]++
		switch {
		case e.Event == "start" && e.Models != 4,
			e.Event == "model" && (e.Done != count["model"] || (e.Status == "failed") != (e.Error != "") || e.Path == ""),
			e.Event == "done" && e.Totals.Failed != 1:
			t.Errorf("%+v", e)
		}
	}
	if diff := cmp.Diff(map[string]int{"start": 1, "model": 4, "done": 1}, count); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestZooOfHostileNames: a file's name does nothing to the terminal.
func TestZooOfHostileNames(t *testing.T) {
	workIn(t)
	if err := os.MkdirAll("models/.git\x1b[2J", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"models/a\x1b[2J\nb.onnx", "models/c\x1b[2J.incomplete"} {
		if err := os.WriteFile(name, []byte("text"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{"zoo models -o out -v", "inspect models", "zoo models -o out --json"} {
		r := command(strings.Fields(args)...)
		if r.code != 1 || strings.Contains(r.stdout+r.stderr, "\x1b") || strings.Contains(r.stderr, "\nb.onnx") {
			t.Errorf("%s: %+v", args, r)
		}
	}
}
