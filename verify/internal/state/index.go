package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readIndex reads an index and the headers of its shards, which lie beside it:
//
//	{"metadata": {"total_size": 123}, "weight_map": {"name": "model-00001-of-00002.safetensors", …}}
func (d *Dict) readIndex(path string, f *os.File, size int64) error {
	places, shards, err := parseIndex(f, size, d)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	d.Pickled = strings.HasSuffix(path, BinIndexSuffix)
	for _, name := range shards {
		if err := d.addShard(filepath.Dir(path), name); err != nil {
			return fmt.Errorf("shard %s: %w", name, err)
		}
	}
	for _, name := range d.Order {
		if at := d.Tensors[name].Part.Name; places[name] != at {
			return fmt.Errorf("tensor %q is in shard %s, and the index has it in %q", name, at, places[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(places)) {
		if d.Tensors[name] == nil {
			return fmt.Errorf("tensor %q is not in shard %s", name, places[name])
		}
	}
	return nil
}

func (d *Dict) addShard(dir, name string) error {
	f, size, err := openFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	d.files = append(d.files, f)
	p, err := d.readPart(f, size)
	if err != nil {
		return err
	}
	p.Name = name
	return d.add(p)
}

// Shards names the shards of an index; none of a damaged one.
func Shards(path string) []string {
	f, size, err := openFile(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	_, shards, err := parseIndex(f, size, &Dict{})
	if err != nil {
		return nil
	}
	return shards
}

// parseIndex gives the shard of each tensor, and the shards in the order in which they are named first. What
// else the index says goes to d.
func parseIndex(f *os.File, size int64, d *Dict) (places map[string]string, shards []string, err error) {
	if size > maxHeader {
		return nil, nil, fmt.Errorf("it has %d bytes", size)
	}
	all, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	if err != nil {
		return nil, nil, err
	}
	places, d.Members = map[string]string{}, map[string]string{}
	known := map[string]bool{}
	err = object(all, func(key string, value json.RawMessage) error {
		switch key {
		case "weight_map":
			return object(value, func(name string, value json.RawMessage) error {
				shard, err := text(value)
				if err != nil {
					return err
				}
				if shard != filepath.Base(shard) || !filepath.IsLocal(shard) {
					return fmt.Errorf("shard %q does not lie beside the index", shard)
				}
				if !known[shard] {
					shards = append(shards, shard)
				}
				places[name], known[shard] = shard, true
				return nil
			})
		case "metadata":
			return object(value, func(name string, value json.RawMessage) error {
				d.Members[key+"."+name] = compact(value)
				return nil
			})
		}
		d.Members[key] = compact(value)
		return nil
	})
	if err == nil && len(places) == 0 {
		err = errors.New("it has no weight_map")
	}
	return places, shards, err
}

func compact(value json.RawMessage) string {
	var b bytes.Buffer
	json.Compact(&b, value) // it is valid: it has been decoded
	return b.String()
}
