// Package checkpoint folds batch norms in checkpoints: safetensors and what torch.save writes, both also in shards.
//
// A checkpoint has names and tensors and no graph, so which norm follows which layer comes from outside:
// from an ONNX graph of the same network, from a pairs file, or, where the user asks for it, from the names
// themselves. Without any of these every norm stays. What is folded, and why not, is package fuse's; an
// engine multiplies; the output is safetensors, written as ranges of the input, so memory does not grow with
// the weights.
//
// Promised: a checkpoint is distrusted. Lengths are checked against the file before anything is allocated,
// and of a pickle only a list of known opcodes and names is read: nothing in it is ever called. Tensors that
// no fold touches keep their bytes, whatever their type. The same input gives the same bytes, and the output
// appears whole or not at all.
//
// Not promised: that a folded state dict loads into the model's class as it is. The norms are gone and their
// layers have a bias: replace the norms by Identity, as examples/pytorch/load_fused.py does, or ask for
// Options.KeepNorms.
//
// Formats: https://github.com/huggingface/safetensors and torch/serialization.py.
package checkpoint

import (
	"context"
	"fmt"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/onnx"
)

// Options are how a checkpoint is fused. Engine is required. Of Graph and Pairs at most one is set; with
// neither, every norm stays.
type Options struct {
	Engine fuse.Engine

	Graph string  // an ONNX model of the same network
	Pairs string  // a pairs file, or NamesPairs
	Eps   float64 // the norms' epsilon, for NamesPairs and for a pairs file that has none; 0 for unknown

	KeepNorms  bool // leave norms that do nothing, so that the model's class loads the output as it is
	AnyNetwork bool // pairs that name none of the norms are no error: in a folder they may be meant for other files

	Force    bool                          // replace an existing output
	Sync     bool                          // make the output durable before it gets its name
	Progress func(doneBytes, nBytes int64) // called from several goroutines; may be nil
}

// NamesPairs, as Options.Pairs, stands for the naming conventions.
const NamesPairs = "names"

// Result is what became of a checkpoint. Its warnings are what the output does not hold, norms that only the pairs
// have, and folds that lose something; the files it read are the shards of an index.
type Result = onnx.Result

// FuseFile folds the norms of the checkpoint at in and writes the result to out as safetensors. Where in is
// an index of shards, so is out, and the shards lie beside it. Both may be the same path with Options.Force,
// except for an index.
// A safetensors file with nothing to fold is copied byte for byte. Pairs that name none of the checkpoint's norms
// are [ErrOtherNetwork], unless Options.AnyNetwork is set.
func FuseFile(ctx context.Context, in, out string, o Options) (*Result, error) {
	res, err := fuseFile(ctx, in, out, o)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", in, err)
	}
	return res, nil
}

// Inspect plans the folds of the checkpoint at path and writes nothing. It scans the weights that a scale
// could make infinite, so its plan is the one FuseFile carries out.
func Inspect(ctx context.Context, path string, o Options) (*Result, error) {
	res, err := inspect(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return res, nil
}

func inspect(ctx context.Context, path string, o Options) (*Result, error) {
	j, err := newJob(ctx, path, o)
	if err != nil {
		return nil, err
	}
	defer j.c.close()
	j.scanAll = true
	p, err := j.plan(ctx)
	if err != nil {
		return nil, err
	}
	return &Result{Plan: p.out, BytesIn: j.c.nBytes(), Warnings: p.warnings()}, nil
}

func fuseFile(ctx context.Context, in, out string, o Options) (*Result, error) {
	p, err := prepare(ctx, in, out, o)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := p.job.stream(ctx, p.ready); err != nil {
		return nil, err
	}
	return p.finish(ctx)
}
