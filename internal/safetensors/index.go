package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// IndexSuffix ends the name of an index of shards.
const IndexSuffix = ".safetensors.index.json"

// Index is a model.safetensors.index.json:
//
//	{"metadata": {"total_size": 123}, "weight_map": {"name": "model-00001-of-00002.safetensors", …}}
type Index struct {
	Names  []string          // of the weight map, in order
	Shards map[string]string // by name

	metadata []member // total_size is written anew
	extra    []member // other members of the file
}

// member is a member of a JSON object, its value as it stands.
type member struct {
	key   string
	value json.RawMessage
}

// members lists the members of an object in order; a key that comes twice is an error.
func members(text []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, ErrNotObject
	}
	var list []member
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{key: t.(string)}
		if seen[m.key] {
			return nil, fmt.Errorf("the key %q comes twice", m.key)
		}
		seen[m.key] = true
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// ParseIndex reads an index. A shard is the name of a file beside it.
func ParseIndex(text []byte) (*Index, error) {
	if !json.Valid(text) || !utf8.Valid(text) {
		return nil, errors.New("not valid JSON")
	}
	top, err := members(text)
	if err != nil {
		return nil, err
	}
	x := &Index{Shards: map[string]string{}}
	for _, m := range top {
		switch m.key {
		case "metadata":
			if x.metadata, err = members(m.value); err != nil {
				return nil, fmt.Errorf("metadata: %w", err)
			}
		case "weight_map":
			weights, err := members(m.value)
			if err != nil {
				return nil, fmt.Errorf("weight_map: %w", err)
			}
			for _, w := range weights {
				var shard string
				if err := json.Unmarshal(w.value, &shard); err != nil {
					return nil, fmt.Errorf("weight_map: %q: the name of a file is wanted", w.key)
				}
				if shard != filepath.Base(shard) || !filepath.IsLocal(shard) || strings.ContainsAny(shard, `/\`) {
					return nil, fmt.Errorf("weight_map: %q: shard %q does not lie beside the index", w.key, shard)
				}
				x.Names = append(x.Names, w.key)
				x.Shards[w.key] = shard
			}
		default:
			x.extra = append(x.extra, m)
		}
	}
	if len(x.Names) == 0 {
		return nil, errors.New("it has no weight_map")
	}
	return x, nil
}

// Files lists the shards, each once, in the order of the weight map.
func (x *Index) Files() []string {
	var list []string
	seen := map[string]bool{}
	for _, name := range x.Names {
		if shard := x.Shards[name]; !seen[shard] {
			seen[shard] = true
			list = append(list, shard)
		}
	}
	return list
}

// Encode writes the index of other shards that hold the given tensors: weight_map and total_size follow, all
// else stays.
func (x *Index) Encode(shards []string, entries [][]Entry) []byte {
	total := int64(0)
	var weights []member
	for i, list := range entries {
		for _, e := range list {
			total += e.NBytes
			weights = append(weights, member{e.Name, AppendText(nil, shards[i])})
		}
	}
	// Names keep their place; a new bias stands behind its weight.
	place := make(map[string]int, len(x.Names))
	for i, name := range x.Names {
		place[name] = 2 * i
	}
	rank := func(m member) int {
		if at, ok := place[m.key]; ok {
			return at
		}
		return place[strings.TrimSuffix(m.key, ".bias")+".weight"] + 1
	}
	slices.SortStableFunc(weights, func(a, b member) int { return rank(a) - rank(b) })

	metadata := slices.Clone(x.metadata)
	at := slices.IndexFunc(metadata, func(m member) bool { return m.key == "total_size" })
	if at < 0 {
		metadata, at = append(metadata, member{key: "total_size"}), len(metadata)
	}
	metadata[at].value = fmt.Append(nil, total)
	top := append([]member{{"metadata", object(metadata)}}, x.extra...)
	top = append(top, member{"weight_map", object(weights)})
	var b bytes.Buffer
	json.Indent(&b, object(top), "", "  ") // it is valid: we wrote it
	b.WriteByte('\n')
	return b.Bytes()
}

// object is the JSON of an object with the given members.
func object(list []member) []byte {
	b := []byte{'{'}
	for i, m := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(AppendText(b, m.key), ':'), m.value...)
	}
	return append(b, '}')
}
