package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"
)

// result is what one run of the program left behind.
type result struct {
	code           int
	stdout, stderr string
	maxRSS         int64 // bytes
}

// crashed matches what the Go runtime prints when a program dies of a mistake of its own.
var crashed = regexp.MustCompile(`(?m)^(panic:|fatal error:|goroutine \d+ \[|SIG[A-Z]+:)`)

// bnfuse runs the program. However it ends, it must not crash or hang.
func bnfuse(t *testing.T, args ...string) result {
	t.Helper()
	return bnfuseWith(t, nil, args...)
}

func bnfuseWith(t *testing.T, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("bnfuse %q: %v\n%s", args, errors.Join(err, ctx.Err()), stderr.String())
	}
	r := result{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.maxRSS = usage.Maxrss << 10
	}
	if crashed.MatchString(r.stderr) || r.code < 0 || r.code > 2 {
		t.Fatalf("bnfuse %q: exit %d\n%s", args, r.code, r.stderr)
	}
	return r
}

// report is the part of --report's JSON that the tests read.
type report struct {
	Input, Output, Engine, Format string
	Folded, Kept                  int
	Norms                         []norm
}

type norm struct {
	Name, Kind, Layer, Direction, Status, Reason string
	Channels                                     int
}

// fuse folds model into out and gives the report. It fails the test if the program does.
func fuse(t *testing.T, model, out string, flags ...string) report {
	t.Helper()
	return fuseWith(t, nil, model, out, flags...)
}

func fuseWith(t *testing.T, env []string, model, out string, flags ...string) report {
	t.Helper()
	before := readFile(t, model)
	reportFile := filepath.Join(t.TempDir(), "report.json")
	args := append([]string{"fuse", model, "-o", out, "--report", reportFile}, flags...)
	if r := bnfuseWith(t, env, args...); r.code != 0 {
		t.Fatalf("bnfuse %q: exit %d\n%s", args, r.code, r.stderr)
	}
	if model != out && !bytes.Equal(before, readFile(t, model)) {
		t.Errorf("bnfuse %q changed its input", args)
	}
	return readReport(t, reportFile)
}

func readReport(t *testing.T, path string) report {
	t.Helper()
	var r report
	if err := json.Unmarshal(readFile(t, path), &r); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	folded, kept := 0, 0
	for _, n := range r.Norms {
		switch {
		case n.Status == "folded" && n.Layer != "":
			folded++
		case n.Status == "kept" && n.Reason != "":
			kept++
		default:
			t.Errorf("%s: norm %q has status %q, layer %q, reason %q", path, n.Name, n.Status, n.Layer, n.Reason)
		}
	}
	if folded != r.Folded || kept != r.Kept {
		t.Errorf("%s: says %d folded and %d kept, lists %d and %d", path, r.Folded, r.Kept, folded, kept)
	}
	return r
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// readTree reads every file below dir, by its path relative to dir.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		tree[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// sameTree fails the test if a file below dir was added, removed or changed since want was read.
func sameTree(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if got := readTree(t, dir); !maps.Equal(got, want) {
		t.Errorf("%s: files are now %q, were %q, or their bytes differ", dir, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}
