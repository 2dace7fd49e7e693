package zoo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree makes a folder. A line is a path and what lies there:
//
//	path            a text file
//	path = resnet.onnx    a copy of a model of testdata
//	path -> target  a link
//	path: words     a file of these words
func tree(t *testing.T, lines string) string {
	t.Helper()
	dir := t.TempDir()
	for line := range strings.Lines(lines) {
		grow(t, dir, strings.TrimSpace(line))
	}
	return dir
}

func grow(t *testing.T, dir, line string) {
	t.Helper()
	if line == "" {
		return
	}
	name, content := line, []byte("some text")
	var err error
	if at, model, ok := strings.Cut(line, " = "); ok {
		name = at
		content, err = os.ReadFile(filepath.Join("../testdata", model))
	} else if at, words, ok := strings.Cut(line, ": "); ok {
		name, content = at, []byte(words)
	}
	link, target, isLink := strings.Cut(line, " -> ")
	if isLink {
		name = link
	}
	full := filepath.Join(dir, name)
	err = errors.Join(err, os.MkdirAll(filepath.Dir(full), 0o777))
	if isLink {
		err = errors.Join(err, os.Symlink(strings.ReplaceAll(target, "DIR", dir), full))
	} else {
		err = errors.Join(err, os.WriteFile(full, content, 0o666))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// describe writes items a line each, with what is set.
func describe(dir string, items []item) string {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err.Error()
	}
	short := strings.NewReplacer(dir+"/", "", real+"/", "", dir, "DIR")
	var b strings.Builder
	for _, i := range items {
		fmt.Fprint(&b, i.path)
		for _, f := range []struct{ name, value string }{
			{"", i.format}, {"at ", strings.TrimPrefix(short.Replace(i.source), i.path)},
			{"parts ", strings.Join(i.parts, " ")}, {"data ", strings.Join(i.data, " ")},
			{"graph ", short.Replace(i.graph)}, {"new data ", i.dataName}, {"same as ", i.same}, {"to folder ", i.link},
		} {
			if f.value != "" {
				fmt.Fprintf(&b, ", %s%s", f.name, f.value)
			}
		}
		if i.err != nil {
			fmt.Fprintf(&b, ", error: %s", short.Replace(i.err.Error()))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// check walks a tree and compares.
func check(t *testing.T, dir string, o walkOptions, want, wantWarnings string) {
	t.Helper()
	var warnings strings.Builder
	o.Warn = func(text string) { warnings.WriteString(text + "\n") }
	items, err := walk(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(unindent(want), describe(dir, items)); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(unindent(wantWarnings), warnings.String()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	for _, i := range items {
		if i.err == nil && i.link == "" && (i.info == nil || i.size < i.info.Size()) {
			t.Errorf("%s: %d bytes, info %v", i.path, i.size, i.info)
		}
	}
}

// unindent drops the tabs and the empty lines that make a test readable.
func unindent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// TestModelsByContent: a model is known whatever its name is, and everything else goes along.
func TestModelsByContent(t *testing.T) {
	dir := tree(t, `
		a/resnet.onnx = resnet.onnx
		a/resnet.pt = resnet.pt
		a/resnet.safetensors = resnet.safetensors
		b/model = resnet.onnx
		b/notes.txt = resnet.pt
		b/weights.bin = resnet.safetensors
		b/weights.onnx = two_heads.onnx
		config.json: {}
		README.md
		empty.txt
		.hidden/.file
		data.bin
		odd `+"\xff"+`name.pt = resnet.pt
		x.bnfuse-tmp = resnet.onnx
		.x.onnx.12-0.bnfuse-tmp
		.bnfuse-journal
	`)
	if err := os.Truncate(filepath.Join(dir, "empty.txt"), 0); err != nil {
		t.Fatal(err)
	}
	check(t, dir, walkOptions{}, `
		.hidden/.file
		README.md
		a/resnet.onnx, onnx
		a/resnet.pt, pytorch, graph a/resnet.onnx
		a/resnet.safetensors, safetensors, graph a/resnet.onnx
		b/model, onnx
		b/notes.txt, pytorch
		b/weights.bin, safetensors, graph b/weights.onnx
		b/weights.onnx, onnx
		config.json
		data.bin
		empty.txt
		odd `+"\xff"+`name.pt, pytorch
	`, "")
}

// TestDamaged: what has a model's name is a model, if a damaged one. A damaged ONNX model is left for package
// onnx to name.
func TestDamaged(t *testing.T) {
	dir := tree(t, `
		a.onnx
		b.PT: hello
		c.Safetensors: hello
		d.pth: version https://git-lfs.github.com/spec/v1
		e.bin: version https://git-lfs.github.com/spec/v1
		f.txt: version https://git-lfs.github.com/spec/v1
		g.onnx: GGUF and more
		h.onnx
		i.safetensors.index.json: {
		j.safetensors
		k.onnx = resnet.onnx
		l.pt = resnet.pt
	`)
	for name, size := range map[string]int64{"h.onnx": 0, "j.safetensors": 0, "k.onnx": 1000, "l.pt": 1000} {
		if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
			t.Fatal(err)
		}
	}
	const pointer = "not a model or checkpoint that bnfuse reads but a Git LFS pointer: `git lfs pull` fetches the file itself"
	check(t, dir, walkOptions{}, `
		a.onnx, onnx
		b.PT, pytorch, error: its content is not that of a pytorch file
		c.Safetensors, safetensors, error: its content is not that of a safetensors file
		d.pth, pytorch, error: `+pointer+`
		e.bin, error: `+pointer+`
		f.txt
		g.onnx, onnx, error: not a model or checkpoint that bnfuse reads but a GGUF model
		h.onnx, onnx, error: the file is empty
		i.safetensors.index.json, safetensors, error: index: not valid JSON
		j.safetensors, safetensors, error: the file is empty
		k.onnx, onnx
		l.pt, pytorch
	`, "")
}

// TestShardedCheckpoint: shards belong to their index, and one that is missing is the index's error.
func TestShardedCheckpoint(t *testing.T) {
	dir := tree(t, `
		a/m.safetensors.index.json: {"weight_map": {"x": "m1.safetensors", "y": "m2.safetensors"}}
		a/m1.safetensors = resnet.safetensors
		a/m2.safetensors = qsparse_net.safetensors
		a/m.onnx = resnet.onnx
		a/other.safetensors = resnet.safetensors
		b/m.safetensors.index.json: {"weight_map": {"x": "m1.safetensors", "y": "m2.safetensors"}}
		b/m1.safetensors = resnet.safetensors
		c/m.safetensors.index.json: {"weight_map": {"x": "../a/m1.safetensors"}}
		d/pytorch_model.bin.index.json: {"weight_map": {"x": "1.bin", "y": "2.bin"}}
		d/1.bin = resnet.pt
		d/2.bin = qsparse_net.pt
		d/Pytorch_model.BIN.index.json
	`)
	check(t, dir, walkOptions{}, `
		a/m.onnx, onnx
		a/m.safetensors.index.json, safetensors, parts a/m1.safetensors a/m2.safetensors, graph a/m.onnx
		a/other.safetensors, safetensors
		b/m.safetensors.index.json, safetensors, parts b/m1.safetensors, error: shard m2.safetensors: file does not exist
		c/m.safetensors.index.json, safetensors, error: index: weight_map: "x": shard "../a/m1.safetensors" does not lie beside the index
		d/Pytorch_model.BIN.index.json, pytorch, error: its content is not that of a pytorch file
		d/pytorch_model.bin.index.json, pytorch, parts d/1.bin d/2.bin
	`, "")
	check(t, dir, walkOptions{Include: []string{"a/m2*"}}, `
		a/m.safetensors.index.json, safetensors, parts a/m1.safetensors a/m2.safetensors, graph a/m.onnx
	`, "")
	check(t, dir, walkOptions{Exclude: []string{"*.json", "c", "d"}}, `
		a/m.onnx, onnx
		a/other.safetensors, safetensors
	`, "")
}

// TestCommonShards: what is folded for one index would not suit the other, so both stay.
func TestCommonShards(t *testing.T) {
	check(t, tree(t, `
		a.safetensors.index.json: {"weight_map": {"x": "1.safetensors", "y": "2.safetensors"}}
		b.safetensors.index.json: {"weight_map": {"x": "2.safetensors", "y": "3.safetensors"}}
		c.safetensors.index.json: {"weight_map": {"x": "4.safetensors"}}
		1.safetensors = resnet.safetensors
		2.safetensors = qsparse_net.safetensors
		3.safetensors = mobilenet_v2.safetensors
		4.safetensors = resnet.safetensors
	`), walkOptions{}, `
		1.safetensors
		2.safetensors
		3.safetensors
		a.safetensors.index.json
		b.safetensors.index.json
		c.safetensors.index.json, safetensors, parts 4.safetensors
	`, `
		a.safetensors.index.json: copied as it is, because another index has the shard 2.safetensors too
		b.safetensors.index.json: copied as it is, because another index has the shard 2.safetensors too
	`)
}

// TestExternalData: the files of a model are no items. What several models read keeps its name, and what is a
// model itself stays as it is: the one that reads it may have nothing to fold.
func TestExternalData(t *testing.T) {
	dir := tree(t, `
		a/external_data.onnx = external_data.onnx
		a/external_data.onnx.data = external_data.onnx.data
		b/copy.onnx = external_data.onnx
		b/external_data.onnx = external_data.onnx
		b/external_data.onnx.data = external_data.onnx.data
		b/external_data.onnx.2.data
		c/external_data.onnx = external_data.onnx
		c/external_data.onnx.data = resnet.onnx
		d/external_data.onnx = external_data.onnx
		e/m.onnx = external_data.onnx
		e/m.onnx.data
		e/external_data.onnx.data = external_data.onnx.data
		f/external_data.onnx = external_data.onnx
		f/external_data.onnx.data -> ../a/external_data.onnx.data
		g/external_data.onnx = external_data.onnx
		g/external_data.onnx.2 = external_data.onnx
		g/external_data.onnx.data = external_data.onnx.data
		split/external_split.onnx = external_split.onnx
		split/external_split/fc.weight.bin = external_split/fc.weight.bin
		split/external_split/other
		whole/x.onnx = resnet.onnx
		whole/x.onnx.data
	`)
	check(t, dir, walkOptions{}, `
		a/external_data.onnx, onnx, data a/external_data.onnx.data
		b/copy.onnx, onnx, data b/external_data.onnx.data
		b/external_data.onnx, onnx, data b/external_data.onnx.data, new data external_data.onnx.3.data
		b/external_data.onnx.2.data
		c/external_data.onnx, onnx, data c/external_data.onnx.data, new data external_data.onnx.2.data
		c/external_data.onnx.data
		d/external_data.onnx, onnx
		e/m.onnx, onnx, data e/external_data.onnx.data, new data m.onnx.2.data
		e/m.onnx.data
		f/external_data.onnx, onnx, data f/external_data.onnx.data
		g/external_data.onnx, onnx, data g/external_data.onnx.data, new data external_data.onnx.3.data
		g/external_data.onnx.2, onnx, data g/external_data.onnx.data
		split/external_split.onnx, onnx, data split/external_split/fc.weight.bin
		split/external_split/other
		whole/x.onnx, onnx
		whole/x.onnx.data
	`, `
		c/external_data.onnx.data: copied as it is, because c/external_data.onnx keeps tensors in it
	`)
	items, err := walk(t.Context(), dir, walkOptions{Include: []string{"a/external_data.onnx"}})
	if err != nil || len(items) != 1 {
		t.Fatalf("%v, %v", items, err)
	}
	data, err := os.Stat(filepath.Join(dir, "a/external_data.onnx.data"))
	if err != nil || items[0].size != items[0].info.Size()+data.Size() {
		t.Errorf("%d bytes, %v", items[0].size, err)
	}
}

func TestIncludeExclude(t *testing.T) {
	dir := tree(t, `
		a/x.onnx = resnet.onnx
		a/x.pt = resnet.pt
		a/readme
		old/x.onnx = resnet.onnx
		old/deep/readme
		damaged.onnx: version https://git-lfs
	`)
	check(t, dir, walkOptions{Include: []string{"a", "deep/*"}}, `
		a/readme
		a/x.onnx, onnx
		a/x.pt, pytorch, graph a/x.onnx
	`, "")
	check(t, dir, walkOptions{Exclude: []string{"old", "damaged*", "*.onnx"}}, `
		a/readme
		a/x.pt, pytorch, graph a/x.onnx
	`, "")
	check(t, dir, walkOptions{Include: []string{"readme"}, Exclude: []string{"old/**"}}, `
		a/readme
	`, "")
	for _, o := range []walkOptions{{Include: []string{"["}}, {Exclude: []string{""}}} {
		if _, err := walk(t.Context(), dir, o); err == nil {
			t.Errorf("%+v: its patterns are taken", o)
		}
	}
}

// TestLeftOut: what is no file is never opened, and a history of versions is not entered.
func TestLeftOut(t *testing.T) {
	dir := tree(t, `
		a/x.onnx = resnet.onnx
		a/.git/objects/12 = resnet.onnx
		.locks/models--a/x.lock
	`)
	if err := syscall.Mkfifo(filepath.Join(dir, "a/pipe.onnx"), 0o666); err != nil {
		t.Skip(err)
	}
	grow(t, dir, "a/to_pipe.onnx -> pipe.onnx")
	check(t, dir, walkOptions{}, `
		a/x.onnx, onnx
	`, `
		a/.git: a repository's history is left out
		a/pipe.onnx: a named pipe, socket or device is left out
		a/to_pipe.onnx: a named pipe, socket or device is left out
	`)
	check(t, dir, walkOptions{Include: []string{"*.onnx"}, Exclude: []string{"to_*"}}, `
		a/x.onnx, onnx
	`, `
		a/pipe.onnx: a named pipe, socket or device is left out
	`)
}

// TestUnreadable: a file and a folder that may not be read are errors of their own.
func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	dir := tree(t, `
		a.onnx = resnet.onnx
		b.txt
		c/d.onnx = resnet.onnx
		e.onnx = resnet.onnx
	`)
	for _, name := range []string{"a.onnx", "b.txt", "c"} {
		full := filepath.Join(dir, name)
		if err := os.Chmod(full, 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(full, 0o777) })
	}
	check(t, dir, walkOptions{}, `
		a.onnx, onnx, error: permission denied
		b.txt, error: permission denied
		c, error: permission denied
		e.onnx, onnx
	`, "")
}

func TestWalkFails(t *testing.T) {
	dir := tree(t, "file")
	for path, says := range map[string]string{"missing": "no such file", "file": "not a folder"} {
		if _, err := walk(t.Context(), filepath.Join(dir, path), walkOptions{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := walk(ctx, dir, walkOptions{}); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
}

// TestWalkIsDeterministic: the same tree gives the same items, whatever the goroutines do.
func TestWalkIsDeterministic(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 {
		grow(t, dir, fmt.Sprintf("%d/m.onnx = resnet.onnx", i%20))
		grow(t, dir, fmt.Sprintf("%d/%d.txt", i%20, i))
		grow(t, dir, fmt.Sprintf("links/%d -> ../%d/m.onnx", i, i%20))
	}
	var first string
	for n := range 4 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n + 1))
		items, err := walk(t.Context(), dir, walkOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(items, func(a, b item) int { return strings.Compare(a.path, b.path) }) {
			t.Error("not sorted")
		}
		got := describe(dir, items)
		if n == 0 {
			first = got
		}
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("run %d:\n%s", n, diff)
		}
	}
	if n := strings.Count(first, "\n"); n != 420 {
		t.Errorf("%d items", n)
	}
}

// BenchmarkWalk: a folder of many files that are no models.
func BenchmarkWalk(b *testing.B) {
	dir := b.TempDir()
	for i := range 50_000 {
		folder := filepath.Join(dir, fmt.Sprint(i/1000))
		if err := errors.Join(os.MkdirAll(folder, 0o777), os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), []byte("some text"), 0o666)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := walk(b.Context(), dir, walkOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
