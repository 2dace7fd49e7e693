// Package zoo fuses whole folders of models: it finds them, takes them through an engine together, and writes
// a folder that can stand in for the first.
//
// In: a folder of ONNX models, safetensors and PyTorch state dicts, also sharded, with external data, or laid
// out as Hugging Face's cache, among any other files. Out: the same structure, models fused, everything else
// copied. Small models share the engine's slabs; memory is bounded by the slabs and by how many graphs are in
// hand, whatever the sizes and the number of workers.
//
// Promised: the input is never written to, also not through a link; a model that cannot be read is named and
// does not stop the others; files appear whole or not at all. A journal in OUT tells the next run what is
// done: whatever ends a run, at most the models in hand are lost, and the next run completes OUT to the same
// bytes. Several machines can share the work, see [Shard].
//
// The engine is given; what follows a lost one too. Which norms are folded is package fuse's affair, and
// package onnx and checkpoint know the formats.
package zoo

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/bnfuse/bnfuse/report"
)

// Options are how a zoo is fused. Engine and Log are required.
type Options struct {
	Engines
	Checkpoint             // for checkpoints without a graph of their own
	Graphs     []GraphRule // tried in order, before the ONNX model of a checkpoint's stem beside it

	Include, Exclude []string // see Glob; without Include, all is included
	Shard            Shard

	Jobs     int  // models that are read and decided at once; one a core if it is not positive
	DryRun   bool // write nothing
	NoResume bool // do again what an earlier run did
	Force    bool // write into a folder that holds other files

	Version string // of the program: another one does everything again
	Log     *slog.Logger
	Event   func(Event) // may be nil
}

// GraphRule gives the checkpoints that match Glob the graph of an ONNX model.
type GraphRule struct {
	Glob  Glob
	Graph string // path of the model
}

// Run fuses the zoo at dir into the folder out, and reports on every model. Models that failed are in the
// report; an error is what ended the run early, and then the report tells how far it came. A dry run may have no out; one
// that lies in the zoo, or holds what no run wrote, is refused all the same.
func Run(ctx context.Context, dir, out string, o Options) (*report.Zoo, error) {
	r := &run{Options: o, dir: dir, out: out}
	z, err := r.run(ctx)
	if err != nil {
		return z, fmt.Errorf("zoo: %s: %w", dir, err)
	}
	return z, nil
}

// checkOut refuses a folder that must not be written to.
func (r *run) checkOut() error {
	if r.out == "" {
		return ErrNoOutput
	}
	if err := checkPlaces(r.dir, r.out); err != nil {
		return err
	}
	list, more, err := journals(r.out)
	if err == nil && len(list) == 0 && more && !r.Force {
		err = fmt.Errorf("%s: %w", r.out, ErrNotOurs)
	}
	return err
}

// checkPlaces refuses an output inside the zoo, and a zoo inside the output.
func checkPlaces(dir, out string) error {
	from, err := realPath(dir)
	if err != nil {
		return err
	}
	to, err := realPath(out)
	if err != nil {
		return err
	}
	if isInside(to, from) || isInside(from, to) {
		return fmt.Errorf("%s: %w", out, ErrInside)
	}
	return nil
}

// Below gives a path relative to the folder that it lies in, however links lead there. Neither needs to exist.
func Below(dir, path string) (rel string, ok bool) {
	dir, errDir := realPath(dir)
	path, errPath := realPath(path)
	rel, err := filepath.Rel(dir, path)
	return rel, errDir == nil && errPath == nil && err == nil && filepath.IsLocal(rel)
}

// realPath is a path, absolute and with links resolved as far as it exists.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for at, rest := path, ""; ; at, rest = filepath.Dir(at), filepath.Join(filepath.Base(at), rest) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest), nil
		}
		if at == filepath.Dir(at) {
			return path, nil
		}
	}
}
