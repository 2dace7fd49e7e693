package zoo

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// claimShards gives the shards of an index to it.
func (w *walker) claimShards() {
	w.leaveShared()
	for _, f := range w.found {
		for _, name := range f.shards {
			shard := w.beside(f, name)
			if err := shard.missing(); err != nil && f.err == nil {
				f.err = fmt.Errorf("shard %s: %w", name, err)
			}
			if shard != nil {
				f.parts = append(f.parts, shard.path)
				f.size += shard.size
				shard.dropped = true
			}
		}
	}
}

// leaveShared lets indexes that have a shard in common stay as they are, with all their shards: what is folded
// for one would not suit the other.
func (w *walker) leaveShared() {
	users := map[*found]int{}
	for _, f := range w.found {
		for _, name := range f.shards {
			users[w.beside(f, name)]++
		}
	}
	for _, f := range w.found {
		common := slices.IndexFunc(f.shards, func(name string) bool {
			shard := w.beside(f, name)
			return shard != nil && users[shard] > 1
		})
		if common < 0 {
			continue
		}
		w.warn(f.path, "copied as it is, because another index has the shard "+f.shards[common]+" too")
		for _, name := range f.shards {
			if shard := w.beside(f, name); shard != nil {
				shard.leave()
			}
		}
		f.leave()
		f.shards = nil
	}
}

// beside is the file of that name in the folder of f, nil for none.
func (w *walker) beside(f *found, name string) *found {
	return w.byPath[path.Join(path.Dir(f.path), name)]
}

// missing says why a file cannot be read.
func (f *found) missing() error {
	if f == nil || f.info == nil && f.err == nil { // a link to a folder has no info
		return fs.ErrNotExist
	}
	return f.err
}

// leave makes a model a file like others.
func (f *found) leave() { f.content, f.format, f.stays = "", "", true }

// findGraphs finds the ONNX model beside a checkpoint that has its stem. It will be opened by its path, because
// its external data lie beside that.
func (w *walker) findGraphs() {
	for _, f := range w.found {
		if f.dropped || f.content == "" || f.content == formatONNX {
			continue
		}
		if g := w.byPath[stem(f.path)+".onnx"]; g != nil && g.content == formatONNX {
			f.graph, f.graphReal = w.named(g.path), g.real
		}
	}
}

// stem is a model's path without its extension or an index's ending.
func stem(p string) string {
	p = strings.TrimSuffix(p, ".index.json")
	return strings.TrimSuffix(p, path.Ext(p))
}

// findSame marks the items all of whose files an earlier item has too.
func (w *walker) findSame(sorted []*found) {
	first := map[string]string{}
	for _, f := range sorted {
		if f.err != nil || f.link != "" {
			continue
		}
		key := []string{f.format, f.real, f.graphReal, f.dataName}
		for _, p := range append(slices.Clone(f.parts), f.data...) {
			key = append(key, w.byPath[p].real)
		}
		k := strings.Join(key, "\x00")
		if earlier, ok := first[k]; ok {
			f.same = earlier
		} else {
			first[k] = f.path
		}
	}
}
