package zoo

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Shard is one of Count parts into which a zoo is divided among runs that know nothing of each other. Index
// counts from 1. The zero value is the whole zoo.
type Shard struct{ Index, Count int }

// String is "2/8", "" for the whole zoo.
func (s Shard) String() string {
	if s == (Shard{}) {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// ParseShard reads "2/8", or "auto/8" for the part that belongs to this task of a job array: that of Slurm, or
// of an indexed job of Kubernetes. The environment is asked for auto only.
func ParseShard(text string, getenv func(string) string) (Shard, error) {
	index, count, ok := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	if !ok || err != nil || n < 1 {
		return Shard{}, fmt.Errorf("zoo: shard %q: want i/n or auto/n, such as 1/8", text)
	}
	if index == "auto" {
		i, err := taskIndex(n, getenv)
		if err != nil {
			return Shard{}, fmt.Errorf("zoo: shard %q: %w", text, err)
		}
		return Shard{i + 1, n}, nil
	}
	i, err := strconv.Atoi(index)
	if err != nil || i < 1 || i > n {
		return Shard{}, fmt.Errorf("zoo: shard %q: want a number from 1 to %d before the slash, or auto", text, n)
	}
	return Shard{i, n}, nil
}

// taskIndex is this task's number in its array of n, from 0. Slurm's arrays begin where their user likes. Where
// only some of an array's tasks are run again, what is left does not say where it began, and guessing would
// leave models out.
func taskIndex(n int, getenv func(string) string) (int, error) {
	const task, first, size, completion = "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT", "JOB_COMPLETION_INDEX"
	name := task
	if getenv(task) == "" {
		name = completion
	}
	if getenv(name) == "" {
		return 0, fmt.Errorf("neither %s nor %s is set", task, completion)
	}
	i, err := envNumber(name, getenv)
	if err != nil {
		return 0, err
	}
	if name == task && getenv(first) != "" {
		if count := getenv(size); count != "" && count != strconv.Itoa(n) {
			return 0, fmt.Errorf("the job array has %s tasks (%s) and not %d: give the number itself", count, size, n)
		}
		least, err := envNumber(first, getenv)
		if err != nil {
			return 0, err
		}
		i -= least
	}
	if i < 0 || i >= n {
		return 0, fmt.Errorf("%s is %s, beyond an array of %d", name, getenv(name), n)
	}
	return i, nil
}

func envNumber(name string, getenv func(string) string) (int, error) {
	n, err := strconv.Atoi(getenv(name))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is %q, not a number", name, getenv(name))
	}
	return n, nil
}

// fileCost is what a file takes besides its bytes, in bytes: it makes parts of many small files equal too.
const fileCost = 64 << 10

// check refuses a shard that is none of 1 to Count.
func (s Shard) check() error {
	if s != (Shard{}) && (s.Index < 1 || s.Index > s.Count) {
		return fmt.Errorf("shard %d of %d: shards count from 1", s.Index, s.Count)
	}
	return nil
}

// of gives the items of the shard, in order. All shards of one tree agree: together they have every item once.
// Items that share files stay together. The largest go first, each to the shard that has least so far, so that
// shards take about equally long.
func (s Shard) of(items []item) []item {
	if s == (Shard{}) {
		return items
	}
	bundles := bundle(items)
	slices.SortStableFunc(bundles, func(a, b bundled) int { return cmp.Compare(b.cost, a.cost) })
	load := make([]int64, s.Count)
	var mine []int
	for _, b := range bundles {
		least := slices.Index(load, slices.Min(load))
		load[least] += b.cost
		if least == s.Index-1 {
			mine = append(mine, b.items...)
		}
	}
	slices.Sort(mine)
	list := make([]item, len(mine))
	for i, n := range mine {
		list[i] = items[n]
	}
	return list
}

// bundled are items that stay together, by their numbers.
type bundled struct {
	items []int
	cost  int64
}

// bundle puts together the items that are the same and those that share external data or shards.
func bundle(items []item) []bundled {
	of := make([]int, len(items)) // an item's bundle, by the number of its first item
	owner := map[string]int{}     // by path
	root := func(i int) int {
		for of[i] != i {
			i = of[i]
		}
		return i
	}
	for i := range items {
		of[i] = i
		for _, file := range items[i].files() {
			if j, ok := owner[file]; ok {
				a, b := root(i), root(j)
				of[max(a, b)] = min(a, b)
			} else {
				owner[file] = i
			}
		}
	}
	var list []bundled
	place := map[int]int{}
	for i := range items {
		r := root(i)
		if _, ok := place[r]; !ok {
			place[r] = len(list)
			list = append(list, bundled{})
		}
		b := &list[place[r]]
		b.items = append(b.items, i)
		if items[i].same == "" {
			b.cost += items[i].size + fileCost
		}
	}
	return list
}

// files are the paths that an item is, has or repeats.
func (i *item) files() []string {
	list := append([]string{i.path}, i.data...)
	list = append(list, i.parts...)
	if i.same != "" {
		list = append(list, i.same)
	}
	return list
}
