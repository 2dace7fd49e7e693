package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// IndexSuffix ends the name of an index of shards.
const IndexSuffix = safetensors.IndexSuffix

// index is an index of shards, as it was read.
type index struct {
	*safetensors.Index
	size int64
	text []byte
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
	for _, name := range x.Files() {
		p, err := openPart(filepath.Join(filepath.Dir(path), name))
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("shard %s: %w", name, err)
		}
		p.name = name
		parts = append(parts, p)
		for _, t := range p.tensors {
			if x.Shards[t.name] != name {
				closeAll()
				return nil, fmt.Errorf("shard %s: the index places tensor %q in %q", name, t.name, x.Shards[t.name])
			}
		}
	}
	c, err := newContainer(path, true, parts...)
	if err == nil {
		for _, name := range x.Names {
			if c.byName[name] == nil {
				err = fmt.Errorf("tensor %q is not in shard %s", name, x.Shards[name])
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

func (x *index) encode(shards []string, entries [][]entry) []byte {
	lists := make([][]safetensors.Entry, len(entries))
	for i, list := range entries {
		for _, e := range list {
			lists[i] = append(lists[i], safetensors.Entry{Name: e.name, NBytes: e.nBytes})
		}
	}
	return x.Encode(shards, lists)
}
