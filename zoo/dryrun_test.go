package zoo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bnfuse/bnfuse/report"
)

// A dry run says what would become of the models and writes nothing.
func TestDryRun(t *testing.T) {
	dir := tree(t, mixed)
	z := mustRun(t, dir, "", Options{DryRun: true})
	wantOutcomes(t, dir, z, each("fused", "copied"))
	for _, m := range z.Models {
		if m.Output != "" || m.BytesOut != 0 {
			t.Errorf("%s: output %q of %d bytes", m.Input, m.Output, m.BytesOut)
		}
	}
}

// A dry run with an output refuses it where a run would, and makes nothing.
func TestDryRunOutput(t *testing.T) {
	dir, parent := tree(t, mixed), t.TempDir()
	foreign := filepath.Join(parent, "foreign")
	writeFile(t, filepath.Join(foreign, "a"), []byte("b"))
	for out, want := range map[string]error{
		foreign:                      ErrNotOurs,
		filepath.Join(dir, "out"):    ErrInside,
		filepath.Join(parent, "new"): nil,
	} {
		if _, err := runZoo(t, dir, out, Options{DryRun: true}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", out, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(parent, "new")); err == nil {
		t.Error("a folder was made")
	}
	if _, err := runZoo(t, dir, "", Options{}); !errors.Is(err, ErrNoOutput) {
		t.Errorf("without an output: %v", err)
	}
}

// TestDryRunSaysTheSame: of an optimizer beside its model, a damaged file, and a graph that is not every checkpoint's,
// a dry run has the verdicts of the run.
func TestDryRunSaysTheSame(t *testing.T) {
	dir, out := tree(t, mixed), filepath.Join(t.TempDir(), "out")
	for name, text := range map[string]string{
		"optimizer.pt": "\x80\x02c__main__\nTrainingArguments\n)R.", // of torch.save no more than the beginning
		"cut.pt":       string(readFile(t, "../testdata/resnet.pt")[:1000]),
		"other.pt":     string(readFile(t, "../testdata/grouped_decoder.pt")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Checkpoint: Checkpoint{Graph: "../testdata/resnet.onnx"}}
	verdicts := func(z *report.Zoo) map[string]string {
		list := map[string]string{}
		for _, m := range z.Models {
			rel, err := filepath.Rel(dir, m.Input)
			if err != nil {
				t.Fatal(err)
			}
			list[rel] = fmt.Sprintf("%s %d %d", m.Status, m.Folded, m.Kept)
		}
		return list
	}
	did, err := runZoo(t, dir, out, o)
	if err != nil {
		t.Fatal(err)
	}
	o.DryRun = true
	would, err := runZoo(t, dir, "", o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(verdicts(did), verdicts(would)); diff != "" {
		t.Errorf("(-run +dry run):\n%s", diff)
	}
	for name, want := range map[string]string{"optimizer.pt": "copied 0 0", "cut.pt": "failed 0 0"} {
		if got := verdicts(did)[name]; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if contents(t, out)["optimizer.pt"] == "" {
		t.Error("the optimizer's state is not there")
	}
}
