package zoo

import "github.com/bnfuse/bnfuse/report"

// Event is one step of a run, for those who show how far it is. Events come one at a time, so that whoever
// gets them needs no lock, but from several goroutines; a slow receiver holds the run up.
type Event struct {
	Kind   EventKind
	Worker int    // which of Options.Jobs, from 0; the line of the display
	Path   string // the model or other file, relative to the folder, with slashes; empty for EventStart

	Model *report.Model // of EventEnd: what became of it, also where it failed; nil for other files
	Text  string        // of EventWarning

	// How far Path is, with EventBytes.
	PathDone, PathBytes int64

	// How far the run is, with every event. What an earlier run did counts as done.
	Done, Models     int   // models only
	Failed           int   // of Done
	BytesDone, Bytes int64 // of everything that is to be read
}

// EventKind is what an Event tells.
type EventKind int

// The order of a run's events: one start, then for each model and file a begin, bytes and an end.
const (
	EventStart   EventKind = iota // the folder has been walked; Models and Bytes are known
	EventBegin                    // Worker begins Path
	EventBytes                    // Worker goes on with Path; a file may have none
	EventEnd                      // Path is done or has failed; an EventEnd may come without a begin
	EventWarning                  // Text is to be told of Path, which may be empty
)
