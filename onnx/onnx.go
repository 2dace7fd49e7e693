// Package onnx folds batch norms in ONNX models, file to file.
//
// A model is read lazily: its protobuf fields are walked over an io.ReaderAt and its weights stay where
// they are. Patterns (a BatchNormalization, or a Mul, Add, Sub or Div by a per-channel constant, beside
// a Conv, ConvTranspose, Gemm or MatMul) give a fuse.Plan; the output is the input spliced: copied
// ranges, a few new bytes, and weights scaled by an engine on their way through. So whatever bnfuse does
// not know (metadata, unknown fields, other operators) is kept byte for byte, and memory does not grow
// with the weights.
//
// Promised: a norm is folded only where the result is provably the same function; every norm that stays
// has a reason; the same input gives the same bytes; the input is never changed; the output appears
// whole or not at all. Damage (a cut file, dims that disagree with data, a cycle, a name defined twice)
// is an error. Format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
package onnx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/atomicfile"
)

// Options are how a model is fused. Engine is required.
type Options struct {
	Engine   fuse.Engine
	Force    bool                          // replace an existing output
	Sync     bool                          // make the output durable before it gets its name
	DataName string                        // the file for external data, in the output's folder; "" for OUT.data
	Own      bool                          // with Force: copies of external data may replace files, as all in the output's folder is an earlier output
	Folder   func(file string) error       // makes the folder that external data go to; may be nil
	Progress func(doneBytes, nBytes int64) // called from several goroutines; may be nil
}

// Result is what became of a model.
type Result struct {
	Plan     *fuse.Plan
	BytesIn  int64    // of the file and of those it keeps tensors in
	BytesOut int64    // written; 0 where nothing was
	Warnings []string // folds that lose something: a channel that vanished
	Gone     bool     // no norm is left, and the exporter's own names say that it folded them

	Read, Wrote []string // files: those it keeps tensors in, and what was written or was there already as it is to be
}

// FuseFile folds the norms of the model at in and writes the result to out; both may be the same path
// with Options.Force. External data are written to out + ".data", or if the model keeps tensors in a file of
// that name, beside it: to out + ".2.data", so that the model is whole before and after. A model with nothing
// to fold is copied byte for byte, and the files that it keeps tensors in, under their own names.
func FuseFile(ctx context.Context, in, out string, o Options) (*Result, error) {
	res, err := fuseFile(ctx, in, out, o)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", in, err)
	}
	return res, nil
}

// Inspect plans the folds of the model at path and writes nothing. It scans the weights that a scale
// could make infinite, so its plan is the one FuseFile carries out.
func Inspect(ctx context.Context, path string, engine fuse.Engine) (*Result, error) {
	res, err := inspect(ctx, path, engine)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", path, err)
	}
	return res, nil
}

func inspect(ctx context.Context, path string, engine fuse.Engine) (*Result, error) {
	f, info, err := openModel(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	j, err := newJob(f, info.Size(), path, engine, os.TempDir())
	if err != nil {
		return nil, err
	}
	defer j.close()
	j.scanAll = true
	p, err := j.plan(ctx)
	if err != nil {
		return nil, err
	}
	return j.result(p), nil
}

func openModel(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, nil, bare(err)
	}
	f, err := os.Open(path)
	return f, info, bare(err)
}

// smallBytes bounds the models that are read at once: those whose graph is most of them.
const smallBytes = 256 << 10

// whenSmall reads a small model into memory.
func whenSmall(f *os.File, size int64) (io.ReaderAt, error) {
	if size > smallBytes {
		return f, nil
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, bare(err)
	}
	return inMemory(b[:n]), nil
}

// bare drops the path from an error that will be given one.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func fuseFile(ctx context.Context, in, out string, o Options) (*Result, error) {
	p, err := prepare(ctx, in, out, o)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := p.job.stream(ctx, p.ready, o.Progress); err != nil {
		return nil, err
	}
	return p.finish(ctx)
}

// target is where the output goes: the model, and beside it the external data.
type target struct {
	in      *os.File
	out     string
	mode    fs.FileMode
	options Options

	model, data *atomicfile.File
	copies      []*atomicfile.File
	there       []string // files that needed no copy
}

