package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
)

// counting is an engine that counts its calls, and fails from a given one on.
type counting struct {
	sized
	calls atomic.Int64
	fails int64
}

var errEngine = errors.New("the engine is lost")

func (e *counting) Scale(s fuse.Slab, segments []fuse.Segment) error {
	if n := e.calls.Add(1); e.fails > 0 && n >= e.fails {
		return errEngine
	}
	return e.sized.Scale(s, segments)
}

// tasks are n outputs of the same workload; number damaged has a source that ends too early.
func tasks(n, damaged int) (list []*Task, files []*file, want []byte, ended []error) {
	ended = make([]error, n)
	for i := range n {
		out := &file{data: make([]byte, 1<<20)}
		next, content := workload(out)
		if i == damaged {
			inner := next
			next = func() (Op, bool) {
				op, ok := inner()
				if op.Scale != nil {
					op.Src = bytes.NewReader(nil)
				}
				return op, ok
			}
		}
		want = content
		files = append(files, out)
		ended[i] = errors.New("never done")
		list = append(list, &Task{Next: next, Done: func(err error) { ended[i] = err }})
	}
	return list, files, want, ended
}

func serve(e fuse.Engine, list []*Task) error {
	return Serve(context.Background(), e, func(context.Context, bool) *Task {
		if len(list) == 0 {
			return nil
		}
		t := list[0]
		list = list[1:]
		return t
	})
}

// Small tasks share slabs, and one that cannot be read does not hinder the others.
func TestTasksShareSlabs(t *testing.T) {
	list, files, want, ended := tasks(20, 7)
	e := &counting{sized: sized{Engine: host.New(), n: 2, nBytes: 1 << 20}}
	if err := serve(e, list); err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if i == 7 {
			if !errors.Is(ended[i], io.ErrUnexpectedEOF) {
				t.Errorf("the damaged task ended with %v", ended[i])
			}
			continue
		}
		if ended[i] != nil || !bytes.Equal(f.data[:len(want)], want) {
			t.Errorf("task %d: error %v, or other bytes", i, ended[i])
		}
	}
	if n := e.calls.Load(); n > 3 { // 20 × 100 kB
		t.Errorf("%d calls of the engine, want 3 at most", n)
	}
}

// What the engine fails at fails every task that is not done, each once.
func TestEngineFailsTasks(t *testing.T) {
	list, files, want, ended := tasks(20, -1)
	e := &counting{sized: sized{Engine: host.New(), n: 2, nBytes: 1 << 19}, fails: 3}
	if err := serve(e, list); !errors.Is(err, errEngine) {
		t.Fatalf("error %v", err)
	}
	failed := 0
	for i, f := range files {
		switch {
		case ended[i] == nil && !bytes.Equal(f.data[:len(want)], want):
			t.Errorf("task %d is done and has other bytes", i)
		case errors.Is(ended[i], errEngine):
			failed++
		}
	}
	if failed == 0 || e.live != 0 {
		t.Errorf("%d tasks failed, %d slabs not freed", failed, e.live)
	}
}

// A task that waits in a slab filled in part is done before the source is asked to wait for another.
func TestPartlyFilledSlabIsNotHeld(t *testing.T) {
	list, _, _, ended := tasks(2, -1)
	done := make(chan struct{})
	first := list[0].Done
	list[0].Done = func(err error) { first(err); close(done) }
	err := Serve(context.Background(), &sized{Engine: host.New(), n: 2, nBytes: 1 << 20}, func(_ context.Context, idle bool) *Task {
		switch {
		case len(list) == 2:
		case len(list) == 0 || !idle:
			return nil
		default:
			<-done // as a model that is opened only when another is closed
		}
		task := list[0]
		list = list[1:]
		return task
	})
	if err != nil || ended[0] != nil || ended[1] != nil {
		t.Error(err, ended)
	}
}
