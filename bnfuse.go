// Package bnfuse folds batch normalizations into the layers beside them, model file to model file.
//
// [FuseFile] writes the model without the norms that could be folded and reports on every norm;
// [Inspect] only reports. [Open] gives the engine that multiplies: the CPU, or a CUDA device where the
// program was built with the tag cuda. All engines give the same bytes.
//
// This package is the door. What is folded and why not is decided in package fuse, files are read and
// written in package onnx, weights are multiplied in packages host and cuda. Networks in memory are
// package nn's.
package bnfuse

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/report"
)

// Options are how a model is fused. The zero value is a good choice.
type Options struct {
	Device string      // a name that [Open] knows; "" is "auto"
	Engine fuse.Engine // used instead of opening Device, and left open

	Force bool // replace an existing output, which may be the input
	Sync  bool // make the output durable before it gets its name

	Log      *slog.Logger                  // warnings; nil for none
	Progress func(doneBytes, nBytes int64) // called from several goroutines; may be nil
}

// FuseFile folds the norms of the model at in and writes the result to out, or where out is "", beside
// the input: x.onnx becomes x.fused.onnx. The output appears whole or not at all, and the input is never
// changed unless it is the output too. A model with nothing to fold is copied byte for byte.
func FuseFile(ctx context.Context, in, out string, o Options) (*report.Model, error) {
	if out == "" {
		ext := filepath.Ext(in)
		out = strings.TrimSuffix(in, ext) + ".fused" + ext
	}
	return o.run(in, out, func(e fuse.Engine) (*onnx.Result, error) {
		return onnx.FuseFile(ctx, in, out, onnx.Options{Engine: e, Force: o.Force, Sync: o.Sync, Progress: o.Progress})
	})
}

// Inspect reports what FuseFile would do to the model at path, and writes nothing.
func Inspect(ctx context.Context, path string, o Options) (*report.Model, error) {
	return o.run(path, "", func(e fuse.Engine) (*onnx.Result, error) {
		return onnx.Inspect(ctx, path, e)
	})
}

// run works on a model and reports.
func (o Options) run(in, out string, work func(fuse.Engine) (*onnx.Result, error)) (*report.Model, error) {
	start := time.Now()
	if err := checkFormat(in); err != nil {
		return nil, err
	}
	res, engine, err := o.withEngine(work)
	if err != nil {
		return nil, err
	}
	m := report.New(res.Plan)
	m.Input, m.Output, m.Engine, m.Format = in, out, engine, "onnx"
	m.BytesIn, m.BytesOut, m.Warnings = res.BytesIn, res.BytesOut, res.Warnings
	m.Seconds = time.Since(start).Seconds()
	for _, w := range m.Warnings {
		o.log().Warn(w, "model", in)
	}
	return m, nil
}

// withEngine works on the engine the options name, and tells which one did it. Where the choice was ours
// and the device is lost, the work is done again on the CPU.
func (o Options) withEngine(work func(fuse.Engine) (*onnx.Result, error)) (*onnx.Result, string, error) {
	e := o.Engine
	if e == nil {
		var err error
		if e, err = Open(o.Device); err != nil {
			return nil, "", err
		}
	}
	res, err := work(e)
	if o.Engine == nil {
		if err := e.Close(); err != nil {
			o.log().Warn("closing the device", "err", err)
		}
	}
	if o.Engine == nil && cmp.Or(o.Device, "auto") == "auto" && errors.Is(err, fuse.ErrDeviceLost) {
		o.log().Warn("going on without "+e.Name(), "err", err)
		e = host.New()
		res, err = work(e)
	}
	return res, e.Name(), err
}

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
