package zoo

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/bnfuse/bnfuse/checkpoint"
)

// job is an item that is to be done.
type job struct {
	item
	key    string
	read   []input
	target string // where the model goes if it is fused, relative to OUT
	work   Work
	begun  time.Time
}

// newJob says how an item is to be done.
func (r *run) newJob(i item) (*job, error) {
	j := &job{item: i, key: "copy", target: i.path, begun: time.Now()}
	if i.err != nil || i.link != "" {
		return j, i.err
	}
	if i.isModel() {
		j.key = "bnfuse " + r.Version
		if i.dataName != "" {
			j.key += " data=" + i.dataName
		}
		j.work = Work{In: filepath.Join(r.dir, filepath.FromSlash(i.path)), Format: i.format, Data: i.dataName, Own: true, folder: r.folder}
	}
	var depends []string
	if i.isModel() && i.format != formatONNX {
		j.work.Checkpoint = r.checkpoint(i)
		j.key += j.work.Checkpoint.key()
		depends = j.work.Checkpoint.files()
		j.target = checkpoint.OutputName(i.path, i.format)
	}
	j.work.Out = filepath.Join(r.out, filepath.FromSlash(j.target))
	var err error
	j.read, err = r.stamps(i, depends)
	return j, err
}

// openFiles is how many files are open while the item is fused: its own, and as many that are written.
func (j *job) openFiles() int { return max(filesInHand, 2*(1+len(j.parts)+len(j.data))) }

// stamps are the sizes and times of an item's files, and of those it depends on.
func (r *run) stamps(i item, depends []string) ([]input, error) {
	list := []input{{i.path, i.info.Size(), i.info.ModTime().UnixNano()}}
	names := append(append([]string{}, i.parts...), i.data...)
	for _, name := range names {
		s, err := stamp(name, filepath.Join(r.dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	for _, path := range depends {
		s, err := stamp(path, path)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// checkpoint says where a checkpoint's pairs come from: a rule that names it, the graph beside it, or what
// was given for all.
func (r *run) checkpoint(i item) Checkpoint {
	c := r.Checkpoint
	if n := r.rule(i); n >= 0 {
		c.Graph, c.Pairs = r.Graphs[n].Graph, ""
	} else if i.graph != "" {
		c.Graph, c.Pairs = i.graph, ""
	}
	return c
}

// rule is the number of the rule that names a checkpoint, −1 for none.
func (r *run) rule(i item) int {
	if !i.isModel() || i.format == formatONNX {
		return -1
	}
	return slices.IndexFunc(r.Graphs, func(rule GraphRule) bool { return rule.Glob.Match(i.path) })
}
