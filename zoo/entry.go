package zoo

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/bnfuse/bnfuse/report"
)

// entry says that an item is done: from what, how, and what was written. It holds while all of this is so.
type entry struct {
	Path   string        `json:"path"`
	Key    string        `json:"key"`  // the version and the options that matter
	Read   []input       `json:"read"` // the item's files, and the graph or pairs file of a checkpoint
	Wrote  []output      `json:"wrote"`
	Report *report.Model `json:"report,omitempty"` // of a model, without what differs from run to run

	text []byte // its line in the journal
}

// isLocal reports whether all that the entry says was written lies in OUT.
func (e *entry) isLocal() bool {
	return !slices.ContainsFunc(e.Wrote, func(w output) bool { return !filepath.IsLocal(filepath.FromSlash(w.Name)) })
}

// model is the name of the output that stands for the item.
func (e *entry) model() string {
	if len(e.Wrote) == 0 {
		return e.Path
	}
	return e.Wrote[len(e.Wrote)-1].Name // files that belong to others are written first
}

// input is a file that was read, as it was when the zoo was walked. A file that changes gets another time.
type input struct {
	Name string `json:"name"` // relative to the zoo, or outside it as it was given
	Size int64  `json:"size"`
	Time int64  `json:"time"` // of the last change, nanoseconds since 1970
}

// output is a file that was written.
type output struct {
	Name string `json:"name"` // relative to OUT
	Size int64  `json:"size"`
}

// stamp reads the size and time of a file.
func stamp(name, path string) (input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return input{}, err
	}
	return input{name, info.Size(), info.ModTime().UnixNano()}, nil
}

// holds reports whether what is to be done is what the entry says, and its files are still there.
func (e *entry) holds(key string, read []input, out string) bool {
	return e != nil && e.Key == key && slices.Equal(e.Read, read) && !slices.ContainsFunc(e.Wrote, func(w output) bool {
		info, err := os.Lstat(filepath.Join(out, filepath.FromSlash(w.Name)))
		return err != nil || !info.Mode().IsRegular() || info.Size() != w.Size
	})
}

// measure notes the size of files that were written, paths below out.
func measure(out string, paths []string) ([]output, error) {
	var list []output
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(out, path)
		if err != nil {
			return nil, err
		}
		list = append(list, output{filepath.ToSlash(name), info.Size()})
	}
	return list, nil
}
