package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"
)

// How often the status is shown. What is done sooner shows none.
const (
	redraw    = 100 * time.Millisecond // the line on a terminal
	nextPlain = 5 * time.Second        // a plain line elsewhere
)

// status is standard error: it shows how far a model is, in a line that is drawn anew on a terminal and
// in plain lines elsewhere. Everything else that is written goes above that line.
type status struct {
	terminal bool

	mu    sync.Mutex
	w     io.Writer
	drawn bool // the line is on the screen

	stop, stopped chan struct{} // of the goroutine that draws
}

func newStatus(w io.Writer) *status {
	f, ok := w.(*os.File)
	return &status{w: w, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

// Write writes above the line.
func (s *status) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	return s.w.Write(b)
}

// erase is what a terminal needs to take back the line the cursor is in.
const erase = "\r\x1b[K"

func (s *status) clear() {
	if s.drawn {
		io.WriteString(s.w, erase)
		s.drawn = false
	}
}

// begin shows the progress of a task until end is called. What it returns may be called from several
// goroutines.
func (s *status) begin(name string) func(done, total int64) {
	var done, total atomic.Int64
	start := time.Now()
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
				if total.Load() > 0 {
					s.draw(progressLine(name, done.Load(), total.Load(), now.Sub(start)))
				}
			}
		}
	}()
	return func(d, t int64) {
		total.Store(t)
		for old := done.Load(); d > old && !done.CompareAndSwap(old, d); old = done.Load() {
		}
	}
}

// end takes the line away.
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

func (s *status) draw(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal {
		fmt.Fprintln(s.w, line)
		return
	}
	if f, ok := s.w.(*os.File); ok {
		line = cut(line, columns(f))
	}
	io.WriteString(s.w, erase+line)
	s.drawn = true
}

// cut keeps a line shorter than the terminal is wide, because a wrapped line cannot be erased.
func cut(line string, columns int) string {
	if r := []rune(line); columns > 0 && len(r) >= columns {
		return string(r[:columns-1])
	}
	return line
}

// columns is the width of a terminal, 0 where it is unknown or f is none.
func columns(f *os.File) int {
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return n
}

const barWidth = 24

// progressLine is "vgg11_bn.onnx  ██████░░░░░░  48 %  255.1 MB of 531.5 MB  3.1 GB/s".
func progressLine(name string, done, total int64, passed time.Duration) string {
	full := int(barWidth * done / total)
	bar := strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
	rate := inBytes(int64(float64(done) / passed.Seconds()))
	return fmt.Sprintf("%s  %s  %d %%  %s of %s  %s/s", name, bar, 100*done/total, inBytes(done), inBytes(total), rate)
}

// inBytes writes a number of bytes as people do: 531.5 MB.
func inBytes(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n)/1000, 0
	for x >= 999.95 && unit < len(units)-1 {
		x /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", x, units[unit])
}
