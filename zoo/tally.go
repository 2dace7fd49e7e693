package zoo

import (
	"slices"
	"sync"
	"time"

	"github.com/bnfuse/bnfuse/report"
)

// tally counts how far a run is and tells of it.
type tally struct {
	event func(Event)

	mu     sync.Mutex
	now    Event            // what every event tells
	inHand map[string]*hand // by path
	places []bool           // lines of a display that are taken
	models []*report.Model
	files  int
}

// hand is something that is being worked on.
type hand struct {
	place       int
	done, bytes int64
	told        time.Time
}

// tellEvery bounds how often the bytes of one model are told.
const tellEvery = 50 * time.Millisecond

func newTally(items []item, event func(Event)) *tally {
	if event == nil {
		event = func(Event) {}
	}
	t := &tally{event: event, inHand: map[string]*hand{}}
	for _, i := range items {
		t.now.Bytes += i.size
		if i.isModel() || i.err != nil { // what fails is counted with the models
			t.now.Models++
		}
	}
	t.tell(Event{Kind: EventStart})
	return t
}

// tell completes an event and sends it.
func (t *tally) tell(e Event) {
	e.Done, e.Models, e.Failed, e.BytesDone, e.Bytes = t.now.Done, t.now.Models, t.now.Failed, t.now.BytesDone, t.now.Bytes
	t.event(e)
}

// begin tells that something is taken up, on the first free line.
func (t *tally) begin(path string, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.inHand[path]; h != nil { // once more, after its device was lost
		t.now.BytesDone -= h.done
		h.done = 0
		return
	}
	place := slices.Index(t.places, false)
	if place < 0 {
		place = len(t.places)
		t.places = append(t.places, false)
	}
	t.places[place] = true
	t.inHand[path] = &hand{place: place, bytes: bytes}
	t.tell(Event{Kind: EventBegin, Path: path, Worker: place, PathBytes: bytes})
}

// bytes tells that n more bytes are through.
func (t *tally) bytes(path string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.inHand[path]
	n = min(n, h.bytes-h.done) // what is written may be more than what is read
	h.done += n
	t.now.BytesDone += n
	if now := time.Now(); now.Sub(h.told) >= tellEvery {
		h.told = now
		t.tell(Event{Kind: EventBytes, Path: path, Worker: h.place, PathDone: h.done, PathBytes: h.bytes})
	}
}

// end tells that something is done or has failed. m is nil for a file that is no model.
func (t *tally) end(path string, size int64, m *report.Model) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := Event{Kind: EventEnd, Path: path, Model: m}
	if h := t.inHand[path]; h != nil {
		t.places[h.place] = false
		e.Worker = h.place
		size = h.bytes - h.done
		delete(t.inHand, path)
	}
	t.now.BytesDone += size
	switch {
	case m == nil:
		t.files++
	default:
		t.models = append(t.models, m)
		t.now.Done++
		t.now.Models = max(t.now.Models, t.now.Done) // a file may fail, too
		if m.Status == report.ModelFailed {
			t.now.Failed++
		}
	}
	t.tell(e)
}

// warn tells of something that is not as it might be.
func (t *tally) warn(path, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(Event{Kind: EventWarning, Path: path, Text: text})
}
