package report

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Merge joins reports on parts of one zoo, as its shards write them. Of the reports' folders, those that
// are given must be the same. A model in several reports counts once: done beats failed, done by this run
// beats done by an earlier one, and of two that failed the later report counts. Two that are done must agree
// on what became of every norm and on the bytes.
//
// The merged Shard is empty when the reports are all the shards there are; otherwise it lists those that
// are here. Engines and versions that differ are listed. Files is the sum over the shards, of which one may
// have run twice. Seconds is that of the longest shard, because shards run side by side, and the sum of reports
// that are of no shard, which ran one after the other.
//
// The merged report shares the models of the others.
func Merge(zoos []*Zoo) (*Zoo, error) {
	if len(zoos) == 0 {
		return nil, errors.New("report: there is nothing to merge")
	}
	all := &Zoo{}
	var engines, versions, shards []string
	var longest float64
	files := map[string]int{} // of each shard, which may have run twice
	byInput := map[string]*Model{}
	for _, z := range zoos {
		if err := all.sameFolders(z); err != nil {
			return nil, err
		}
		engines, versions, shards = addNew(engines, z.Engine), addNew(versions, z.Version), addNew(shards, z.Shard)
		if z.Shard != "" {
			longest = max(longest, z.Totals.Seconds)
			files[z.Shard] = max(files[z.Shard], z.Totals.Files)
		} else {
			all.Totals.Seconds += z.Totals.Seconds
			all.Totals.Files += z.Totals.Files
		}
		for _, w := range z.Warnings {
			if !slices.Contains(all.Warnings, w) {
				all.Warnings = append(all.Warnings, w)
			}
		}
		for _, m := range z.Models {
			best, err := resolve(byInput[m.Input], m)
			if err != nil {
				return nil, err
			}
			byInput[m.Input] = best
		}
	}
	for _, m := range byInput {
		all.Models = append(all.Models, m)
	}
	for _, n := range files {
		all.Totals.Files += n
	}
	all.Totals.Seconds += longest
	all.Engine, all.Version = strings.Join(engines, listSeparator), strings.Join(versions, listSeparator)
	if !complete(shards) {
		all.Shard = strings.Join(shards, listSeparator)
	}
	all.Sum()
	return all, nil
}

const listSeparator = ", "

// addNew appends those of the words, which may be several, that are not in the list yet.
func addNew(list []string, words string) []string {
	for w := range strings.SplitSeq(words, listSeparator) {
		if w != "" && !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list
}

// sameFolders takes over the folders of another report, or says that they differ.
func (z *Zoo) sameFolders(other *Zoo) error {
	for _, f := range []struct {
		what      string
		have, add *string
	}{{"input", &z.Input, &other.Input}, {"output", &z.Output, &other.Output}} {
		switch {
		case *f.have == "":
			*f.have = *f.add
		case *f.add != "" && *f.add != *f.have:
			return fmt.Errorf("report: these are of different zoos: the %s is %s in one and %s in another", f.what, *f.have, *f.add)
		}
	}
	return nil
}

// resolve chooses between two reports on a model, the first of which may be missing.
func resolve(old, m *Model) (*Model, error) {
	switch {
	case old == nil:
		return m, nil
	case m.outcome() == ModelFailed && old.outcome() != ModelFailed:
		return old, nil
	case old.outcome() == ModelFailed:
		return m, nil
	case !agree(old, m):
		return nil, fmt.Errorf("report: two reports disagree on %s: %d folded, %d kept, %d bytes in one; %d, %d, %d in another",
			m.Input, old.Folded, old.Kept, old.BytesOut, m.Folded, m.Kept, m.BytesOut)
	case old.Resumed && !m.Resumed:
		return m, nil
	default:
		return old, nil
	}
}

// agree compares what does not depend on the run.
func agree(a, b *Model) bool {
	return a.outcome() == b.outcome() && a.BytesIn == b.BytesIn && a.BytesOut == b.BytesOut &&
		slices.EqualFunc(a.Norms, b.Norms, func(x, y Norm) bool {
			return x.Name == y.Name && x.Status == y.Status && x.Layer == y.Layer && x.Reason == y.Reason
		})
}

// complete reports whether the shards, written "i/n", are all of one division.
func complete(shards []string) bool {
	seen := map[string]bool{}
	for _, s := range shards {
		i, n, ok := strings.Cut(s, "/")
		if !ok || n != strconv.Itoa(len(shards)) {
			return false
		}
		seen[i] = true
	}
	for i := range shards {
		if !seen[strconv.Itoa(i+1)] {
			return false
		}
	}
	return true
}
