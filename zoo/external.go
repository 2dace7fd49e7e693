package zoo

import (
	"fmt"
	"path"
	"slices"
)

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
				w.warn(d.path, "copied as it is, because "+f.path+" keeps tensors in it")
				d.leave()
			}
		})
	}
	users := map[*found]int{}
	for _, f := range w.found {
		if f.format == formatONNX {
			w.eachData(f, func(d *found) {
				if d.user == f {
					return // named in another way too
				}
				f.data = append(f.data, d.path)
				f.size += d.size
				users[d]++
				d.user, d.dropped = f, !d.stays
			})
		}
	}
	for _, f := range w.found {
		if d := w.byPath[f.path+".data"]; len(f.data) > 0 && d != nil && (users[d] != 1 || d.stays || !slices.Contains(f.data, d.path)) {
			f.dataName = w.freeName(f)
		}
	}
}

// freeName is the name of the new external data of a model, where the usual one is that of a file that has to
// stay: another model may go on reading it. Nor is it the usual one of another model, which that may write.
func (w *walker) freeName(f *found) string {
	for n := 2; ; n++ {
		other := fmt.Sprintf("%s.%d", path.Base(f.path), n)
		if w.beside(f, other) == nil && w.beside(f, other+".data") == nil {
			return other + ".data"
		}
	}
}

// eachData visits the files that a model keeps tensors in, as far as they are there.
func (w *walker) eachData(f *found, visit func(d *found)) {
	for _, location := range f.locations {
		if d := w.beside(f, location); d != nil && d.link == "" && d != f {
			visit(d)
		}
	}
}
