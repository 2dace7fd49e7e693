package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bnfuse/bnfuse/internal/atomicfile"
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

// newTarget refuses at once what could not be written later.
func newTarget(c *container, out string, o Options) (*target, error) {
	t := &target{c: c, out: out, options: o, mode: 0o666}
	if info, err := c.parts[0].file.Stat(); err == nil {
		t.mode = info.Mode()
	}
	switch {
	case c.index != nil && !strings.HasSuffix(out, IndexSuffix):
		return nil, fmt.Errorf("%s: %w", out, ErrIndexName)
	case c.index == nil && filepath.Ext(out) != ".safetensors":
		return nil, fmt.Errorf("%s: %w", out, ErrOutputName)
	}
	for _, path := range t.paths() {
		if _, err := os.Lstat(path); err == nil && !o.Force {
			return nil, fmt.Errorf("%s: %w", path, atomicfile.ErrExists)
		}
	}
	return t, nil
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

// shardName is the name of a part's output: its own, with the stem of the index where that is another.
func (t *target) shardName(p *part) string {
	stem := strings.TrimSuffix(filepath.Base(t.c.path), IndexSuffix)
	newStem := strings.TrimSuffix(filepath.Base(t.out), IndexSuffix)
	if rest, ok := strings.CutPrefix(p.name, stem); ok {
		return newStem + rest
	}
	if stem == newStem {
		return p.name
	}
	return newStem + "-" + p.name
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
	var entries [][]entry
	paths := t.paths()
	for i, p := range t.c.parts {
		contents := e.contents(p)
		inFile := p.tensors
		if t.c.asIs {
			inFile = inFileOrder(p.tensors)
		}
		ordered := place(contents, inFile)
		list := make([]entry, len(contents))
		size := int64(0)
		for j, c := range contents {
			list[j] = c.entry
			size += c.nBytes
		}
		header := encodeHeader(list, withRecord(p, e.out))
		f, err := t.create(paths[i], int64(len(header))+size)
		if err != nil {
			return nil, 0, err
		}
		n += int64(len(header)) + size
		ops = append(ops, stream.Op{Dst: f, Bytes: header})
		for _, c := range ordered {
			ops = append(ops, c.op(f, int64(len(header))+c.off)...)
		}
		shards, entries = append(shards, t.shardName(p)), append(entries, list)
	}
	if t.c.index != nil {
		text := t.c.index.encode(shards, entries)
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
	case c.nBytes == 0:
		return nil
	case c.bytes != nil:
		return []stream.Op{{Dst: dst, DstOff: at, Bytes: c.bytes}}
	}
	return []stream.Op{{Dst: dst, DstOff: at, Src: c.tensor.src, SrcOff: c.tensor.off, N: c.nBytes, Scale: c.scale}}
}

// copyAll copies a checkpoint that stays as it is. The index is copied too, unless the shards have other
// names.
func (t *target) copyAll() error {
	paths := t.paths()
	var shards []string
	var entries [][]entry
	for i, p := range t.c.parts {
		shards = append(shards, t.shardName(p))
		list := make([]entry, len(p.tensors))
		for j, tensor := range p.tensors {
			list[j] = entry{name: tensor.name, nBytes: tensor.nBytes}
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
		if err := f.CopyFrom(p.file, p.size); err != nil {
			return err
		}
	}
	if t.c.index == nil {
		return nil
	}
	text := t.c.index.text
	for i, p := range t.c.parts {
		if shards[i] != p.name {
			text = t.c.index.encode(shards, entries)
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

// commit gives the files their names, the index last.
func (t *target) commit() error {
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
