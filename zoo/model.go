package zoo

import (
	"context"
	"fmt"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/stream"
	"github.com/bnfuse/bnfuse/onnx"
)

// Checkpoint says where the pairs of layer and norm of a checkpoint come from; package checkpoint's Options
// say more.
type Checkpoint struct {
	Graph     string  // an ONNX model of the same network
	Pairs     string  // a pairs file, or checkpoint.NamesPairs
	Eps       float64 // the norms' epsilon where the pairs have none; 0 for unknown
	KeepNorms bool    // leave norms that do nothing
}

// key tells apart what would be fused otherwise. What the graph and the pairs file hold is not in it.
func (c Checkpoint) key() string {
	return fmt.Sprintf(" graph=%q pairs=%q eps=%v keep-norms=%v", c.Graph, c.Pairs, c.Eps, c.KeepNorms)
}

// files are what a fold depends on besides the checkpoint.
func (c Checkpoint) files() []string {
	var list []string
	if c.Graph != "" {
		list = append(list, c.Graph)
	}
	if c.Pairs != "" && c.Pairs != checkpoint.NamesPairs {
		list = append(list, c.Pairs)
	}
	return list
}

// Work is a model to be fused.
type Work struct {
	In, Out string
	Format  string // "onnx", or package checkpoint's
	Data    string // onnx's Options.DataName
	Own     bool   // onnx's Options.Own
	Checkpoint

	folder func(file string) error // onnx's Options.Folder
}

// prepare reads the model and lays its output out.
func (w *Work) prepare(ctx context.Context, e fuse.Engine, force, sync bool) (prepared, error) {
	if w.Format == formatONNX {
		return nonNil(onnx.Prepare(ctx, w.In, w.Out, onnx.Options{Engine: e, Force: force, Sync: sync, DataName: w.Data, Own: w.Own, Folder: w.folder}))
	}
	o := w.options(e)
	o.Force, o.Sync = force, sync
	return nonNil(checkpoint.Prepare(ctx, w.In, w.Out, o))
}

// nonNil gives no model with an error, where an interface would hold a nil pointer.
func nonNil[P prepared](p P, err error) (prepared, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (w *Work) options(e fuse.Engine) checkpoint.Options {
	return checkpoint.Options{Engine: e, Graph: w.Graph, Pairs: w.Pairs, Eps: w.Eps, KeepNorms: w.KeepNorms, AnyNetwork: true}
}

// inspect decides, and writes nothing.
func (w *Work) inspect(ctx context.Context, e fuse.Engine) (prepared, error) {
	if w.Format == formatONNX {
		res, err := onnx.Inspect(ctx, w.In, e)
		return decided{res}, err
	}
	res, err := checkpoint.Inspect(ctx, w.In, w.options(e))
	return decided{res}, err
}

// decided is a model with nothing left to do.
type decided struct{ res *onnx.Result }

func (d decided) Nodes() int                                   { return 0 }
func (d decided) Next() (stream.Op, bool)                      { return stream.Op{}, false }
func (d decided) Finish(context.Context) (*onnx.Result, error) { return d.res, nil }
func (d decided) Close() error                                 { return nil }
