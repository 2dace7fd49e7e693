package stream

import (
	"sync"
	"sync/atomic"
)

// Task is one output in the making.
type Task struct {
	Next     func() (Op, bool) // its operations, until false; called by one goroutine at a time
	Progress func(n int64)     // called from several goroutines with the bytes done; may be nil
	Done     func(err error)   // called once, when its operations are carried out or one failed; may be nil

	uses atomic.Int64 // parts in slabs, and one while operations may follow
	mu   sync.Mutex
	err  error
}

// Err is the first error of the task.
func (t *Task) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// fail keeps the first error. The task's further operations are left out.
func (t *Task) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
}

// take notes a task that operations are now cut from.
func (c *cutter) take(t *Task) {
	c.openMu.Lock()
	defer c.openMu.Unlock()
	t.uses.Store(1)
	c.open[t] = true
}

// release ends one use of the task; with the last it is done.
func (c *cutter) release(t *Task) {
	if t.uses.Add(-1) > 0 {
		return
	}
	c.openMu.Lock()
	delete(c.open, t)
	c.openMu.Unlock()
	if t.Done != nil {
		t.Done(t.Err())
	}
}

// abandon fails the tasks that are not done. Nobody works on them any more.
func (c *cutter) abandon(err error) {
	for t := range c.open {
		t.fail(err)
		if t.Done != nil {
			t.Done(t.Err())
		}
	}
}
