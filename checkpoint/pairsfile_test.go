package checkpoint

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

// TestPairsFile: JSON and YAML say the same, and what is written is what is read.
func TestPairsFile(t *testing.T) {
	want := []Pair{
		{Layer: "conv1", Norm: "bn1", Kind: fuse.Conv, Groups: 1, Eps: 1e-5},
		{Layer: "", Norm: `a "b": {c}`, Kind: fuse.MatMul, Groups: 1, Eps: 0},
		{Layer: "up", Norm: "1", Kind: fuse.ConvTranspose, Groups: 3, Eps: 9.999999747378752e-06},
		{Layer: "fc", Norm: "pre", Kind: fuse.Linear, Groups: 1, Eps: 1e-3, Direction: fuse.Before, Padded: true},
	}
	var yaml bytes.Buffer
	if err := WritePairs(&yaml, want); err != nil {
		t.Fatal(err)
	}
	json := `{"pairs": [{"layer": "conv1", "norm": "bn1", "kind": "Conv"},
		{"norm": "a \"b\": {c}", "kind": "MatMul", "eps": 0},
		{"layer": "up", "norm": "1", "kind": "ConvTranspose", "groups": 3, "eps": 9.999999747378752e-06},
		{"layer": "fc", "norm": "pre", "kind": "Linear", "eps": 0.001, "direction": "before", "padded": true}]}`
	byHand := "# mine\npairs:\n- layer: conv1\n  norm: bn1\n  kind: Conv\n  eps: 1e-5\n"
	for name, c := range map[string]struct {
		text string
		want []Pair
	}{"YAML": {yaml.String(), want}, "JSON": {json, want}, "by hand": {byHand, want[:1]}} {
		got, err := ReadPairsFile(write(t, "pairs", []byte(c.text)), 1e-5)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestMalformedPairs: one file an error.
func TestMalformedPairs(t *testing.T) {
	line := func(fields string) string { return "pairs:\n  - {" + fields + "}\n" }
	for _, c := range []struct{ name, text, want string }{
		{"empty", " \n", "empty"},
		{"no pairs", "pairs: []", "no pairs"},
		{"another document", "layers: []", "layers"},
		{"another document in JSON", `{"layers": []}`, "layers"},
		{"unknown field", line("layer: a, norm: b, kind: Conv, eps: 1, epsilon: 2"), "epsilon"},
		{"field twice", "pairs:\n  - layer: a\n    layer: b\n", "layer"},
		{"not YAML", "pairs: [", ""},
		{"a tag that the decoder panics on", "pairs:\n  ! #000000000000000000000000000000000000000000000", "not YAML"},
		{"lists in lists", "pairs: " + strings.Repeat("[", 1<<20), "too many brackets"},
		{"lists in lists, fewer", "pairs: " + strings.Repeat("[", 900), ""},
		{"dictionaries in dictionaries", "x: " + strings.Repeat("{a: ", 100_000), "too many brackets"},
		{"not JSON", `{"pairs": [`, ""},
		{"more behind the JSON", `{"pairs": []} x`, "something follows"},
		{"no norm", line("layer: a, kind: Conv, eps: 1"), "norm is missing"},
		{"norm of itself", line("layer: a, norm: a, kind: Conv, eps: 1"), "the same"},
		{"no kind", line("layer: a, norm: b, eps: 1"), "Conv, ConvTranspose, Linear or MatMul"},
		{"another kind", line("layer: a, norm: b, kind: LSTM, eps: 1"), `"LSTM"`},
		{"groups negative", line("layer: a, norm: b, kind: Conv, groups: -1, eps: 1"), "groups -1"},
		{"groups 0", line("layer: a, norm: b, kind: Conv, groups: 0, eps: 1"), "groups 0"},
		{"groups no number", line("layer: a, norm: b, kind: Conv, groups: two, eps: 1"), ""},
		{"eps negative", line("layer: a, norm: b, kind: Conv, eps: -1"), "eps -1"},
		{"eps infinite", line("layer: a, norm: b, kind: Conv, eps: .inf"), "eps"},
		{"another direction", line("layer: a, norm: b, kind: Conv, eps: 1, direction: up"), `"up"`},
		{"flattened after Conv", line("layer: a, norm: b, kind: Conv, eps: 1, flattened: true"), "flattened"},
		{"flattened before Conv", line("layer: a, norm: b, kind: Conv, eps: 1, direction: before, flattened: true"), "flattened"},
		{"flattened and no more", line("layer: a, norm: b, kind: Linear, eps: 1, flattened: true") + "  - {layer: a, norm: c, kind: Linear, eps: 1}\n", `"b", listed before it, is flattened`},
		{"padded after", line("layer: a, norm: b, kind: Conv, eps: 1, padded: true"), "padded"},
	} {
		path := write(t, "pairs.yaml", []byte(c.text))
		_, err := ReadPairsFile(path, 0)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want one about %q", c.name, err, c.want)
		}
	}
	if _, err := parsePairs([]byte(line("layer: a, norm: b, kind: Conv")), 0); !errors.Is(err, ErrNoEps) {
		t.Errorf("no epsilon: %v", err)
	}
}
