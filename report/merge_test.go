package report

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shard is a report on part of a zoo with the models named.
func shard(name string, seconds float64, models ...*Model) *Zoo {
	z := &Zoo{Input: "in", Output: "out", Engine: "cpu", Version: "v1", Shard: name, Models: models, Totals: Totals{Files: 1, Seconds: seconds}}
	z.Sum()
	return z
}

func model(input, status string) *Model {
	m := &Model{Input: input, Output: input, Status: status, BytesIn: 10, BytesOut: 9}
	if status == ModelFused {
		m.Folded, m.Norms = 1, []Norm{{Name: "bn", Status: Folded, Layer: "conv"}}
	}
	return m
}

func TestMerge(t *testing.T) {
	a := shard("1/2", 3, model("c", ModelFused), model("a", ModelCopied))
	b := shard("2/2", 2, model("b", ModelFailed))
	b.Engine = "cuda:0"
	for _, order := range [][]*Zoo{{a, b}, {b, a}} {
		got, err := Merge(order)
		if err != nil {
			t.Fatal(err)
		}
		want := shard("", 3, model("a", ModelCopied), model("b", ModelFailed), model("c", ModelFused))
		want.Engine = order[0].Engine + ", " + order[1].Engine
		want.Totals.Files = 2
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestMergeFacts(t *testing.T) {
	for _, c := range []struct {
		why          string
		zoos         []*Zoo
		shard        string
		seconds      float64
		files, model int
	}{
		{"all shards", []*Zoo{shard("2/3", 1), shard("1/3", 5), shard("3/3", 2)}, "", 5, 3, 0},
		{"one is missing", []*Zoo{shard("2/3", 1), shard("1/3", 5)}, "2/3, 1/3", 5, 2, 0},
		{"one came twice", []*Zoo{shard("2/3", 1), shard("1/3", 5), shard("2/3", 1)}, "2/3, 1/3", 5, 2, 0},
		{"of two divisions", []*Zoo{shard("1/2", 1), shard("2/3", 5)}, "1/2, 2/3", 5, 2, 0},
		{"not a shard's name", []*Zoo{shard("x", 1)}, "x", 1, 1, 0},
		{"no shards", []*Zoo{shard("", 1), shard("", 5)}, "", 6, 2, 0},
		{"a merged one again", []*Zoo{shard("2/3, 1/3", 4), shard("3/3", 5)}, "", 5, 2, 0},
		{"single models", []*Zoo{{Models: []*Model{model("a", "")}}, {Models: []*Model{model("b", "")}}}, "", 0, 0, 2},
	} {
		z, err := Merge(c.zoos)
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if z.Shard != c.shard || z.Totals.Seconds != c.seconds || z.Totals.Files != c.files || z.Totals.Models != c.model {
			t.Errorf("%s: shard %q, %+v", c.why, z.Shard, z.Totals)
		}
	}
}

func TestMergeDuplicates(t *testing.T) {
	resumed := func(m *Model) *Model { m.Resumed = true; return m }
	failed := func(why string) *Model { m := model("a", ModelFailed); m.Error = why; return m }
	other := model("a", ModelFused)
	other.Norms[0].Layer = "conv2"
	for _, c := range []struct {
		why          string
		first, later *Model
		want         *Model // nil for an error
	}{
		{"done beats failed", failed("x"), model("a", ModelFused), model("a", ModelFused)},
		{"also the other way round", model("a", ModelFused), failed("x"), model("a", ModelFused)},
		{"the later failure counts", failed("x"), failed("y"), failed("y")},
		{"the run that did it beats the one that found it done", resumed(model("a", ModelFused)), model("a", ModelFused), model("a", ModelFused)},
		{"also the other way round", model("a", ModelFused), resumed(model("a", ModelFused)), model("a", ModelFused)},
		{"found done twice", resumed(model("a", ModelFused)), resumed(model("a", ModelFused)), resumed(model("a", ModelFused))},
		{"fused and copied", model("a", ModelFused), model("a", ModelCopied), nil},
		{"into another layer", model("a", ModelFused), other, nil},
	} {
		z, err := Merge([]*Zoo{shard("1/2", 1, c.first), shard("2/2", 1, c.later)})
		switch {
		case c.want == nil && (err == nil || !strings.Contains(err.Error(), "disagree on a:")):
			t.Errorf("%s: error %v", c.why, err)
		case c.want != nil && err != nil:
			t.Errorf("%s: %v", c.why, err)
		case c.want != nil:
			if diff := cmp.Diff(shard("", 1, c.want).Models, z.Models); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.why, diff)
			}
		}
	}
}

func TestMergeErrors(t *testing.T) {
	if _, err := Merge(nil); err == nil {
		t.Error("nothing was merged")
	}
	elsewhere, under := shard("1/2", 1), shard("1/2", 1)
	elsewhere.Input, under.Output = "other", "other"
	for want, z := range map[string]*Zoo{
		"the input is in in one and other in another":   elsewhere,
		"the output is out in one and other in another": under,
	} {
		if _, err := Merge([]*Zoo{shard("2/2", 1), z}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
