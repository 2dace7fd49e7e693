package zoo

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// tidy removes what an earlier run wrote for items that became other files now, such as a checkpoint that was
// fused and is copied. What it wrote for items that are not there any more, or that failed now, stays, with a warning.
func (r *run) tidy() error {
	somebodys := map[string]bool{} // files in OUT, by name
	for path, old := range r.journal.old {
		if r.done[path] == nil {
			old.mark(somebodys)
		}
	}
	for _, e := range r.done {
		e.mark(somebodys)
	}
	var left, outdated []string
	for _, path := range slices.Sorted(maps.Keys(r.journal.old)) {
		old := r.journal.old[path]
		if r.done[path] == nil && !r.taken[path] {
			left = append(left, old.outputs()...)
		}
		if r.failed[path] {
			outdated = append(outdated, old.outputs()...)
		}
		for _, w := range old.Wrote {
			file := filepath.Join(r.out, filepath.FromSlash(w.Name))
			info, err := os.Lstat(file)
			if somebodys[w.Name] || err != nil || !info.Mode().IsRegular() || info.Size() != w.Size {
				continue
			}
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	if len(left) > 0 {
		r.warn(fmt.Sprintf("files that earlier runs wrote for what is not part of this one stay, %d: %s", len(left), some(left)))
	}
	if len(outdated) > 0 {
		r.warn(fmt.Sprintf("files that earlier runs wrote for what failed in this one stay, %d: %s", len(outdated), some(outdated)))
	}
	return nil
}

// outputs are the names of what was written, where that is known.
func (e *entry) outputs() []string {
	var names []string
	for _, w := range e.Wrote {
		names = append(names, w.Name)
	}
	return names
}

// mark notes the names of what was written.
func (e *entry) mark(names map[string]bool) {
	for _, w := range e.Wrote {
		names[w.Name] = true
	}
}

// some lists the first few of many names.
func some(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", …"
}
