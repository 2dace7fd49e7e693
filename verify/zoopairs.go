package verify

import (
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

// entry is a file of the original folder, or a model with all its files, and what was made of it.
type entry struct {
	path, output string // output "" where it is missing
	kind         state.Kind
	err          error
}

func (e *entry) isModel() bool { return e.kind != "" }

// pairTrees finds the counterpart of each file, and what the fused folder has beside. The rules:
//
//	x.onnx, x.safetensors   keep their names
//	x.pt                    becomes x.pt.safetensors, or stays x.pt where nothing was folded
//	an index                keeps its name, and its shards belong to it; x.bin.index.json may become
//	                        x.bin.safetensors.index.json
//	external data           belong to their model, which may call them otherwise
//	a cache of Hugging Face its snapshots are paired as files; blobs and refs may be left out
//	other files             keep their names
//
// A name that a selected file of the original has is that file's alone.
func pairTrees(was, is *tree, selects func(string) bool) (entries []entry, leftovers []string) {
	parts := was.parts()
	used := map[string]bool{}
	for _, p := range slices.Sorted(maps.Keys(was.files)) {
		if parts[p] {
			continue
		}
		e := entry{path: p, kind: was.files[p], err: was.damaged[p]}
		for _, name := range outputNames(p, e.kind) {
			if _, taken := was.files[name]; taken && name != p && selects(name) {
				continue
			}
			if _, ok := is.files[name]; ok {
				e.output, used[name] = name, true
				break
			}
		}
		if e.output == "" && was.mayBeLeftOut(p) {
			continue
		}
		entries = append(entries, e)
	}
	theirs, shards := is.parts(), was.shards() // a shard whose norms are all gone is in no index
	for _, p := range slices.Sorted(maps.Keys(is.files)) {
		if !used[p] && !theirs[p] && !shards[p] {
			leftovers = append(leftovers, p)
		}
	}
	return entries, leftovers
}

// outputNames are the names that a fused file can have, the likeliest first.
func outputNames(p string, kind state.Kind) []string {
	stem, isBin := strings.CutSuffix(p, state.BinIndexSuffix)
	switch {
	case kind == state.PyTorch:
		return []string{p + ".safetensors", p}
	case kind == state.Index && isBin:
		return []string{stem + ".bin" + state.IndexSuffix, p}
	}
	return []string{p}
}

// mayBeLeftOut knows the files of a Hugging Face cache (models--NAME/blobs, refs, snapshots) that a folder
// made of it does not need: the links in snapshots stand for them. The folder may be one repository.
func (t *tree) mayBeLeftOut(p string) bool {
	names := strings.Split(p, "/")
	for i := range len(names) - 1 {
		if names[i] != "blobs" && names[i] != "refs" {
			continue
		}
		repository := path.Base(path.Join(filepath.ToSlash(t.dir), path.Join(names[:i]...)))
		if strings.HasPrefix(repository, "models--") {
			return true
		}
	}
	return false
}

// parts are the files that belong to a model: shards, and external data that are no models themselves.
func (t *tree) parts() map[string]bool {
	parts := map[string]bool{}
	for p, names := range t.needs {
		for _, name := range names {
			at := path.Join(path.Dir(p), name)
			if of, ok := t.files[at]; ok && (t.files[p] == state.Index || of == "" || of == kindUnreadable) {
				parts[at] = true
			}
		}
	}
	return parts
}

// shards are the files that an index names.
func (t *tree) shards() map[string]bool {
	shards := map[string]bool{}
	for p, names := range t.needs {
		for _, name := range names {
			if t.files[p] == state.Index {
				shards[path.Join(path.Dir(p), name)] = true
			}
		}
	}
	return shards
}

// locations are the files that a model keeps tensors in.
func (m *model) locations() []string {
	names := map[string]bool{}
	note := func(t *tensor) {
		if t.external != nil {
			names[t.external.location] = true
		}
	}
	for _, g := range append(m.allGraphs(), m.functions...) {
		for _, t := range g.inits {
			note(t)
		}
		for _, n := range g.nodes {
			for _, a := range n.attrs {
				if a.tensor == nil {
					continue
				}
				if t, err := m.parseTensor(a.tensor...); err == nil { // else the comparison will say so
					note(t)
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
