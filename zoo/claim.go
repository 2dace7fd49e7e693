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

// claimData gives external data to their models. A checkpoint, or a model, that another keeps tensors in has to
// stay as it is: it becomes a file like others.
func (w *walker) claimData() {
	for _, f := range w.found {
		w.eachData(f, func(d *found) {
			switch {
			case d.content == "":
			case d.dropped || d.shards != nil:
				f.err = fmt.Errorf("external data %s: they belong to a sharded checkpoint", d.path)
			default:
				w.warn(d.path + ": copied as it is, because " + f.path + " keeps tensors in it")
				d.content, d.format, d.stays = "", "", true
			}
		})
	}
	users := map[*found]int{}
	for _, f := range w.found {
		if f.format == formatONNX {
			w.eachData(f, func(d *found) {
				f.data = append(f.data, d.path)
				f.size += d.size
				users[d]++
				d.dropped = !d.stays
			})
		}
	}
	for _, f := range w.found {
		if d := w.byPath[f.path+".data"]; len(f.data) > 0 && d != nil && (users[d] != 1 || d.stays || !slices.Contains(f.data, d.path)) {
			f.dataName = w.freeName(path.Base(f.path), path.Dir(f.path))
		}
	}
}

// freeName is the name of the new external data of a model, where the usual one is that of a file that has to
// stay: another model may go on reading it.
func (w *walker) freeName(model, dir string) string {
	for n := 2; ; n++ {
		name := fmt.Sprintf("%s.%d.data", model, n)
		if w.byPath[path.Join(dir, name)] == nil {
			return name
		}
	}
}

// eachData visits the files that a model keeps tensors in, as far as they are there.
func (w *walker) eachData(f *found, visit func(d *found)) {
	for _, location := range f.locations {
		if d := w.byPath[path.Join(path.Dir(f.path), location)]; d != nil && d.link == "" && d != f {
			visit(d)
		}
	}
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
