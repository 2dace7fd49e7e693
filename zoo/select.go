package zoo

import (
	"path"
	"slices"
	"strings"
)

// selected are the items that remain, in order.
func (w *walker) selected() []item {
	rest := slices.DeleteFunc(w.found, func(f *found) bool { return f.dropped || !w.wants(&f.item) })
	slices.SortFunc(rest, func(a, b *found) int { return strings.Compare(a.path, b.path) })
	w.findSame(rest)
	var items []item
	for _, f := range rest {
		if f.link == "" || leadsTo(&f.item, rest) {
			items = append(items, f.item)
		}
	}
	return items
}

// wants reports whether an item is included and not excluded.
func (w *walker) wants(i *item) bool {
	return w.wantsPath(i.path) || !matchAny(w.exclude, i.path) &&
		slices.ContainsFunc(i.parts, func(part string) bool { return matchAny(w.include, part) })
}

// wantsPath reports whether a path by itself is included and not excluded.
func (w *walker) wantsPath(p string) bool {
	return !matchAny(w.exclude, p) && (len(w.include) == 0 || matchAny(w.include, p))
}

// leadsTo reports whether a link to a folder leads to anything that remains, which is sorted.
func leadsTo(link *item, rest []*found) bool {
	target := path.Join(path.Dir(link.path), link.link)
	if target == "." {
		return true
	}
	prefix := target + "/"
	n, _ := slices.BinarySearchFunc(rest, prefix, func(f *found, p string) int { return strings.Compare(f.path, p) })
	return n < len(rest) && strings.HasPrefix(rest[n].path, prefix)
}
