package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// IndexSuffix ends the name of an index of shards.
const IndexSuffix = ".safetensors.index.json"

// index is a model.safetensors.index.json:
//
//	{"metadata": {"total_size": 123}, "weight_map": {"name": "model-00001-of-00002.safetensors", …}}
type index struct {
	size     int64
	text     []byte
	metadata []member // total_size is written anew
	extra    []member // other members of the file
	names    []string // of the weight map, in order
	shards   map[string]string
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
		return nil, safetensors.ErrNotObject
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

// parseIndex reads an index.
func parseIndex(text []byte) (*index, error) {
	if !json.Valid(text) || !utf8.Valid(text) {
		return nil, errors.New("not valid JSON")
	}
	top, err := members(text)
	if err != nil {
		return nil, err
	}
	x := &index{text: text, size: int64(len(text)), shards: map[string]string{}}
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
				x.names = append(x.names, w.key)
				x.shards[w.key] = shard
			}
		default:
			x.extra = append(x.extra, m)
		}
	}
	if len(x.names) == 0 {
		return nil, errors.New("it has no weight_map")
	}
	return x, nil
}

// files lists the shards, each once, in the order of the weight map.
func (x *index) files() []string {
	var list []string
	seen := map[string]bool{}
	for _, name := range x.names {
		if shard := x.shards[name]; !seen[shard] {
			seen[shard] = true
			list = append(list, shard)
		}
	}
	return list
}

// openIndex opens the shards of an index. Every tensor must lie where the index says.
func openIndex(path string, f *os.File, size int64) (*container, error) {
	x, err := readIndex(f, size)
	if err != nil {
		return nil, err
	}
	var parts []*part
	closeAll := func() {
		for _, p := range parts {
			p.file.Close()
		}
	}
	for _, name := range x.files() {
		p, err := openPart(filepath.Join(filepath.Dir(path), name))
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("shard %s: %w", name, err)
		}
		p.name = name
		parts = append(parts, p)
		for _, t := range p.tensors {
			if x.shards[t.name] != name {
				closeAll()
				return nil, fmt.Errorf("shard %s: the index places tensor %q in %q", name, t.name, x.shards[t.name])
			}
		}
	}
	c, err := newContainer(path, true, parts...)
	if err == nil {
		for _, name := range x.names {
			if c.byName[name] == nil {
				err = fmt.Errorf("tensor %q is not in shard %s", name, x.shards[name])
				break
			}
		}
	}
	if err != nil {
		closeAll()
		return nil, err
	}
	c.index = x
	return c, nil
}

// encode writes the index of the output: weight_map and total_size are the shards', all else stays.
func (x *index) encode(shards []string, entries [][]entry) []byte {
	total := int64(0)
	var weights []member
	for i, list := range entries {
		for _, e := range list {
			total += e.nBytes
			weights = append(weights, member{e.name, safetensors.AppendText(nil, shards[i])})
		}
	}
	// Names keep their place; a new bias stands behind its weight.
	place := make(map[string]int, len(x.names))
	for i, name := range x.names {
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
		b = append(append(safetensors.AppendText(b, m.key), ':'), m.value...)
	}
	return append(b, '}')
}
