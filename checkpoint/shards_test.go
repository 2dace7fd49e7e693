package checkpoint

import (
	"slices"
	"strings"
	"testing"
)

func TestShardsOfIndex(t *testing.T) {
	index := `{"metadata": {}, "weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "2.safetensors"}}`
	for _, c := range []struct {
		why, name, text string
		want            []string
		fails           bool
	}{
		{"each once, in the order of use", "m" + IndexSuffix, index, []string{"2.safetensors", "1.safetensors"}, false},
		{"by its name, it is no index", "config.json", index, nil, false},
		{"a shard elsewhere", "m" + IndexSuffix, strings.ReplaceAll(index, "1.s", "../s"), nil, true},
		{"damaged", "m" + IndexSuffix, index[:20], nil, true},
	} {
		got, err := Shards(strings.NewReader(c.text), int64(len(c.text)), c.name)
		if !slices.Equal(got, c.want) || (err != nil) != c.fails {
			t.Errorf("%s: %q, %v", c.why, got, err)
		}
	}
}
