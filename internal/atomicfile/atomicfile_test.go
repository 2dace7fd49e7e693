package atomicfile

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// The target appears at Commit and not before, with the permissions asked for.
func TestCommit(t *testing.T) {
	for _, sync := range []bool{false, true} {
		dir := t.TempDir()
		target := filepath.Join(dir, "out")
		f, err := Create(target, 0o640, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Reserve(5, false); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("hello"), 0); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); len(got) != 1 || !strings.HasSuffix(got[0], Suffix) {
			t.Errorf("before Commit: %q", got)
		}
		if err := f.Commit(sync); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("Close after Commit: %v", err)
		}
		got, err := os.ReadFile(target)
		if st, serr := os.Stat(target); err != nil || serr != nil || string(got) != "hello" || st.Mode().Perm() != 0o640 {
			t.Errorf("%q, %v, error %v", got, st.Mode(), err)
		}
	}
}

// What came into the way while the file was made is not replaced, unless that was asked for; nor where the file
// system has no way to rename but by links.
func TestCommitFindsAnother(t *testing.T) {
	for _, replace := range []bool{false, true} {
		dir := t.TempDir()
		target := filepath.Join(dir, "out")
		f, err := Create(target, 0o600, replace)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
		err = f.Commit(false)
		text, _ := os.ReadFile(target)
		if replace && (err != nil || len(text) != 0) || !replace && (!errors.Is(err, ErrExists) || string(text) != "theirs") {
			t.Errorf("replace %v: %v, the file has %q", replace, err, text)
		}
		if got := names(t, dir); !slices.Equal(got, []string{"out"}) {
			t.Errorf("replace %v: %q", replace, got)
		}
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	for i, want := range []error{nil, fs.ErrExist} {
		if err := os.WriteFile(from, []byte{byte(i)}, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := linkNew(from, to); !errors.Is(err, want) {
			t.Errorf("linkNew: %v, want %v", err, want)
		}
	}
	if text, _ := os.ReadFile(to); !slices.Equal(text, []byte{0}) {
		t.Error("linkNew replaced a file")
	}
}

// Close without Commit leaves nothing, and what stood there as it was.
func TestClose(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "out")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(target, 0o600, false); !errors.Is(err, ErrExists) {
		t.Errorf("an existing target: %v", err)
	}
	f, err := Create(target, 0o600, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(target); string(got) != "old" || err != nil || len(names(t, dir)) != 1 {
		t.Errorf("%q, %v, %q", got, err, names(t, dir))
	}
}

// Errors name the target, not the temporary file.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "no", "out")
	if _, err := Create(missing, 0o600, false); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), missing+":") {
		t.Errorf("a missing folder: %v", err)
	}
	for _, replace := range []bool{false, true} {
		if _, err := Create(dir, 0o600, replace); err == nil || errors.Is(err, ErrExists) {
			t.Errorf("a folder as the target: %v", err)
		}
	}
	f, err := Create(filepath.Join(dir, "out"), 0o600, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Reserve(1<<62, false); err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, "out")+":") {
		t.Errorf("more room than there is: %v", err)
	}
	f.File.Close()
	if _, err := f.WriteAt([]byte("x"), 0); err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, "out")+":") {
		t.Errorf("a write that fails: %v", err)
	}
}

func TestCopyFrom(t *testing.T) {
	dir := t.TempDir()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	in := filepath.Join(dir, "in")
	if err := os.WriteFile(in, data, 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	f, err := Create(filepath.Join(dir, "out"), 0o600, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(f.CopyFrom(context.Background(), src, int64(len(data))), f.Commit(false)); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, error %v, or not the same", len(got), err)
	}
}

// What a killed program left is removed; what one is at work on, and what is not ours, stays.
func TestRemoveLeftovers(t *testing.T) {
	dir := t.TempDir()
	live, err := Create(filepath.Join(dir, "live"), 0o600, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".model.onnx.4711-0" + Suffix, "not-hidden" + Suffix, ".other"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := RemoveLeftovers(dir); err != nil || len(removed) != 1 || removed[0] != ".model.onnx.4711-0"+Suffix {
		t.Errorf("removed %q, error %v", removed, err)
	}
	if err := live.Commit(false); err != nil {
		t.Error(err)
	}
	if got := names(t, dir); len(got) != 3 {
		t.Errorf("left: %q", got)
	}
	if _, err := RemoveLeftovers(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

// A leftover has the permissions that the file was to have: its owner may not write to it, perhaps.
func TestRemoveReadOnlyLeftover(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write to every file")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".m.onnx.4711-0"+Suffix), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if removed, err := RemoveLeftovers(dir); err != nil || len(removed) != 1 {
		t.Errorf("removed %q, error %v", removed, err)
	}
}

// A copy ends with its context, and with a source that is shorter than it was.
func TestCopyFromStops(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	if err := os.WriteFile(in, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	f, err := Create(filepath.Join(dir, "out"), 0o600, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.CopyFrom(ctx, src, 5); err == nil {
		t.Skip("the file system clones files, which takes no time")
	} else if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := f.CopyFrom(context.Background(), src, 6); err == nil {
		t.Error("a source that is too short is copied")
	}
}

// A name as long as a name may be has a temporary one, and so has one that shares its beginning.
func TestLongNames(t *testing.T) {
	dir := t.TempDir()
	for _, end := range []string{"a", "b"} {
		name := filepath.Join(dir, strings.Repeat("é", 127)+end)
		f, err := Create(name, 0o600, false)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if end == "a" {
			continue // both are in the making
		}
		if err := f.Commit(false); err != nil {
			t.Error(err)
		}
	}
}
