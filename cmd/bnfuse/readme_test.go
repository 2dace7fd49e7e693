package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestREADMEShowsRealOutput runs the commands of the README and compares what they print.
func TestREADMEShowsRealOutput(t *testing.T) {
	readme := readText(t, "../../README.md")
	copied := regexp.MustCompile(`cp testdata/{(.*?)} build/try/models\n.* testdata/(\S+) build/try`).FindStringSubmatch(readme)
	if copied == nil {
		t.Fatal("the README does not say where its models are")
	}
	models := strings.Split(copied[1], ",")
	workIn(t, append(models, copied[2])...)
	if err := os.Mkdir("models", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, m := range models {
		if err := os.Link(m, "models/"+m); err != nil {
			t.Fatal(err)
		}
	}
	blocks := regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Fatal("the README shows no commands")
	}
	for _, block := range blocks {
		var got strings.Builder
		for line := range strings.Lines(block[1]) {
			if args, ok := strings.CutPrefix(strings.TrimSpace(line), "$ bnfuse "); ok {
				got.WriteString(line)
				got.WriteString(command(strings.Fields(args)...).stdout)
			}
		}
		if diff := cmp.Diff(block[1], got.String()); diff != "" {
			t.Errorf("(-README +real):\n%s", diff)
		}
	}
}

// TestREADMEListsEveryReason: who meets a reason in a report finds it explained.
func TestREADMEListsEveryReason(t *testing.T) {
	readme := readText(t, "../../README.md")
	source := readText(t, "../../fuse/reason.go") + readText(t, "../../checkpoint/reason.go")
	reasons := regexp.MustCompile(`Reason = "(.*)"`).FindAllStringSubmatch(source, -1)
	if len(reasons) < 20 {
		t.Fatalf("found %d reasons", len(reasons))
	}
	for _, r := range reasons {
		if !strings.Contains(readme, "| "+r[1]+" |") {
			t.Errorf("the README does not explain %q", r[1])
		}
	}
}

// TestREADMENamesFilesThatExist keeps the walk through the source true when files move.
func TestREADMENamesFilesThatExist(t *testing.T) {
	names := regexp.MustCompile("`([a-z0-9_/]+[.](go|cu))`").FindAllStringSubmatch(readText(t, "../../README.md"), -1)
	if len(names) < 10 {
		t.Fatalf("the README names %d files", len(names))
	}
	for _, name := range names {
		readText(t, "../../"+name[1])
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
