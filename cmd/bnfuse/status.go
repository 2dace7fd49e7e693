package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/text" // knows how wide a character is
	"golang.org/x/term"
)

// How often the status is shown. What is done sooner shows none.
const (
	redraw    = 100 * time.Millisecond // the lines on a terminal
	nextPlain = 5 * time.Second        // a plain line elsewhere
)

// status is standard error: it shows how far the work is, in lines that are drawn anew on a terminal and
// in plain lines elsewhere. Everything else that is written goes above those lines.
type status struct {
	terminal bool

	mu    sync.Mutex
	w     io.Writer
	drawn int // lines on the screen, with the cursor in the last

	stop, stopped chan struct{} // of the goroutine that draws
}

// view is what a status shows of some work. An empty result shows nothing.
type view interface {
	lines(now time.Time, columns, rows int) []string // for a terminal of this size, 0 where it is unknown
	plain(now time.Time) string                      // the same in one line
}

func newStatus(w io.Writer) *status { return &status{w: w, terminal: isTerminal(w)} }

// isTerminal reports whether somebody looks at w, and lines can be drawn over each other.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// Write writes above the lines.
func (s *status) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	return s.w.Write(b)
}

// What a terminal needs to hear.
const (
	eraseLine  = "\x1b[K" // from the cursor on
	eraseBelow = "\x1b[J" // likewise, and all lines below
)

// home goes to the first of n lines whose last the cursor is in.
func home(n int) string {
	if n > 1 {
		return fmt.Sprintf("\r\x1b[%dA", n-1)
	}
	return "\r"
}

// clear takes the lines back.
func (s *status) clear() {
	if s.drawn > 0 {
		io.WriteString(s.w, home(s.drawn)+eraseBelow)
		s.drawn = 0
	}
}

// show shows a view until end is called.
func (s *status) show(v view) {
	interval := nextPlain
	if s.terminal {
		interval = redraw
	}
	s.stop, s.stopped = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(s.stopped)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-s.stop:
				return
			case now := <-tick.C:
				s.draw(v, now)
			}
		}
	}()
}

// end takes the lines away.
func (s *status) end() {
	if s.stop == nil {
		return
	}
	close(s.stop)
	<-s.stopped
	s.stop = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
}

// draw shows a view as it is now.
func (s *status) draw(v view, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal {
		if line := v.plain(now); line != "" {
			fmt.Fprintln(s.w, line)
		}
		return
	}
	columns, rows := size(s.w)
	s.drawLines(v.lines(now, columns, rows), columns)
}

// drawLines draws over the lines that are there, in one write and without erasing them first: that would flicker.
func (s *status) drawLines(lines []string, columns int) {
	if len(lines) == 0 {
		s.clear()
		return
	}
	var b strings.Builder
	b.WriteString(home(s.drawn))
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(cut(line, columns) + eraseLine)
	}
	if len(lines) < s.drawn {
		b.WriteString(eraseBelow)
	}
	io.WriteString(s.w, b.String())
	s.drawn = len(lines)
}

// cut keeps a line shorter than the terminal is wide, because a wrapped line cannot be erased.
func cut(line string, columns int) string {
	if columns <= 0 || text.StringWidth(line) < columns {
		return line
	}
	used := 0
	for i, r := range line {
		if used += text.RuneWidth(r); used >= columns {
			return line[:i]
		}
	}
	return line
}

// size is that of a terminal in characters, 0 where it is unknown or w is none.
func size(w io.Writer) (columns, rows int) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, rows
}
