package checkpoint

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/bnfuse/bnfuse/internal/regular"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// The endings of the names of an index of shards: of safetensors, and of torch.save's files.
const (
	IndexSuffix    = safetensors.IndexSuffix
	BinIndexSuffix = ".bin.index.json"
)

// IsIndex reports whether a file is an index of shards, by its name.
func IsIndex(name string) bool {
	return strings.HasSuffix(name, IndexSuffix) || strings.HasSuffix(name, BinIndexSuffix)
}

// indexStem is the name of an index without what makes it one.
func indexStem(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, IndexSuffix), BinIndexSuffix)
}

// OutputName is what a checkpoint is called when it becomes safetensors and lies beside others: no two
// checkpoints of a folder get one name. That of safetensors stays.
//
//	model.pt → model.pt.safetensors    model.bin.index.json → model.bin.safetensors.index.json
func OutputName(name, format string) string {
	switch stem, isIndex := strings.CutSuffix(name, ".index.json"); {
	case format == Safetensors:
		return name
	case isIndex && IsIndex(name):
		return stem + IndexSuffix
	}
	return name + ".safetensors"
}

// Shards lists the files that an index of shards names; they lie beside it. The file r of size bytes is an
// index by its name; of any other file there are none. Whether the shards exist is not asked.
func Shards(r io.ReaderAt, size int64, name string) ([]string, error) {
	if !IsIndex(name) {
		return nil, nil
	}
	x, err := readIndex(r, size)
	if err != nil {
		return nil, err
	}
	return x.Files(), nil
}

// index is an index of shards, as it was read.
type index struct {
	*safetensors.Index
	size int64
	text []byte
}

func readIndex(r io.ReaderAt, size int64) (*index, error) {
	if size > safetensors.MaxHeaderBytes {
		return nil, fmt.Errorf("an index of %d bytes, at most %d are read", size, safetensors.MaxHeaderBytes)
	}
	text, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	x, err := safetensors.ParseIndex(text)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	return &index{x, size, text}, nil
}

// openIndex opens the shards of an index. Every tensor must lie where the index says.
func openIndex(path string) (*container, error) {
	x, err := openFileOfIndex(path)
	if err != nil {
		return nil, err
	}
	parts, err := x.openShards(path)
	if err == nil {
		var c *container
		if c, err = newContainer(path, parts...); err == nil {
			c.index = x
			return c, nil
		}
	}
	for _, p := range parts {
		p.file.Close()
	}
	return nil, err
}

func openFileOfIndex(path string) (*index, error) {
	f, size, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readIndex(f, size)
}

// openShards opens the files that the index at path names. The parts it gives are open, also with an error.
func (x *index) openShards(path string) (parts []*part, err error) {
	read := readSafetensors
	if strings.HasSuffix(path, BinIndexSuffix) {
		read = readTorch
	}
	found := map[string]bool{}
	for _, name := range x.Files() {
		p, err := openPart(filepath.Join(filepath.Dir(path), name), read)
		if err != nil {
			return parts, fmt.Errorf("shard %s: %w", name, err)
		}
		p.name = name
		parts = append(parts, p)
		for _, t := range p.tensors {
			switch shard, listed := x.Shards[t.name]; {
			case !listed:
				return parts, fmt.Errorf("shard %s: it has tensor %q, which the index does not list", name, t.name)
			case shard != name:
				return parts, fmt.Errorf("shard %s: the index places tensor %q in %q", name, t.name, shard)
			}
			found[t.name] = true
		}
	}
	for _, name := range x.Names {
		if !found[name] {
			return parts, fmt.Errorf("tensor %q is not in shard %s", name, x.Shards[name])
		}
	}
	return parts, nil
}
