package zoo

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/onnx"
)

// claimShards gives the shards of an index to it.
func (w *walker) claimShards() {
	for _, f := range w.found {
		for _, name := range f.shards {
			p := path.Join(path.Dir(f.path), name)
			shard := w.byPath[p]
			var err error
			switch {
			case shard == nil || shard.info == nil && shard.err == nil:
				err = fs.ErrNotExist
			case shard.err != nil:
				err = shard.err
			default:
				f.size += shard.size
			}
			if err != nil && f.err == nil {
				f.err = fmt.Errorf("shard %s: %w", name, err)
			}
			if shard != nil {
				f.parts = append(f.parts, p)
				shard.dropped = true
			}
		}
	}
}

// claimData gives external data to their models. A model is read for that only where other files lie beside or
// below it. A file that is a model itself stays one, whatever another says of it.
func (w *walker) claimData(ctx context.Context) {
	others := map[string]bool{} // folders that have other files in them or below
	for _, f := range w.found {
		if f.dropped || f.content != "" || f.info == nil {
			continue
		}
		for dir := path.Dir(f.path); !others[dir]; dir = path.Dir(dir) {
			others[dir] = true
		}
	}
	w.each(ctx, runtime.GOMAXPROCS(0), func(f *found) {
		if f.format == formatONNX && others[path.Dir(f.path)] {
			f.data = locations(f)
		}
	})
	for _, f := range w.found {
		var data []string
		for _, location := range f.data {
			p := path.Join(path.Dir(f.path), location)
			if d := w.byPath[p]; d != nil && d.content == "" && d.link == "" {
				data = append(data, p)
				f.size += d.size
				d.dropped = true
			}
		}
		f.data = data
	}
}

// locations are the files that a model keeps tensors in. A damaged model has none; its error is for later.
func locations(f *found) []string {
	file, err := os.Open(f.source)
	if err != nil {
		return nil
	}
	defer file.Close()
	list, err := onnx.Locations(file, f.info.Size())
	if err != nil {
		return nil
	}
	return list
}

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
		key := []string{f.format, f.real, f.graphReal}
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
