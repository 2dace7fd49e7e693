package zoo

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bnfuse/bnfuse/host"
)

// TestLinks: links to files are followed inside the folder only; links to folders are never walked.
func TestLinks(t *testing.T) {
	outside := tree(t, "secret.onnx = resnet.onnx")
	dir := tree(t, `
		a/m.onnx = resnet.onnx
		a/b/again.onnx -> ../m.onnx
		a/chain.onnx -> b/again.onnx
		a/absolute.onnx -> DIR/a/m.onnx
		a/m.pt = resnet.pt
		same.pt -> a/m.pt
		same.onnx -> a/m.onnx
		readme
		readme2 -> readme
		out.onnx -> `+outside+`/secret.onnx
		out.txt -> ../../../../../../etc/passwd
		up -> ..
		outfolder -> `+outside+`
		gone.onnx -> missing.onnx
		loop.onnx -> pool.onnx
		pool.onnx -> loop.onnx
		folder -> a/b
		a/root -> DIR
		a/self -> .
		empty -> nothing
	`)
	check(t, dir, walkOptions{}, `
		a/absolute.onnx, onnx, at a/m.onnx
		a/b/again.onnx, onnx, at a/m.onnx, same as a/absolute.onnx
		a/chain.onnx, onnx, at a/m.onnx, same as a/absolute.onnx
		a/m.onnx, onnx, same as a/absolute.onnx
		a/m.pt, pytorch, graph a/m.onnx
		a/root, to folder ..
		a/self, to folder .
		empty, error: a link to nothing that leads to nothing
		folder, to folder a/b
		gone.onnx, onnx, error: a link to missing.onnx that leads to nothing
		loop.onnx, onnx, error: a link to pool.onnx that leads in a circle
		out.onnx, onnx, error: a link to `+outside+`/secret.onnx, outside of DIR
		out.txt, error: a link to ../../../../../../etc/passwd, outside of DIR
		outfolder, error: a link to the folder `+outside+`, outside of DIR
		pool.onnx, onnx, error: a link to loop.onnx that leads in a circle
		readme
		readme2, at readme, same as readme
		same.onnx, onnx, at a/m.onnx, same as a/absolute.onnx
		same.pt, pytorch, at a/m.pt, graph same.onnx, same as a/m.pt
		up, error: a link to the folder .., outside of DIR
	`, "")
	check(t, dir, walkOptions{Include: []string{"folder", "a/self", "readme"}}, `
		a/self, to folder .
		readme
	`, "")
}

// cache is a Hugging Face cache: two revisions of a repository, and another repository.
func cache(t *testing.T) string {
	return tree(t, `
		models--a--net/blobs/b1 = resnet.onnx
		models--a--net/blobs/b2 = resnet.pt
		models--a--net/blobs/b3: {}
		models--a--net/blobs/b4 = external_data.onnx
		models--a--net/blobs/b5 = external_data.onnx.data
		models--a--net/blobs/old: nobody links to this
		models--a--net/blobs/b6.incomplete = resnet.onnx
		models--a--net/refs/main: r2
		models--a--net/.no_exist/r2/tokenizer.json
		models--a--net/snapshots/r1/model.onnx -> ../../blobs/b1
		models--a--net/snapshots/r1/config.json -> ../../blobs/b3
		models--a--net/snapshots/r2/model.onnx -> ../../blobs/b1
		models--a--net/snapshots/r2/model.pt -> ../../blobs/b2
		models--a--net/snapshots/r2/config.json -> ../../blobs/b3
		models--a--net/snapshots/r2/onnx/external_data.onnx -> ../../../blobs/b4
		models--a--net/snapshots/r2/onnx/external_data.onnx.data -> ../../../blobs/b5
		models--b--net/blobs/c1 = resnet.onnx
		models--b--net/snapshots/r1/model.onnx -> ../../blobs/c1
		models--b--net/snapshots/r1/stolen.onnx -> ../../../models--a--net/blobs/b1
		.locks/models--a--net/b1.lock
		version.txt: 1
	`)
}

// TestCache: blobs are met under the names that snapshots give them, each once; a link does not leave its
// repository.
func TestCache(t *testing.T) {
	dir := cache(t)
	check(t, dir, walkOptions{}, `
		models--a--net/.no_exist/r2/tokenizer.json
		models--a--net/blobs/old
		models--a--net/refs/main
		models--a--net/snapshots/r1/config.json, at models--a--net/blobs/b3
		models--a--net/snapshots/r1/model.onnx, onnx, at models--a--net/blobs/b1
		models--a--net/snapshots/r2/config.json, at models--a--net/blobs/b3, same as models--a--net/snapshots/r1/config.json
		models--a--net/snapshots/r2/model.onnx, onnx, at models--a--net/blobs/b1, same as models--a--net/snapshots/r1/model.onnx
		models--a--net/snapshots/r2/model.pt, pytorch, at models--a--net/blobs/b2, graph models--a--net/snapshots/r2/model.onnx
		models--a--net/snapshots/r2/onnx/external_data.onnx, onnx, at models--a--net/blobs/b4, data models--a--net/snapshots/r2/onnx/external_data.onnx.data
		models--b--net/snapshots/r1/model.onnx, onnx, at models--b--net/blobs/c1
		models--b--net/snapshots/r1/stolen.onnx, onnx, error: a link to ../../../models--a--net/blobs/b1, outside of models--b--net
		version.txt
	`, `
		models--a--net/blobs/b6.incomplete: an unfinished download of Hugging Face is left out
	`)
}

