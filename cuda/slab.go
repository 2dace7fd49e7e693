//go:build cuda && cgo

package cuda

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/bnfuse/bnfuse/cuda/driver"
	"github.com/bnfuse/bnfuse/fuse"
	"gorgonia.org/cu"
)

// maxSlabBytes keeps the elements of a segment below the kernels' 2³¹.
const maxSlabBytes = 1 << 31

// slab is pinned memory, as much device memory, and a stream of its own, so that slabs do not wait for each
// other.
type slab struct {
	engine *Engine
	stream cu.Stream
	done   cu.Event // recorded behind a call's last work
	data   buffer
	tables buffer // of one call, with the scales and counts they point to
	nBytes int
	room   room
}

// room is what a call needs in Go. The next call on the slab uses it again, so that none allocates.
type room struct {
	segments     []*fuse.Segment
	contractions []*fuse.Contraction
	lanes        map[*float64]bool
	spans        []span
	arguments    arguments
}

// buffer is memory on both sides, of one size.
type buffer struct {
	host   []byte // pinned
	device cu.DevicePtr
}

// NewSlab allocates pinned memory and as much on the device, or takes what a slab of that size had before it
// was freed.
func (e *Engine) NewSlab(nBytes int) (fuse.Slab, error) {
	if nBytes < 0 || nBytes > maxSlabBytes {
		return nil, fmt.Errorf("%s: a slab of %d bytes: want 0 to %d", e.Name(), nBytes, maxSlabBytes)
	}
	s := e.idle.take(nBytes)
	if s == nil {
		s = &slab{engine: e, nBytes: nBytes}
		if err := e.do(s.allocate); err != nil {
			return nil, err
		}
	}
	e.slabs.Add(1)
	return s, nil
}

// idleSlabs are the parts of freed slabs. To allocate pinned memory takes milliseconds, as long as a small
// model; a zoo has thousands of those, and they all want slabs of the size that the engine asks for.
type idleSlabs struct {
	sync.Mutex
	slabs []*slab
}

// take gives a slab of the size, or nil.
func (idle *idleSlabs) take(nBytes int) *slab {
	idle.Lock()
	defer idle.Unlock()
	n := len(idle.slabs)
	if n == 0 || nBytes != slabBytes {
		return nil
	}
	s := idle.slabs[n-1]
	idle.slabs = idle.slabs[:n-1]
	return s
}

// put keeps the slab, unless it has another size or there are enough.
func (idle *idleSlabs) put(s *slab) bool {
	idle.Lock()
	defer idle.Unlock()
	if s.nBytes != slabBytes || len(idle.slabs) >= numSlabs {
		return false
	}
	idle.slabs = append(idle.slabs, s)
	return true
}

// allocate makes what a slab holds. On an error it gives back what it has made.
func (s *slab) allocate() (err error) {
	d := s.engine.device
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	// The slab itself must not wait for the device when its call returns: a thread that sleeps leaves the
	// processor to those that read and write.
	if s.done, err = cu.MakeEvent(cu.DisableTiming | cu.BlockingSyncEvent); err != nil {
		return d.check("make an event", err)
	}
	if s.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return d.check("make a stream", err)
	}
	return s.data.grow(d, s.nBytes)
}

// grow makes the buffer at least nBytes large. Its contents are lost.
func (b *buffer) grow(d *device, nBytes int) error {
	if nBytes <= len(b.host) && b.device != 0 {
		return nil
	}
	if err := b.free(d); err != nil {
		return err
	}
	nBytes = max(nBytes, 1)
	host, err := driver.HostAlloc(nBytes)
	if err != nil {
		return d.checkAlloc("pinned host memory", nBytes, err)
	}
	b.host = host
	b.device, err = cu.MemAlloc(int64(nBytes))
	return d.checkAlloc("device memory", nBytes, err)
}

func (b *buffer) free(d *device) error {
	var errs []error
	if b.device != 0 {
		errs = append(errs, d.check("free device memory", cu.MemFree(b.device)))
	}
	if b.host != nil {
		errs = append(errs, d.check("free pinned memory", cu.MemFreeHost(unsafe.Pointer(&b.host[0]))))
	}
	*b = buffer{}
	return errors.Join(errs...)
}

// Bytes is the pinned memory.
func (s *slab) Bytes() []byte { return s.data.host[:s.nBytes] }

// Free gives the slab's memory and stream back, to the device or to the next slab.
func (s *slab) Free() error {
	e := s.engine
	if e == nil {
		return nil
	}
	parts := *s
	*s = slab{} // whoever still holds it holds nothing
	e.slabs.Add(-1)
	if e.lost.Load() == nil && e.idle.put(&parts) {
		return nil
	}
	err := e.device.do(parts.release)
	if e.lost.Load() != nil {
		return nil // a lost device takes no more calls; what it held goes with its context
	}
	return err
}

func (s *slab) release() error {
	d := s.engine.device
	errs := []error{s.data.free(d), s.tables.free(d)}
	if s.stream != cu.NoStream {
		errs = append(errs, d.check("destroy a stream", s.stream.Destroy()))
	}
	if s.done != (cu.Event{}) {
		errs = append(errs, d.check("destroy an event", cu.DestroyEvent(&s.done)))
	}
	return errors.Join(errs...)
}

// span is a stretch of the slab, in bytes.
type span struct{ from, to int }

// mergeGap is up to which gap two spans are copied as one: a copy of its own takes about as long as this
// many bytes more.
const mergeGap = 16 << 10

// spanOf is the stretch that a piece covers.
func spanOf(p fuse.Piece) span { return span{p.Offset, p.Offset + p.Elems*p.DType.Size()} }

// join sorts spans and joins those that are close, in place.
func join(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	joined := spans[:0]
	for _, s := range spans {
		if n := len(joined); n > 0 && s.from-joined[n-1].to <= mergeGap {
			joined[n-1].to = max(joined[n-1].to, s.to)
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}

// toDevice and toHost start copies of a buffer's spans. Pinned memory is the driver's until done is reached.
func (s *slab) toDevice(b *buffer, spans ...span) error {
	for _, x := range spans {
		err := cu.MemcpyHtoDAsync(b.device+cu.DevicePtr(x.from), unsafe.Pointer(&b.host[x.from]), int64(x.to-x.from), s.stream)
		if err != nil {
			return s.engine.device.check("copy to the device", err)
		}
	}
	return nil
}

func (s *slab) toHost(b *buffer, spans ...span) error {
	for _, x := range spans {
		err := cu.MemcpyDtoHAsync(unsafe.Pointer(&b.host[x.from]), b.device+cu.DevicePtr(x.from), int64(x.to-x.from), s.stream)
		if err != nil {
			return s.engine.device.check("copy from the device", err)
		}
	}
	return nil
}

// run starts the slab's work and returns when it is done. The pinned memory is the driver's until then,
// also after an error. The error may be that of any work before.
func (s *slab) run(start func() error) error {
	d := s.engine.device
	return s.engine.do(func() error {
		if err := start(); err != nil {
			s.stream.Synchronize()
			return err
		}
		if err := s.done.Record(s.stream); err != nil {
			s.stream.Synchronize()
			return d.check("record an event", err)
		}
		if err := s.done.Synchronize(); err != nil {
			s.stream.Synchronize()
			return d.check("wait for the device", err)
		}
		return nil
	})
}
