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
	written, undone := map[string]bool{}, map[string]bool{} // files in OUT, by name
	for _, e := range r.done {
		e.mark(written)
	}
	for path, old := range r.journal.old {
		if r.done[path] == nil {
			old.mark(undone)
		}
	}
	var left, outdated []string
	for _, path := range slices.Sorted(maps.Keys(r.journal.old)) {
		for _, w := range r.journal.old[path].Wrote {
			file := filepath.Join(r.out, filepath.FromSlash(w.Name))
			info, err := os.Lstat(file)
			switch {
			case err != nil || !info.Mode().IsRegular() || written[w.Name]:
			case r.failed[path]:
				outdated = append(outdated, w.Name)
			case r.done[path] == nil && !r.taken[path]:
				left = append(left, w.Name)
			case undone[w.Name] || info.Size() != w.Size:
			case r.items[w.Name] && w.Name != path: // another shard may have written it just now
			default:
				if err := os.Remove(file); err != nil {
					return err
				}
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
