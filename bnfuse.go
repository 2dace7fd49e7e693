// Package bnfuse folds batch normalizations into the layers beside them, model file to model file.
//
// [FuseFile] writes the model without the norms that could be folded and reports on every norm;
// [Inspect] only reports. [Open] gives the engine that multiplies: the CPU, or a CUDA device where the
// program was built with the tag cuda. All engines give the same bytes.
//
// This package is the door. What is folded and why not is decided in package fuse, files are read and
// written in packages onnx and checkpoint, weights are multiplied in packages host and cuda. Networks in
// memory are package nn's.
package bnfuse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/report"
	"github.com/bnfuse/bnfuse/zoo"
)

// Options are how a model is fused. The zero value is a good choice.
type Options struct {
	Device string      // a name that [Open] knows; "" is "auto"
	Engine fuse.Engine // used instead of opening Device, and left open

	Force bool // replace an existing output, which may be the input
	Sync  bool // make the output durable before it gets its name

	// Of checkpoints only, which have no graph: where the pairs of layer and norm come from. Package
	// checkpoint's Options say more.
	Graph     string  // an ONNX model of the same network
	Pairs     string  // a pairs file, or checkpoint.NamesPairs
	Eps       float64 // the norms' epsilon where the pairs have none; 0 for unknown
	KeepNorms bool    // leave norms that do nothing, for the model's unchanged class

	Log      *slog.Logger                  // warnings; nil for none
	Progress func(doneBytes, nBytes int64) // called from several goroutines; may be nil
}

// FuseFile folds the norms of the model at in and writes the result to out, or where out is "", beside
// the input: x.onnx becomes x.fused.onnx, and x.pt becomes x.fused.safetensors. The output appears whole or
// not at all, and the input is never changed unless it is the output too. A model with nothing to fold is
// copied byte for byte, unless it is PyTorch's.
func FuseFile(ctx context.Context, in, out string, o Options) (*report.Model, error) {
	f, err := formatOf(in)
	if err != nil {
		return nil, err
	}
	if out == "" {
		out = f.outputName(in)
	}
	if err := f.checkName(in, out); err != nil {
		return nil, err
	}
	return o.run(in, out, f, func(e fuse.Engine) (*onnx.Result, error) {
		if f != formatONNX {
			return checkpoint.FuseFile(ctx, in, out, o.checkpoint(e))
		}
		return onnx.FuseFile(ctx, in, out, onnx.Options{Engine: e, Force: o.Force, Sync: o.Sync, Progress: o.Progress})
	})
}

// File is one model of a batch.
type File struct{ In, Out string }

// FuseFiles does for each file what FuseFile does, and gives a report or an error for each. The models
// share the engine's slabs: on a GPU, the tensors of many small models are multiplied by one launch. A
// damaged model does not hinder the others. What Options say of checkpoints is for those among the files.
// Options.Progress is not called.
func FuseFiles(ctx context.Context, files []File, o Options) ([]*report.Model, []error) {
	reports, errs := make([]*report.Model, len(files)), make([]error, len(files))
	var models []zoo.Work
	var number []int // of the models' files
	written := map[string]string{}
	for i, f := range files {
		w, err := o.workOn(f)
		if other, twice := written[filepath.Clean(w.Out)]; err == nil && twice {
			err = fmt.Errorf("bnfuse: %s: the output %s is that of %s, too", f.In, w.Out, other)
		}
		if errs[i] = err; err == nil {
			written[filepath.Clean(w.Out)] = f.In
			models, number = append(models, w), append(number, i)
		}
	}
	e := o.Engine
	if e == nil {
		var err error
		if e, err = Open(o.Device); err != nil {
			for i := range errs {
				errs[i] = err
			}
			return reports, errs
		}
		defer e.Close()
	}
	made, failed := zoo.Fuse(ctx, models, zoo.BatchOptions{Engines: o.engines(e), Force: o.Force, Sync: o.Sync, Log: o.log()})
	for w, i := range number {
		reports[i], errs[i] = made[w], failed[w]
		o.warn(reports[i])
	}
	return reports, errs
}

// workOn tells the format of a file and where it goes.
func (o Options) workOn(file File) (zoo.Work, error) {
	f, err := formatOf(file.In)
	if err == nil {
		err = f.checkName(file.In, file.Out)
	}
	if err != nil {
		return zoo.Work{}, err
	}
	return zoo.Work{
		In:         file.In,
		Out:        cmp.Or(file.Out, f.outputName(file.In)),
		Format:     string(f),
		Checkpoint: o.pairs(),
	}, nil
}

// checkName refuses an output whose name says another format.
func (f format) checkName(in, out string) error {
	if f != formatONNX {
		return nil // package checkpoint does
	}
	switch strings.ToLower(filepath.Ext(out)) {
	case ".safetensors", ".pt", ".pth":
		return fmt.Errorf("bnfuse: %s: an ONNX model stays ONNX, and the output %s is named as a checkpoint", in, out)
	}
	return nil
}

