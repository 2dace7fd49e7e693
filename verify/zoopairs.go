package verify

import (
	"maps"
	"path"
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
//	an index                keeps its name, and its shards belong to it
//	external data           belong to their model, which may call them otherwise
//	a cache of Hugging Face its snapshots are paired as files; blobs and refs may be left out
//	other files             keep their names
func pairTrees(was, is *tree) (entries []entry, leftovers []string) {
	parts := was.parts()
	used := map[string]bool{}
	for _, p := range slices.Sorted(maps.Keys(was.files)) {
		if parts[p] {
			continue
		}
		e := entry{path: p, kind: was.files[p], err: was.damaged[p]}
		for _, name := range outputNames(p, e.kind) {
			if _, ok := is.files[name]; ok {
				e.output, used[name] = name, true
				break
			}
		}
		if e.output == "" && mayBeLeftOut(p) {
			continue
		}
		entries = append(entries, e)
	}
	// A model's files may keep the names they had: an index calls its shards as before.
	theirs := is.parts()
	for _, p := range slices.Sorted(maps.Keys(is.files)) {
		if !used[p] && !theirs[p] && !parts[p] {
			leftovers = append(leftovers, p)
		}
	}
	return entries, leftovers
}

// outputNames are the names that a fused file can have, the likeliest first.
func outputNames(p string, kind state.Kind) []string {
	if kind == state.PyTorch {
		return []string{p + ".safetensors", p}
	}
	return []string{p}
}

// mayBeLeftOut knows the files of a Hugging Face cache (models--NAME/blobs, refs, snapshots) that a folder
// made of it does not need: the links in snapshots stand for them.
func mayBeLeftOut(p string) bool {
	names := strings.Split(p, "/")
	for i := range len(names) - 1 {
		if names[i] == "blobs" || names[i] == "refs" {
			return i == 0 || strings.HasPrefix(names[i-1], "models--") // a repository itself, or in a cache
		}
	}
	return false
}

// parts are the files that belong to a model: shards, and external data that are no models themselves.
func (t *tree) parts() map[string]bool {
	parts := map[string]bool{}
	for p, kind := range t.files {
		var names []string
		switch kind {
		case state.Index:
			names = state.Shards(t.file(p))
		case kindONNX:
			names = locations(t.file(p))
		}
		for _, name := range names {
			at := path.Join(path.Dir(p), name)
			if of, ok := t.files[at]; ok && (kind == state.Index || of == "") {
				parts[at] = true
			}
		}
	}
	return parts
}

// locations are the files that a model keeps data in; none of a damaged model, which is reported elsewhere.
func locations(file string) []string {
	m, err := openModel(file)
	if err != nil {
		return nil
	}
	defer m.close()
	names := map[string]bool{}
	for _, g := range append(m.allGraphs(), m.functions...) {
		for _, t := range g.inits {
			names[t.location()] = true
		}
		for _, n := range g.nodes {
			for _, a := range n.attrs {
				if a.tensor == nil {
					continue
				}
				if t, err := m.parseTensor(a.tensor...); err == nil {
					names[t.location()] = true
				}
			}
		}
	}
	delete(names, "")
	return slices.Collect(maps.Keys(names))
}

func (t *tensor) location() string {
	if t.external == nil {
		return ""
	}
	return t.external.location
}
