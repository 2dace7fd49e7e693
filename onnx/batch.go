package onnx

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bnfuse/bnfuse/internal/stream"
)

// File is a model of a batch: where it lies, and where the result goes.
type File struct{ In, Out string }

// maxBatch bounds how many models are open at once.
const maxBatch = 64

// FuseFiles does for each file what FuseFile does, and shares the engine's slabs between them: the
// tensors of many small models are multiplied in one call. It gives a result or an error for each file;
// a damaged model does not hinder the others. Options.Progress is not called.
func FuseFiles(ctx context.Context, files []File, o Options) ([]*Result, []error) {
	o.Progress = nil
	results, errs := make([]*Result, len(files)), make([]error, len(files))
	for start := 0; start < len(files); start += maxBatch {
		end := min(start+maxBatch, len(files))
		fuseBatch(ctx, files[start:end], results[start:end], errs[start:end], o)
	}
	return results, errs
}

// member is a model of a batch whose output is laid out.
type member struct {
	index int
	src   *os.File
	job   *job
	out   *target
	ready *ready
}

func (m *member) close() {
	m.out.close()
	m.job.close()
	m.src.Close()
}

// fuseBatch streams all models through the slabs in one run. Where the run fails, nobody can say whose
// fault it is, and where a weight overflows, a model is to be planned again: such models are done again,
// each on its own.
func fuseBatch(ctx context.Context, files []File, results []*Result, errs []error, o Options) {
	var members []*member
	for i, f := range files {
		m, err := openMember(ctx, f, o)
		if err != nil {
			errs[i] = fmt.Errorf("onnx: %s: %w", f.In, err)
			continue
		}
		m.index = i
		members = append(members, m)
	}
	at := 0
	next := func() (stream.Op, bool) {
		for ; at < len(members); at++ {
			if op, ok := members[at].ready.next(); ok {
				return op, true
			}
		}
		return stream.Op{}, false
	}
	failed := stream.Run(ctx, o.Engine, next, nil)
	for _, m := range members {
		i := m.index
		again := failed != nil || m.job.settle(m.ready)
		if !again {
			results[i] = m.ready.res
			if err := m.out.commit(); err != nil {
				results[i], errs[i] = nil, fmt.Errorf("onnx: %s: %w", files[i].In, err)
			}
		}
		m.close()
		if again {
			results[i], errs[i] = FuseFile(ctx, files[i].In, files[i].Out, o)
		}
	}
}

// openMember opens a model and lays its output out.
func openMember(ctx context.Context, f File, o Options) (m *member, err error) {
	src, info, err := openModel(f.In)
	if err != nil {
		return nil, err
	}
	j, err := newJob(src, info.Size(), f.In, o.Engine, filepath.Dir(f.Out))
	if err != nil {
		src.Close()
		return nil, err
	}
	m = &member{src: src, job: j, out: &target{out: f.Out, mode: info.Mode(), options: o}}
	if err = m.out.check(); err == nil {
		m.ready, err = j.prepare(ctx, m.out)
	}
	if err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}
