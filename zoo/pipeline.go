package zoo

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/stream"
	"github.com/bnfuse/bnfuse/onnx"
)

// pipeline takes many models through one stream, so that small ones share the engine's slabs.
//
// Workers open models (read, decide, lay out) and finish them; in between, a model's operations wait in
// ready until the stream takes them. A worker prefers finishing: it frees a place for another model.
type pipeline struct {
	jobs   int // workers
	n      int // models, known by their number
	open   func(ctx context.Context, number int, e fuse.Engine) (prepared, error)
	done   func(number int, made outcome) // called once a model, from several goroutines
	bytes  func(number int, n int64)      // progress, from several goroutines; may be nil
	files  func(number int) int           // how many files a model has open; nil for filesInHand each
	engine *succession

	allowed  int // files that the models in hand may have open
	mu       sync.Mutex
	changed  sync.Cond // of everything below
	next     int       // the first model never opened
	again    []int     // models whose device was lost
	opening  int       // models in the hands of a worker that opens them
	inHand   int       // models opened, or being opened, and not done
	nFiles   int       // that they have open
	ready    []*member // opened, not yet streamed
	streamed []*member // to be finished
	nodes    int       // of the graphs in hand
	stopped  bool      // no further model is opened
}

// Two bounds on the models in hand: of open files, and of graphs in memory, some 300 bytes a node.
const (
	maxInHand   = 64
	filesInHand = 4  // a model, its external data and what is written, or a little more
	filesBeside = 40 // those of the journal, of the walk, and of nobody in particular
	maxNodes    = 200_000
)

// prepared is a model on its way, as the front ends prepare it.
type prepared interface {
	Nodes() int // of its graph in memory
	Next() (stream.Op, bool)
	Finish(ctx context.Context) (*onnx.Result, error)
	Close() error
}

// outcome is what became of a model: res, or err.
type outcome struct {
	res    *onnx.Result
	engine string
	err    error
}

// member is a model in hand.
type member struct {
	stream.Task
	prepared
	number int
	nodes  int
	era    int // of the engine it was opened with
	err    error
}

// run takes all models through. An error, of the context or of an engine that is lost for good, ends it
// early, and then models that were not begun are not reported.
func (p *pipeline) run(ctx context.Context) error {
	p.changed.L = &p.mu
	p.allowed = filesAllowed() - filesBeside
	if p.files == nil {
		p.files = func(int) int { return filesInHand }
	}
	defer context.AfterFunc(ctx, p.stop)()
	var wg sync.WaitGroup
	for range p.jobs {
		wg.Go(func() { p.work(ctx) })
	}
	err := p.stream(ctx)
	p.drain(err)
	wg.Wait()
	return err
}

// stream serves the models until there are no more, with another engine where one is lost.
func (p *pipeline) stream(ctx context.Context) error {
	for {
		e, era := p.engine.current()
		err := stream.Serve(ctx, e, p.source)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !p.engine.lost(era, err) && errors.Is(err, fuse.ErrDeviceLost) {
			p.stop()
			return err
		}
	}
}

// stop lets no further model in.
func (p *pipeline) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.changed.Broadcast()
}

// source hands the stream a model that is ready; see [stream.Serve].
func (p *pipeline) source(ctx context.Context, idle bool) *stream.Task {
	defer context.AfterFunc(ctx, p.wake)()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.ready) == 0 {
		if ctx.Err() != nil {
			return nil
		}
		// A slab filled in part is held back while a model is being opened, so that the two can share it.
		if p.over() || !idle && p.opening == 0 && !p.mayOpen() {
			return nil
		}
		p.changed.Wait()
	}
	m := p.ready[0]
	p.ready = p.ready[1:]
	return &m.Task
}

// wake lets those who wait look again.
func (p *pipeline) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed.Broadcast()
}

// over reports whether every model is done.
func (p *pipeline) over() bool { return p.inHand == 0 && !p.mayOpen() }

func (p *pipeline) mayOpen() bool {
	number, more := p.upNext()
	if p.stopped || !more {
		return false
	}
	return p.inHand == 0 || p.inHand < maxInHand && p.nFiles+p.files(number) <= p.allowed && p.nodes < maxNodes
}

// upNext is the model to be opened next.
func (p *pipeline) upNext() (number int, ok bool) {
	if len(p.again) > 0 {
		return p.again[0], true
	}
	return p.next, p.next < p.n
}

// work finishes and opens models until all are done.
func (p *pipeline) work(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case len(p.streamed) > 0:
			m := p.streamed[0]
			p.streamed = p.streamed[1:]
			p.unlocked(func() { p.finish(ctx, m) })
		case p.mayOpen():
			p.openNext(ctx)
		case p.over():
			p.changed.Broadcast()
			return
		default:
			p.changed.Wait()
		}
	}
}

// unlocked does what takes long without the lock.
func (p *pipeline) unlocked(f func()) {
	p.mu.Unlock()
	defer p.mu.Lock()
	f()
}

// openNext opens the next model and makes it ready for the stream.
func (p *pipeline) openNext(ctx context.Context) {
	number, _ := p.upNext()
	if len(p.again) > 0 {
		p.again = p.again[1:]
	} else {
		p.next++
	}
	p.inHand++
	p.nFiles += p.files(number)
	p.opening++
	var m *member
	p.unlocked(func() { m = p.openModel(ctx, number) })
	p.opening--
	if m != nil {
		p.ready = append(p.ready, m)
		p.nodes += m.nodes
	}
	p.changed.Broadcast()
}

func (p *pipeline) openModel(ctx context.Context, number int) *member {
	e, era := p.engine.limited()
	var opened prepared
	err := guarded(func() (err error) {
		opened, err = p.open(ctx, number, e)
		return err
	})
	m := &member{prepared: opened, number: number, era: era, err: err}
	if err != nil {
		p.settle(m, nil)
		return nil
	}
	m.nodes = opened.Nodes()
	m.Task.Next = opened.Next
	if p.bytes != nil {
		m.Task.Progress = func(n int64) { p.bytes(number, n) }
	}
	m.Task.Done = func(err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		m.err = err
		p.streamed = append(p.streamed, m)
		p.changed.Broadcast()
	}
	return m
}

// finish gives a streamed model's output its name.
func (p *pipeline) finish(ctx context.Context, m *member) {
	var res *onnx.Result
	if m.err == nil {
		m.err = guarded(func() (err error) {
			res, err = m.prepared.Finish(ctx)
			return err
		})
	}
	if err := m.prepared.Close(); m.err == nil {
		m.err = err
	}
	p.settle(m, res)
}

// guarded turns a panic over one model into its error: thousands of others may wait behind it.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a mistake in bnfuse itself, please report it with the model: %v", p)
		}
	}()
	return f()
}

// settle reports a model that is done, or has it done again where its device was lost.
func (p *pipeline) settle(m *member, res *onnx.Result) {
	again := errors.Is(m.err, fuse.ErrDeviceLost) && p.engine.lost(m.era, m.err)
	if !again {
		e, _ := p.engine.current()
		p.done(m.number, outcome{res, e.Name(), m.err})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inHand--
	p.nFiles -= p.files(m.number)
	p.nodes -= m.nodes
	if again {
		p.again = append(p.again, m.number)
	}
	p.changed.Broadcast()
}

// drain drops the models that the stream never took, when it was stopped.
func (p *pipeline) drain(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.inHand > 0 {
		for _, m := range p.ready {
			m.err = err
			p.streamed = append(p.streamed, m)
		}
		p.ready = nil
		p.changed.Broadcast()
		p.changed.Wait()
	}
}
