package onnx

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
)

// memory is an output in memory, for models without external data.
type memory struct{ model []byte }

func (o *memory) dataName([]*externalFile) string { return "out.data" }

func (o *memory) createModel(n int64) (io.WriterAt, error) {
	o.model = make([]byte, n)
	return o, nil
}

func (o *memory) createData(string, int64, bool) (io.WriterAt, error) { return nil, errNoFolder }

func (o *memory) copyAll(context.Context, int64, []*externalFile) error {
	return errors.New("a model in memory is not copied")
}

func (o *memory) discard() error { return nil }

func (o *memory) WriteAt(p []byte, off int64) (int, error) { return copy(o.model[off:], p), nil }

// fuseBytes fuses a model in memory. The output is nil where nothing is folded.
func fuseBytes(t testing.TB, engine fuse.Engine, model []byte) ([]byte, *fuse.Plan, error) {
	j, err := newJob(bytes.NewReader(model), int64(len(model)), "", engine, t.TempDir())
	if err != nil {
		return nil, nil, err
	}
	defer j.close()
	var out memory
	res, err := j.run(context.Background(), &out, nil)
	if err != nil {
		return nil, nil, err
	}
	return out.model, res.Plan, nil
}

var testEngine = host.New()