// TestPartOfCache: a repository and a snapshot are zoos too, whose links lead to the repository's blobs.
func TestPartOfCache(t *testing.T) {
	dir := filepath.Join(cache(t), "models--b--net")
	want := `
		snapshots/r1/model.onnx, onnx, at blobs/c1
		snapshots/r1/stolen.onnx, onnx, error: a link to ../../../models--a--net/blobs/b1, outside of DIR
	`
	check(t, dir, walkOptions{}, want, "")
	snapshot := filepath.Join(dir, "snapshots/r1")
	check(t, snapshot, walkOptions{}, `
		model.onnx, onnx, at `+dir+`/blobs/c1
		stolen.onnx, onnx, error: a link to ../../../models--a--net/blobs/b1, outside of `+dir+`
	`, "")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	check(t, link, walkOptions{}, want, "")
}

// TestSameNeedsEveryFile: a model is the same as another only with all its shards, data and graph.
func TestSameNeedsEveryFile(t *testing.T) {
	const index = `{"weight_map": {"x": "m1.safetensors", "y": "m2.safetensors"}}`
	dir := tree(t, `
		files/index: `+index+`
		files/1 = resnet.safetensors
		files/2 = qsparse_net.safetensors
		files/3 = mobilenet_v2.safetensors
		files/external = external_data.onnx
		files/data = external_data.onnx.data
		files/other
		files/net.pt = resnet.pt
		files/graph = resnet.onnx
		a/m.safetensors.index.json -> ../files/index
		a/m1.safetensors -> ../files/1
		a/m2.safetensors -> ../files/2
		a/external_data.onnx -> ../files/external
		a/external_data.onnx.data -> ../files/data
		a/net.pt -> ../files/net.pt
		a/net.onnx -> ../files/graph
		b/m.safetensors.index.json -> ../files/index
		b/m1.safetensors -> ../files/1
		b/m2.safetensors -> ../files/2
		b/external_data.onnx -> ../files/external
		b/external_data.onnx.data -> ../files/data
		b/net.pt -> ../files/net.pt
		b/net.onnx -> ../files/graph
		c/m.safetensors.index.json -> ../files/index
		c/m1.safetensors -> ../files/1
		c/m2.safetensors -> ../files/3
		c/external_data.onnx -> ../files/external
		c/external_data.onnx.data -> ../files/other
		c/net.pt -> ../files/net.pt
	`)
	items, err := walk(t.Context(), dir, walkOptions{Exclude: []string{"files"}})
	if err != nil {
		t.Fatal(err)
	}
	same := map[string]string{}
	for _, i := range items {
		same[i.path] = i.same
	}
	want := map[string]string{
		"a/m.safetensors.index.json": "", "b/m.safetensors.index.json": "a/m.safetensors.index.json", "c/m.safetensors.index.json": "",
		"a/external_data.onnx": "", "b/external_data.onnx": "a/external_data.onnx", "c/external_data.onnx": "",
		"a/net.onnx": "", "b/net.onnx": "a/net.onnx",
		"a/net.pt": "", "b/net.pt": "a/net.pt", "c/net.pt": "",
	}
	if diff := cmp.Diff(want, same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A file that has become a folder, or a link to one, makes way for it, if an earlier run wrote it.
func TestFileBecomesFolder(t *testing.T) {
	dir := tree(t, `
		a = resnet.onnx
		b: text
		c/x.onnx = resnet.onnx
		d: text
	`)
	out := filepath.Join(t.TempDir(), "out")
	mustRun(t, dir, out, Options{})
	for _, name := range []string{"a", "b"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name, "deep/x.onnx"), readFile(t, "../testdata/two_heads.onnx"))
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "d")), os.Symlink("c", filepath.Join(dir, "d"))); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "mine/x.onnx"), readFile(t, "../testdata/two_heads.onnx"))
	writeFile(t, filepath.Join(out, "mine"), []byte("no run of ours wrote this"))
	want := map[string]string{"a/deep/x.onnx": "fused", "b/deep/x.onnx": "fused", "c/x.onnx": "fused before", "mine/x.onnx": "failed"}
	z := mustRun(t, dir, out, Options{})
	if diff := cmp.Diff(want, outcomes(t, dir, z)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := string(readFile(t, filepath.Join(out, "mine"))); got != "no run of ours wrote this" {
		t.Errorf("somebody's file holds %q", got)
	}
	if to, err := os.Readlink(filepath.Join(out, "d")); to != "c" {
		t.Errorf("the link leads to %q: %v", to, err)
	}
}

// A folder link that has become a folder: what is in it does not come into the folder that the link of the earlier
// run leads to.
func TestLinkBecomesFolder(t *testing.T) {
	dir := tree(t, `
		v1/x.onnx = resnet.onnx
		latest -> v1
	`)
	out := filepath.Join(t.TempDir(), "out")
	o := Options{Engines: Engines{Engine: host.New()}, Log: slog.New(slog.DiscardHandler)}
	run := func() {
		t.Helper()
		if _, err := Run(context.Background(), dir, out, o); err != nil {
			t.Fatal(err)
		}
	}
	run()
	first := readFile(t, filepath.Join(out, "v1/x.onnx"))
	latest := filepath.Join(dir, "latest")
	if err := os.Remove(latest); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(latest, "x.onnx"), readFile(t, "../testdata/two_heads.onnx"))
	run()
	if !bytes.Equal(readFile(t, filepath.Join(out, "v1/x.onnx")), first) {
		t.Error("the output of another model was replaced")
	}
	if bytes.Equal(readFile(t, filepath.Join(out, "latest/x.onnx")), first) {
		t.Error("the link still stands for the folder")
	}
}
