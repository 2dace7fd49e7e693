package zoo

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/host"
)

func TestParseShard(t *testing.T) {
	for _, c := range []struct {
		text, env string
		want      Shard
		fails     string
	}{
		{text: "1/1", want: Shard{1, 1}},
		{text: "2/8", want: Shard{2, 8}},
		{text: "2/8", env: "SLURM_ARRAY_TASK_ID=5", want: Shard{2, 8}},
		{text: "auto/8", env: "SLURM_ARRAY_TASK_ID=0", want: Shard{1, 8}},
		{text: "auto/8", env: "SLURM_ARRAY_TASK_ID=7", want: Shard{8, 8}},
		{text: "auto/8", env: "SLURM_ARRAY_TASK_ID=8 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=8", want: Shard{8, 8}},
		{text: "auto/8", env: "SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_MIN=1", want: Shard{1, 8}},
		{text: "auto/3", env: "JOB_COMPLETION_INDEX=2", want: Shard{3, 3}},
		{text: "auto/3", env: "JOB_COMPLETION_INDEX=2 SLURM_ARRAY_TASK_MIN=1", want: Shard{3, 3}},
		{text: "auto/3", env: "JOB_COMPLETION_INDEX=2 SLURM_ARRAY_TASK_ID=1", want: Shard{2, 3}},

		{text: "", fails: "want i/n"},
		{text: "3", fails: "want i/n"},
		{text: "1/0", fails: "want i/n"},
		{text: "1/x", fails: "want i/n"},
		{text: "0/8", fails: "from 1 to 8"},
		{text: "9/8", fails: "from 1 to 8"},
		{text: "-1/8", fails: "from 1 to 8"},
		{text: "Auto/8", fails: "from 1 to 8"},
		{text: "auto/8", fails: "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX"},
		{text: "auto/8", env: "SLURM_ARRAY_TASK_ID=x", fails: `"x", not a number`},
		{text: "auto/8", env: "SLURM_ARRAY_TASK_ID=8", fails: "beyond an array of 8"},
		{text: "auto/8", env: "SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_MIN=1", fails: "beyond an array of 8"},
		{text: "auto/8", env: "SLURM_ARRAY_TASK_ID=5 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_COUNT=2", fails: "has 2 tasks"},
	} {
		env := map[string]string{}
		for v := range strings.FieldsSeq(c.env) {
			name, value, _ := strings.Cut(v, "=")
			env[name] = value
		}
		got, err := ParseShard(c.text, func(name string) string {
			if !strings.HasPrefix(c.text, "auto/") {
				t.Errorf("%s: the environment was asked for %s", c.text, name)
			}
			return env[name]
		})
		if got != c.want || (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s with %q: %v, %v", c.text, c.env, got, err)
		}
	}
}

// TestShards: every item is in one shard and in order, what belongs together stays together, and the shards
// have about the same to do.
func TestShards(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var items []item
	total := int64(0)
	for i := range 1000 {
		it := item{path: fmt.Sprintf("%04d", i), size: r.Int64N(1 << (10 + r.IntN(20)))}
		switch {
		case i%10 == 7:
			it.same = fmt.Sprintf("%04d", i-1)
		case i%10 == 8:
			it.data = []string{"weights" + fmt.Sprint(i/50)}
		}
		items = append(items, it)
		if it.same == "" {
			total += it.size + fileCost
		}
	}
	for _, n := range []int{1, 2, 7, 16} {
		in := map[string]int{} // path or data to shard
		count := 0
		for index := 1; index <= n; index++ {
			s := Shard{index, n}
			list := s.of(items)
			if !slices.IsSortedFunc(list, func(a, b item) int { return strings.Compare(a.path, b.path) }) {
				t.Errorf("%v is not sorted", s)
			}
			if again := s.of(slices.Clone(items)); len(again) != len(list) {
				t.Errorf("%v differs from call to call", s)
			}
			load := int64(0)
			for _, it := range list {
				if it.same == "" {
					load += it.size + fileCost
				}
				for _, file := range it.files() {
					if other, ok := in[file]; ok && other != index {
						t.Errorf("%s is in the shards %d and %d", file, other, index)
					}
					in[file] = index
				}
			}
			count += len(list)
			if mean := total / int64(n); load < mean*9/10 || load > mean*11/10 {
				t.Errorf("%v has %d of %d bytes", s, load, total)
			}
		}
		if count != len(items) {
			t.Errorf("%d shards have %d of %d items", n, count, len(items))
		}
	}
	if got := (Shard{}).of(items); len(got) != len(items) {
		t.Errorf("the whole zoo has %d items", len(got))
	}
	if got := (Shard{3, 5}).of(items[:2]); len(got) != 0 {
		t.Errorf("more shards than items: %d", len(got))
	}
}

// A shard that is none of its count is an error, not an empty run.
func TestWrongShard(t *testing.T) {
	for _, s := range []Shard{{Index: 0, Count: 4}, {Index: 5, Count: 4}, {Index: 1, Count: 0}, {Index: -1, Count: -1}} {
		o := Options{Engines: Engines{Engine: host.New()}, Log: slog.New(slog.DiscardHandler), Shard: s, DryRun: true}
		if _, err := Run(context.Background(), t.TempDir(), filepath.Join(t.TempDir(), "out"), o); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}