// engines are the opened engine and what may follow it.
func (o Options) engines(e fuse.Engine) zoo.Engines {
	if !o.mayChoose() {
		return zoo.Engines{Engine: e}
	}
	return zoo.Engines{Engine: e, Fallback: func() fuse.Engine { return host.New() }}
}

// OutputName is where FuseFile writes the model at in when it is not told: x.onnx becomes x.fused.onnx, and
// x.pt becomes x.fused.safetensors. For a file that cannot be read the answer is a guess by its name.
func OutputName(in string) string {
	f, err := formatOf(in)
	if err != nil {
		f = formatONNX
	}
	return f.outputName(in)
}

// Inspect reports what FuseFile would do to the model at path, and writes nothing.
func Inspect(ctx context.Context, path string, o Options) (*report.Model, error) {
	f, err := formatOf(path)
	if err != nil {
		return nil, err
	}
	return o.run(path, "", f, func(e fuse.Engine) (*onnx.Result, error) {
		if f != formatONNX {
			return checkpoint.Inspect(ctx, path, o.checkpoint(e))
		}
		return onnx.Inspect(ctx, path, e)
	})
}

func (o Options) pairs() zoo.Checkpoint {
	return zoo.Checkpoint{Graph: o.Graph, Pairs: o.Pairs, Eps: o.Eps, KeepNorms: o.KeepNorms}
}

func (o Options) checkpoint(e fuse.Engine) checkpoint.Options {
	return checkpoint.Options{Engine: e, Graph: o.Graph, Pairs: o.Pairs, Eps: o.Eps, KeepNorms: o.KeepNorms,
		Force: o.Force, Sync: o.Sync, Progress: o.Progress}
}

// run works on a model and reports.
func (o Options) run(in, out string, f format, work func(fuse.Engine) (*onnx.Result, error)) (*report.Model, error) {
	start := time.Now()
	if f == formatONNX && o.pairs() != (zoo.Checkpoint{}) {
		return nil, fmt.Errorf("bnfuse: %s: %w", in, ErrNotCheckpoint)
	}
	res, engine, err := o.withEngine(work)
	if err != nil {
		return nil, err
	}
	m := o.report(res, in, out, engine, f)
	m.Seconds = time.Since(start).Seconds()
	return m, nil
}

// report says what became of a model.
func (o Options) report(res *onnx.Result, in, out, engine string, f format) *report.Model {
	m := report.New(res.Plan)
	m.Input, m.Output, m.Engine, m.Format = in, out, engine, string(f)
	m.BytesIn, m.BytesOut, m.Warnings = res.BytesIn, res.BytesOut, res.Warnings
	if res.Gone {
		m.Note = "the exporter has folded them already"
	}
	o.warn(m)
	return m
}

func (o Options) warn(m *report.Model) {
	if m == nil {
		return
	}
	for _, w := range m.Warnings {
		o.log().Warn(w, "model", m.Input)
	}
}

// withEngine works on the engine the options name, and tells which one did it. Where a device is lost, the
// work is done again: on the devices that are left, and where the choice was ours, on the CPU.
func (o Options) withEngine(work func(fuse.Engine) (*onnx.Result, error)) (res *onnx.Result, name string, err error) {
	e := o.Engine
	if e == nil {
		if e, err = Open(o.Device); err != nil {
			return nil, "", err
		}
	}
	for {
		if res, err = work(e); !o.again(e, err) {
			break
		}
	}
	if o.Engine == nil {
		if err := e.Close(); err != nil {
			o.log().Warn("closing the device", "err", err)
		}
	}
	if errors.Is(err, fuse.ErrDeviceLost) && o.mayChoose() {
		o.log().Warn("going on without "+e.Name(), "err", err)
		e = host.New()
		res, err = work(e)
	}
	return res, e.Name(), err
}

// again reports whether the work can be done on what is left of an engine of several devices.
func (o Options) again(e fuse.Engine, err error) bool {
	j, ok := e.(*fuse.Joined)
	if !ok || !errors.Is(err, fuse.ErrDeviceLost) || !j.Usable() {
		return false
	}
	o.log().Warn("going on without a device of "+e.Name(), "err", err)
	return true
}

// mayChoose reports whether the engine was left to us.
func (o Options) mayChoose() bool { return o.Engine == nil && cmp.Or(o.Device, "auto") == "auto" }

func (o Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// version is set by the Makefile.
var version string

// Version is the version this program was built from, "devel" where nobody knows.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, m := range append(info.Deps, &info.Main) { // a program that imports this module, or ours
		if m.Path == "github.com/bnfuse/bnfuse" && m.Version != "(devel)" {
			return cmp.Or(m.Version, "devel")
		}
	}
	return "devel"
}
