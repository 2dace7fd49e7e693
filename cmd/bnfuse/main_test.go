package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bnfuse/bnfuse"
	"github.com/bnfuse/bnfuse/report"
)

var update = flag.Bool("update", false, "write the golden files")

// result is what a command printed and how it ended.
type result struct {
	code           int
	stdout, stderr string
}

// command runs a command inside this process.
func command(args ...string) result {
	return commandIn(context.Background(), args...)
}

func commandIn(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// workIn makes a folder with copies of testdata's models the current one.
func workIn(t *testing.T, models ...string) {
	t.Helper()
	dir := t.TempDir()
	for _, m := range models {
		b, err := os.ReadFile(filepath.Join("../../testdata", m))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, m), b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

// files are the current folder's files and their bytes.
func files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// timing matches what differs from run to run.
var timing = regexp.MustCompile(`"seconds": ?[0-9.e-]+|took=[0-9.]+(µs|ms|s)`)

// TestGolden compares what commands print with testdata/NAME.golden, and checks that no command changes
// or adds a file it should not: only those in creates.
func TestGolden(t *testing.T) {
	const models = "densenet.onnx expect.json frozen_resnet.onnx norm_first.onnx resnet.onnx resnet.pt training.onnx two_heads.onnx"
	golden, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		args    string
		creates string
	}{
		{"help", "--help", ""},
		{"help_fuse", "fuse --help", ""},
		{"help_inspect", "inspect --help", ""},
		{"help_report_merge", "report merge --help", ""},
		{"fuse", "fuse resnet.onnx", "resnet.fused.onnx"},
		{"fuse_verbose", "fuse two_heads.onnx --device cpu -v", "two_heads.fused.onnx"},
		{"fuse_kept", "fuse densenet.onnx -o out.onnx", "out.onnx"},
		{"fuse_written_out", "fuse frozen_resnet.onnx -o out.onnx", "out.onnx"},
		{"fuse_nothing", "fuse training.onnx", "training.fused.onnx"},
		{"fuse_quiet", "fuse two_heads.onnx -q --fsync", "two_heads.fused.onnx"},
		{"fuse_json", "fuse two_heads.onnx --device cpu --json", "two_heads.fused.onnx"},
		{"fuse_report", "fuse two_heads.onnx --report r.json", "r.json two_heads.fused.onnx"},
		{"fuse_checkpoint", "fuse resnet.pt --graph resnet.onnx", "resnet.fused.safetensors"},
		{"fuse_unpaired", "fuse resnet.pt", "resnet.fused.safetensors"},
		{"fuse_dry", "fuse norm_first.onnx --dry-run", ""},
		{"inspect", "inspect densenet.onnx", ""},
		{"inspect_before", "inspect norm_first.onnx", ""},
		{"inspect_json", "inspect norm_first.onnx --device cpu --json", ""},
		{"inspect_pairs", "inspect norm_first.onnx --pairs", ""},
		{"inspect_names", "inspect resnet.pt --pairs names --eps 1e-5", ""},
		{"help_zoo", "zoo --help", ""},
		{"completion_zoo", "__complete zoo --device c", ""},
		{"wrong_zoo_output", "zoo .", ""},
		{"wrong_zoo_none", "zoo -o out", ""},
		{"wrong_zoo_two", "zoo a b", ""},
		{"wrong_zoo_shard", "zoo . -o out --shard 9/8", ""},
		{"wrong_zoo_graphs", "zoo . -o out --graphs resnet.onnx", ""},
		{"wrong_zoo_glob", "zoo . -o out --exclude [", ""},
		{"wrong_zoo_jobs", "zoo . -o out --jobs -1", ""},
		{"wrong_zoo_inside", "zoo . -o out", ""},
		{"fails_zoo_missing", "zoo missing -o out", ""},
		{"completion_models", "__complete fuse x", ""},
		{"completion_devices", "__complete fuse --device c", ""},
		{"wrong_no_verb", "", ""},
		{"wrong_verb", "fold resnet.onnx", ""},
		{"wrong_verb_near", "inspct resnet.onnx", ""},
		{"wrong_help", "help fold", ""},
		{"wrong_completion", "completion csh", ""},
		{"wrong_completion_none", "completion", ""},
		{"wrong_argument", "version 2", ""},
		{"wrong_number", "zoo . -o out --jobs two", ""},
		{"wrong_folder", "fuse .", ""},
		{"wrong_folder_pairs", "inspect . --pairs", ""},
		{"completion_flags", "__complete fuse --gr", ""},
		{"wrong_no_model", "fuse", ""},
		{"wrong_two_models", "fuse resnet.onnx out.onnx", ""},
		{"wrong_flag", "fuse resnet.onnx --forse", ""},
		{"wrong_flag_far", "fuse resnet.onnx --workers 3", ""},
		{"wrong_device", "fuse resnet.onnx --device abacus", ""},
		{"wrong_report", "fuse resnet.onnx --report two_heads.onnx --force", ""},
		{"wrong_report_output", "fuse two_heads.onnx -o s.json --report s.json", ""},
		{"wrong_report_default", "fuse two_heads.onnx --report two_heads.fused.onnx", ""},
		{"wrong_report_verb", "report", ""},
		{"wrong_report_verb_other", "report join a.json", ""},
		{"wrong_merge_nothing", "report merge -o all.html", ""},
		{"wrong_merge_output", "report merge a.json", ""},
		{"wrong_merge_name", "report merge a.json -o all.txt", ""},
		{"wrong_output_empty", "fuse resnet.onnx --output=", ""},
		{"wrong_graph_empty", "fuse resnet.pt --graph=", ""},
		{"wrong_print_json", "inspect norm_first.onnx --json --pairs", ""},
		{"wrong_volume", "fuse resnet.onnx -q -v", ""},
		{"wrong_pairs_of_graph", "fuse resnet.onnx --keep-norms", ""},
		{"wrong_pairs_twice", "fuse resnet.pt --graph resnet.onnx --pairs names --eps 1e-5", ""},
		{"wrong_pairs_eps", "fuse resnet.pt --pairs names", ""},
		{"wrong_pairs_print", "inspect resnet.pt --pairs", ""},
		{"fails_missing", "fuse missing.onnx", ""},
		{"fails_graph", "fuse resnet.pt --graph resnet.pt", ""},
		{"fails_format", "fuse expect.json", ""},
		{"fails_exists", "fuse resnet.onnx -o densenet.onnx", ""},
		{"fails_output_name", "fuse resnet.onnx -o out.safetensors", ""},
		{"fails_in_place", "fuse resnet.onnx -o resnet.onnx", ""},
		{"fails_folder", "fuse resnet.onnx -o missing/out.onnx", ""},
		{"fails_report_folder", "fuse resnet.onnx --report missing/r.json", ""},
		{"fails_merge_missing", "report merge a.json -o all.json", ""},
		{"fails_merge_other", "report merge expect.json -o all.json", ""},
		{"fails_verify_checkpoint", "verify resnet.pt resnet.onnx", ""},
		{"fails_inspect", "inspect expect.json", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			workIn(t, strings.Fields(models)...)
			before := files(t)
			r := command(strings.Fields(c.args)...)
			compareGolden(t, golden, c.name, c.args, r)
			after := files(t)
			for _, name := range strings.Fields(c.creates) {
				if after[name] == "" {
					t.Errorf("%s was not written", name)
				}
				delete(after, name)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("files changed: %s", diff)
			}
		})
	}
}

