package nn

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/bnfuse/bnfuse/internal/regular"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// tensorFile is an open safetensors file, or the shards of an index.
type tensorFile struct {
	names  []string // in order
	byName map[string]*located
	files  []*os.File
}

func openTensors(path string) (*tensorFile, error) {
	f := &tensorFile{byName: map[string]*located{}}
	var err error
	if strings.HasSuffix(path, safetensors.IndexSuffix) {
		err = f.addShards(path)
	} else {
		err = f.addFile(path)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// addShards adds the files of an index, each of whose tensors must lie where the index says.
func (f *tensorFile) addShards(path string) error {
	r, size, err := regular.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	if size > safetensors.MaxHeaderBytes {
		return fmt.Errorf("an index of %d bytes, at most %d are read", size, safetensors.MaxHeaderBytes)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	index, err := safetensors.ParseIndex(text)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	for _, shard := range index.Files() {
		before := len(f.names)
		if err := f.addFile(filepath.Join(filepath.Dir(path), shard)); err != nil {
			return fmt.Errorf("shard %s: %w", shard, err)
		}
		for _, name := range f.names[before:] {
			if index.Shards[name] != shard {
				return fmt.Errorf("shard %s: the index places tensor %q in %q", shard, name, index.Shards[name])
			}
		}
	}
	for _, name := range index.Names {
		if f.byName[name] == nil {
			return fmt.Errorf("tensor %q is not in shard %s", name, index.Shards[name])
		}
	}
	return nil
}

func (f *tensorFile) addFile(path string) error {
	r, size, err := regular.Open(path)
	if err != nil {
		return err
	}
	f.files = append(f.files, r)
	return f.add(r, size)
}

// add lists the tensors of one file.
func (f *tensorFile) add(r io.ReaderAt, size int64) error {
	h, err := safetensors.ReadHeader(r, size)
	if err != nil {
		return err
	}
	for _, e := range h.Tensors {
		if f.byName[e.Name] != nil {
			return fmt.Errorf("tensor %q is stored in two shards", e.Name)
		}
		f.names = append(f.names, e.Name)
		f.byName[e.Name] = &located{e, r}
	}
	return nil
}

func (f *tensorFile) close() {
	for _, file := range f.files {
		file.Close()
	}
}
