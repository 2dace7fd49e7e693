package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/internal/atomicfile"
	"github.com/bnfuse/bnfuse/internal/safetensors"
	"github.com/bnfuse/bnfuse/internal/stream"
)

// target is where the output goes: a safetensors file, or shards and their index.
type target struct {
	c       *container
	out     string
	options Options
	mode    fs.FileMode
	files   []*atomicfile.File // the index is the last
}

// newTarget refuses at once what could not be written later. Safetensors may keep the name they have.
func newTarget(c *container, out string, o Options) (*target, error) {
	t := &target{c: c, out: out, options: o, mode: 0o666}
	if info, err := c.parts[0].file.Stat(); err == nil {
		t.mode = info.Mode()
	}
	switch {
	case c.index != nil && !strings.HasSuffix(out, IndexSuffix):
		return nil, fmt.Errorf("%s: %w", out, ErrIndexName)
	case c.index == nil && filepath.Ext(out) != ".safetensors" && !(c.asIs && filepath.Base(out) == filepath.Base(c.path)):
		return nil, fmt.Errorf("%s: %w", out, ErrOutputName)
	}
	paths := t.paths()
	for i, path := range paths {
		if slices.Contains(paths[:i], path) {
			return nil, fmt.Errorf("%s: two files of the output would have this name", path)
		}
		if _, err := os.Lstat(path); err == nil && !o.Force {
			return nil, fmt.Errorf("%s: %w", path, atomicfile.ErrExists)
		}
		if c.index != nil && c.reads(path) {
			return nil, fmt.Errorf("%s: %w", path, ErrShardsInPlace)
		}
	}
	return t, nil
}

// reads reports whether the shards or the index of c are at path.
func (c *container) reads(path string) bool {
	isFile := func(p *part) bool { return same(path, p.file) }
	at, err := os.Stat(path)
	own, err2 := os.Stat(c.path)
	return err == nil && err2 == nil && os.SameFile(at, own) || slices.ContainsFunc(c.parts, isFile)
}

// paths are the files to be written, the index last.
func (t *target) paths() []string {
	if t.c.index == nil {
		return []string{t.out}
	}
	var list []string
	for _, p := range t.c.parts {
		list = append(list, filepath.Join(filepath.Dir(t.out), t.shardName(p)))
	}
	return append(list, t.out)
}

// shardName is the name of a part's output: its own, with the stem of the index where that is another, and
// for what PyTorch saved with the ending of safetensors.
func (t *target) shardName(p *part) string {
	stem := indexStem(filepath.Base(t.c.path))
	newStem := indexStem(filepath.Base(t.out))
	name := p.name
	if !p.asIs {
		name = strings.TrimSuffix(name, filepath.Ext(name)) + ".safetensors"
	}
	if rest, ok := strings.CutPrefix(name, stem); ok {
		return newStem + rest
	}
	if stem == newStem {
		return name
	}
	return newStem + "-" + name
}

func (t *target) create(path string, n int64) (*atomicfile.File, error) {
	f, err := atomicfile.Create(path, t.mode, t.options.Force)
	if err != nil {
		return nil, err
	}
	t.files = append(t.files, f)
	return f, f.Reserve(n, false)
}

// layOut creates the output files and lists what is to be written into them, n bytes in all.
func (t *target) layOut(e *editor) (next func() (stream.Op, bool), n int64, err error) {
	var ops []stream.Op
	var shards []string
	var entries [][]safetensors.Entry
	paths := t.paths()
	for i, p := range t.c.parts {
		contents := e.contents(p)
		inFile := p.tensors
		if t.c.asIs {
			inFile = inFileOrder(p.tensors)
		}
		ordered := place(contents, inFile)
		list := make([]safetensors.Entry, len(contents))
		size := int64(0)
		for j, c := range contents {
			list[j] = c.Entry
			size += c.NBytes
		}
		header := safetensors.EncodeHeader(list, withRecord(p, e.out))
		f, err := t.create(paths[i], int64(len(header))+size)
		if err != nil {
			return nil, 0, err
		}
		n += int64(len(header)) + size
		ops = append(ops, stream.Op{Dst: f, Bytes: header})
		for _, c := range ordered {
			ops = append(ops, c.op(f, int64(len(header))+c.Off)...)
		}
		shards, entries = append(shards, t.shardName(p)), append(entries, list)
	}
	if t.c.index != nil {
		text := t.c.index.Encode(shards, entries)
		f, err := t.create(t.out, int64(len(text)))
		if err != nil {
			return nil, 0, err
		}
		n += int64(len(text))
		ops = append(ops, stream.Op{Dst: f, Bytes: text})
	}
	return func() (stream.Op, bool) {
		if len(ops) == 0 {
			return stream.Op{}, false
		}
		op := ops[0]
		ops = ops[1:]
		return op, true
	}, n, nil
}

// op writes a tensor to dst; none for one without elements.
func (c *content) op(dst io.WriterAt, at int64) []stream.Op {
	switch {
	case c.NBytes == 0:
		return nil
	case c.bytes != nil:
		return []stream.Op{{Dst: dst, DstOff: at, Bytes: c.bytes}}
	}
	return []stream.Op{{Dst: dst, DstOff: at, Src: c.tensor.src, SrcOff: c.tensor.off, N: c.NBytes, Scale: c.scale}}
}

// copyAll copies a checkpoint that stays as it is. The index is copied too, unless the shards have other
// names.
func (t *target) copyAll(ctx context.Context) error {
	paths := t.paths()
	var shards []string
	var entries [][]safetensors.Entry
	for i, p := range t.c.parts {
		shards = append(shards, t.shardName(p))
		list := make([]safetensors.Entry, len(p.tensors))
		for j, tensor := range p.tensors {
			list[j] = tensor.entry()
		}
		entries = append(entries, list)
		if same(paths[i], p.file) {
			continue
		}
		f, err := atomicfile.Create(paths[i], t.mode, t.options.Force)
		if err != nil {
			return err
		}
		t.files = append(t.files, f)
		if err := f.CopyFrom(ctx, p.file, p.size); err != nil {
			return err
		}
	}
	if t.c.index == nil {
		return nil
	}
	text := t.c.index.text
	for i, p := range t.c.parts {
		if shards[i] != p.name {
			text = t.c.index.Encode(shards, entries)
			break
		}
	}
	f, err := t.create(t.out, int64(len(text)))
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	return err
}

// discard drops what was written and is not committed, for another try.
func (t *target) discard() error {
	var errs []error
	for _, f := range t.files {
		errs = append(errs, f.Close())
	}
	t.files = nil
	return errors.Join(errs...)
}

// commit gives the files their names, the index last. An index that is replaced goes first: one that names
// files of two runs would be believed.
func (t *target) commit() error {
	if t.c.index != nil && len(t.files) > 1 {
		if err := os.Remove(t.out); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, f := range t.files {
		if err := f.Commit(t.options.Sync); err != nil {
			return err
		}
	}
	return nil
}

// same reports whether path names the open file f.
func same(path string, f *os.File) bool {
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	b, err := f.Stat()
	return err == nil && os.SameFile(a, b)
}