// dataName is the location of the external data, relative to the model. The usual one would be that of a file
// which the input reads: it would be damaged if the program ended between two renamings, and others may read it.
func (t *target) dataName(externals []*externalFile) string {
	base := filepath.Base(t.out)
	name := cmp.Or(t.options.DataName, base+".data")
	isInput := func(x *externalFile) bool { return same(t.beside(name), x.File) }
	if t.options.DataName != "" || !slices.ContainsFunc(externals, isInput) {
		return name
	}
	for n := 2; ; n++ {
		name = fmt.Sprintf("%s.%d.data", base, n)
		if _, err := os.Lstat(t.beside(name)); err != nil {
			return name
		}
	}
}

// inPlace reports whether the output will take the input's place.
func (t *target) inPlace() bool { return same(t.out, t.in) }

// beside is the path of a location of the output.
func (t *target) beside(location string) string {
	return filepath.Join(filepath.Dir(t.out), filepath.FromSlash(location))
}

// check refuses at once what Create would refuse after the planning.
func (t *target) check() error {
	return atomicfile.Check(t.out, t.options.Force)
}

func (t *target) createModel(n int64) (io.WriterAt, error) {
	return t.create(&t.model, t.out, n, false)
}

func (t *target) createData(name string, n int64, sparse bool) (io.WriterAt, error) {
	return t.create(&t.data, t.beside(name), n, sparse)
}

func (t *target) create(f **atomicfile.File, path string, n int64, sparse bool) (io.WriterAt, error) {
	var err error
	if *f, err = atomicfile.Create(path, t.mode, t.options.Force); err != nil {
		return nil, err
	}
	return *f, (*f).Reserve(n, sparse)
}

// discard drops what was written, for another try.
func (t *target) discard() error {
	var errs []error
	for _, f := range append(t.copies, t.model, t.data) {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	t.model, t.data, t.copies, t.there = nil, nil, nil, nil
	return errors.Join(errs...)
}

// commit gives the files their names, the model last. One that would be replaced goes first, as it does not suit
// the new data; but not if it is the input, whose own data are still there.
func (t *target) commit() error {
	if t.data != nil && t.options.Force && !t.inPlace() {
		if err := os.Remove(t.out); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, f := range append(t.copies, t.data, t.model) {
		if f != nil {
			if err := f.Commit(t.options.Sync); err != nil {
				return err
			}
		}
	}
	return nil
}

// paths are the files that commit gives their names, behind those that were there.
func (t *target) paths() []string {
	list := t.there
	for _, f := range append(t.copies, t.data, t.model) {
		if f != nil {
			list = append(list, f.Target())
		}
	}
	return list
}

func (t *target) close() { t.discard() }

// copyAll copies a model that stays as it is, with the external files it uses under the same names.
func (t *target) copyAll(ctx context.Context, size int64, externals []*externalFile) error {
	folder := t.options.Folder
	if folder == nil {
		folder = func(file string) error { return os.MkdirAll(filepath.Dir(file), 0o777) }
	}
	for _, x := range externals {
		path := t.beside(x.location)
		if err := folder(path); err != nil {
			return err
		}
		there, err := x.equals(path)
		if err != nil {
			return err
		}
		if there {
			t.there = append(t.there, path)
			continue
		}
		f, err := atomicfile.Create(path, t.mode, t.options.Force && t.options.Own)
		if errors.Is(err, atomicfile.ErrExists) {
			return fmt.Errorf("%s: %w", path, errInTheWay)
		}
		if err != nil {
			return err
		}
		t.copies = append(t.copies, f)
		if err := f.CopyFrom(ctx, x.File, x.size); err != nil {
			return err
		}
	}
	if t.inPlace() {
		return nil
	}
	var err error
	if t.model, err = atomicfile.Create(t.out, t.mode, t.options.Force); err != nil {
		return err
	}
	return t.model.CopyFrom(ctx, t.in, size)
}

// errInTheWay is for a file that nobody asked to replace.
var errInTheWay = errors.New("the file exists and is not the model's external data, which would go there: choose another folder for the output")

// same reports whether path names the open file f.
func same(path string, f *os.File) bool {
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	b, err := f.Stat()
	return err == nil && os.SameFile(a, b)
}