// compareGolden compares what a command printed with NAME.golden.
func compareGolden(t *testing.T, dir, name, args string, r result) {
	t.Helper()
	got := fmt.Sprintf("$ bnfuse %s\n-- exit %d --\n-- stdout --\n%s-- stderr --\n%s", args, r.code, r.stdout, r.stderr)
	got = timing.ReplaceAllString(got, "(time)")
	path := filepath.Join(dir, name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(readText(t, path), got); diff != "" {
		t.Errorf("%s (-want +got), -update accepts it:\n%s", path, diff)
	}
}

// TestInPlace: with --force the output may be the input, and folding again changes nothing.
func TestInPlace(t *testing.T) {
	workIn(t, "resnet.onnx")
	if r := command("fuse", "resnet.onnx", "-o", "fused.onnx"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	for range 2 {
		if r := command("fuse", "resnet.onnx", "-o", "resnet.onnx", "--force"); r.code != 0 {
			t.Fatalf("%+v", r)
		}
		if all := files(t); all["resnet.onnx"] != all["fused.onnx"] || len(all) != 2 {
			t.Error("the result in place differs from that of -o, or a file was left")
		}
	}
}

// TestTruncated: a cut model is an error that names it, and nothing is written.
func TestTruncated(t *testing.T) {
	workIn(t, "resnet.onnx")
	whole := files(t)["resnet.onnx"]
	for _, n := range []int{0, 1, 10, len(whole) / 2, len(whole) - 1} {
		if err := os.WriteFile("resnet.onnx", []byte(whole[:n]), 0o666); err != nil {
			t.Fatal(err)
		}
		r := command("fuse", "resnet.onnx")
		if r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, "resnet.onnx") || len(files(t)) != 1 {
			t.Errorf("%d of %d bytes: %+v", n, len(whole), r)
		}
	}
}

// TestReport: the file of --report and the JSON on standard output are the same, and agree with the model.
func TestReport(t *testing.T) {
	workIn(t, "resnet.onnx")
	r := command("fuse", "resnet.onnx", "--report", "r.json", "--json")
	written := files(t)["r.json"]
	if r.code != 0 || written != r.stdout {
		t.Fatalf("%+v and the file %s", r, written)
	}
	var m report.Model
	if err := json.Unmarshal([]byte(written), &m); err != nil {
		t.Fatal(err)
	}
	if m.Folded != 9 || m.Kept != 0 || len(m.Norms) != 9 || m.BytesOut != int64(len(files(t)["resnet.fused.onnx"])) {
		t.Errorf("%+v", m)
	}
	if r := command("fuse", "resnet.onnx", "-o", "b.onnx", "--report", "r.json"); r.code != 1 || !strings.Contains(r.stderr, "r.json") {
		t.Errorf("the report exists: %+v", r)
	}
	if r := command("fuse", "resnet.onnx", "-o", "b.onnx", "--report", "r.json", "--force"); r.code != 0 {
		t.Errorf("the report exists, with --force: %+v", r)
	}
}

// TestReportPage: --report FILE.html writes a page that stands alone.
func TestReportPage(t *testing.T) {
	workIn(t, "resnet.onnx")
	if r := command("fuse", "resnet.onnx", "--report", "r.html"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	page := files(t)["r.html"]
	for _, want := range []string{"<!doctype html>", `"input":"resnet.onnx"`, `"version":"` + bnfuse.Version() + `"`, "</html>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if outside := regexp.MustCompile(`(src|href)="?(https?:|//|[a-z.]+/)`).FindString(page); outside != "" {
		t.Errorf("the page is not alone: %s", outside)
	}
}

// TestMergeReports: the reports of two runs make one, as JSON and as a page.
func TestMergeReports(t *testing.T) {
	workIn(t, "resnet.onnx", "densenet.onnx")
	for _, name := range []string{"resnet", "densenet"} {
		if r := command("fuse", name+".onnx", "--dry-run", "--report", name+".json"); r.code != 0 {
			t.Fatalf("%+v", r)
		}
	}
	r := command("report", "merge", "resnet.json", "densenet.json", "-o", "all.json")
	if want := "all.json: 2 models: 2 fused, 0 copied, 0 failed; 16 of 25 norms folded\n"; r.code != 0 || r.stdout != want {
		t.Errorf("%+v, want %q", r, want)
	}
	z, err := report.ReadFile("all.json")
	if err != nil || len(z.Models) != 2 || z.Models[0].Input != "densenet.onnx" || z.Totals.Kept != 9 {
		t.Errorf("%v: %+v", err, z)
	}
	if r := command("report", "merge", "all.json", "-o", "all.html", "-q"); r.code != 0 || r.stdout+r.stderr != "" || !strings.Contains(files(t)["all.html"], `"input":"resnet.onnx"`) {
		t.Errorf("%+v", r)
	}
	if r := command("report", "merge", "all.html", "-o", "again.json"); r.code != 1 || !strings.Contains(r.stderr, "must be JSON") {
		t.Errorf("a page was merged: %+v", r)
	}
	if r := command("report", "merge", "all.json", "-o", "all.html"); r.code != 1 || !strings.Contains(r.stderr, "--force") {
		t.Errorf("the output exists: %+v", r)
	}
	shard := strings.Replace(files(t)["all.json"], `"models"`, `"shard": "2/8", "models"`, 1)
	if err := os.WriteFile("shard.json", []byte(shard), 0o666); err != nil {
		t.Fatal(err)
	}
	if r := command("report", "merge", "shard.json", "-o", "shards.json"); r.code != 0 || !strings.Contains(r.stderr, "not all shards") {
		t.Errorf("the other shards are not missed: %+v", r)
	}
}

// TestStopped: a signal ends the work with its own exit code and leaves nothing behind.
func TestStopped(t *testing.T) {
	workIn(t, "resnet.onnx")
	for signal, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(stopped{signal})
		r := commandIn(ctx, "fuse", "resnet.onnx")
		if r.code != want || r.stdout != "" || len(files(t)) != 1 {
			t.Errorf("%v: %+v", signal, r)
		}
	}
}

func TestSignalEndsContext(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(s) { // under nohup
			continue
		}
		ctx, stop := untilSignal(context.Background())
		defer stop()
		if err := syscall.Kill(syscall.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		if cause := context.Cause(ctx); cause != (stopped{s}) {
			t.Errorf("cause %v", cause)
		}
	}
}

func TestDevicesAndVersion(t *testing.T) {
	if r := command("devices"); r.code != 0 || !strings.Contains(r.stdout, "✓ cpu") || !strings.Contains(r.stdout, "cuda") {
		t.Errorf("%+v", r)
	}
	if r := command("version"); r.code != 0 || !strings.HasPrefix(r.stdout, "bnfuse ") {
		t.Errorf("%+v", r)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := command("completion", shell); r.code != 0 || !strings.Contains(r.stdout, "bnfuse") {
			t.Errorf("%s: exit %d", shell, r.code)
		}
	}
}

func TestPrintDevices(t *testing.T) {
	list := []bnfuse.DeviceInfo{
		{Name: "cpu", Model: "amd64, 2 threads"},
		{Name: "cuda:0", Model: "NVIDIA H200", ComputeCapability: "9.0", MemoryBytes: 150_754_820_096, Driver: "12.2"},
	}
	got := string(printDevices(list, errors.New("cuda: no driver")))
	want := `✓ cpu     amd64, 2 threads
✓ cuda:0  NVIDIA H200, compute capability 9.0, 150.8 GB, driver for CUDA 12.2
✗ cuda    no driver
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var back struct {
		Devices []bnfuse.DeviceInfo
		Missing map[string]string
	}
	if err := json.Unmarshal(devicesJSON(list, errors.New("cuda: no driver")), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(list, back.Devices); diff != "" || back.Missing["cuda"] != "no driver" {
		t.Errorf("missing %v, devices (-want +got):\n%s", back.Missing, diff)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"force", "force", 0}, {"forse", "force", 1}, {"", "ab", 2}, {"devise", "device", 1}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q is %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
