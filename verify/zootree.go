package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

// tree is a folder of models: its files by path, with slashes.
type tree struct {
	dir     string
	files   map[string]state.Kind // "" for what is no model
	damaged map[string]error      // links that lead nowhere, files that cannot be read
	needs   map[string][]string   // of an index its shards, of a model its external data, as it names them
}

// readTree lists a folder. A link to a file counts as the file; links to folders are not followed.
func readTree(dir string) (*tree, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err == nil {
		if info, statErr := os.Stat(root); statErr != nil {
			err = statErr
		} else if !info.IsDir() {
			err = errors.New("not a folder")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("verify: %s: %w", dir, bare(err))
	}
	t := &tree{dir: root, files: map[string]state.Kind{}, damaged: map[string]error{}, needs: map[string][]string{}}
	err = filepath.WalkDir(root, func(full string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(root, full)
		p := filepath.ToSlash(rel)
		switch {
		case relErr != nil || err != nil && p == ".":
			return errors.Join(relErr, err)
		case err != nil: // a folder that cannot be read; the others can
			t.files[p], t.damaged[p] = kindUnreadable, bare(err)
		case d.IsDir() && isPassedOver(d.Name()) && p != ".":
			return fs.SkipDir
		case isOurs(d.Name()) || d.IsDir():
		case d.Type().IsRegular() || d.Type()&fs.ModeSymlink != 0:
			t.add(p, full)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verify: %s: %w", dir, err)
	}
	return t, nil
}

func (t *tree) add(p, full string) {
	info, err := os.Stat(full)
	if err == nil && !info.Mode().IsRegular() {
		return // a folder, which is in the tree by its own name, or nothing that a zoo has
	}
	kind := state.Kind("")
	if err == nil {
		kind, t.needs[p], err = recognize(full)
	}
	if kind == "" && (err != nil || namedAsModel(full)) {
		kind = kindUnreadable
	}
	if t.files[p] = kind; err != nil {
		t.damaged[p] = bare(err)
	}
}

// isPassedOver knows folders that are no part of a zoo: histories of versions, and the locks of a cache.
func isPassedOver(name string) bool {
	return slices.Contains([]string{".git", ".hg", ".svn", ".locks"}, name)
}

// isOurs knows what a run leaves beside its output: its journal, and temporary files.
func isOurs(name string) bool {
	return strings.HasPrefix(name, ".bnfuse-") || strings.HasSuffix(name, ".bnfuse-tmp")
}

// recognize tells what a file is by its content, and which other files it needs. What is no model, or a
// damaged one, must be the same in both folders.
func recognize(path string) (state.Kind, []string, error) {
	kind, err := state.Of(path)
	switch {
	case err != nil:
		return "", nil, err
	case kind == state.Index:
		return kind, state.Shards(path), nil
	case kind == state.PyTorch:
		d, err := state.Open(path)
		if err != nil {
			return "", nil, nil // an archive, or something else that was pickled
		}
		d.Close()
		return kind, nil, nil
	case kind == "" && mayBeONNX(path):
		m, err := openModel(path)
		if err != nil {
			return "", nil, nil
		}
		defer m.close()
		return kindONNX, m.locations(), nil
	}
	return kind, nil, nil
}

// kindUnreadable is that of a file which cannot be read, or is named as a model and is none or a damaged one.
// It counts as a model, as it does for whoever folds a folder.
const kindUnreadable state.Kind = "unreadable"

// namedAsModel knows a model's name, and what git lfs leaves under a name that may be a model's.
func namedAsModel(full string) bool {
	switch strings.ToLower(filepath.Ext(full)) {
	case ".onnx", ".safetensors", ".pt", ".pth":
		return true
	case ".bin", ".ckpt":
		return bytes.HasPrefix(firstBytes(full, 64), []byte("version https://git-lfs.github.com/spec/"))
	}
	return false
}

// firstBytes are those of a file, none where it cannot be read.
func firstBytes(full string, n int) []byte {
	f, err := os.Open(full)
	if err != nil {
		return nil
	}
	defer f.Close()
	head := make([]byte, n)
	n, _ = f.ReadAt(head, 0)
	return head[:n]
}

// mayBeONNX knows a model by its name, or its first field, ir_version.
func mayBeONNX(path string) bool {
	if strings.EqualFold(filepath.Ext(path), ".onnx") {
		return true
	}
	head := firstBytes(path, 2)
	return len(head) == 2 && head[0] == 0x08 && head[1] < 100
}

// within leaves out the files of was, where that lies inside the fused folder, or the fused folder inside it.
func (t *tree) within(was *tree) {
	drop := func(outer, inner *tree) {
		rel, err := filepath.Rel(outer.dir, inner.dir)
		if err != nil || !filepath.IsLocal(rel) || rel == "." {
			return
		}
		for p := range outer.files {
			if strings.HasPrefix(p, filepath.ToSlash(rel)+"/") {
				delete(outer.files, p)
				delete(outer.damaged, p)
			}
		}
	}
	drop(was, t)
	drop(t, was)
}

// stem is a model's path without its ending: an ONNX model of this stem is a checkpoint's graph.
func stem(p string) string {
	p = strings.TrimSuffix(p, ".index.json")
	return strings.TrimSuffix(p, path.Ext(p))
}

// matchPath reports whether a pattern matches a path, or a folder that it lies in. A pattern without a slash
// is one for the last name, or a folder's.
func matchPath(pattern, p string) bool {
	want := strings.Split(path.Clean(strings.Trim(pattern, "/")), "/")
	if len(want) == 1 {
		want = slices.Insert(want, 0, "**")
	}
	return matchNames(want, strings.Split(p, "/"))
}

func matchNames(want, names []string) bool {
	if len(want) == 0 {
		return true // the rest is inside
	}
	if want[0] == "**" && matchNames(want[1:], names) {
		return true
	}
	if len(names) == 0 {
		return false
	}
	if want[0] == "**" {
		return matchNames(want, names[1:])
	}
	ok, err := path.Match(want[0], names[0])
	return ok && err == nil && matchNames(want[1:], names[1:])
}
