package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/text"
)

// screen is a terminal that knows what a status sends it, and nothing else.
type screen struct {
	columns  int
	lines    []string
	row, col int // col counts bytes
}

func (s *screen) Write(b []byte) (int, error) {
	rest := string(b)
	for s.reach(); rest != ""; s.reach() {
		line := &s.lines[s.row]
		up := 0
		switch n, _ := fmt.Sscanf(rest, "\x1b[%dA", &up); {
		case n == 1:
			if s.row -= up; s.row < 0 {
				return 0, errors.New("above the screen")
			}
			rest = rest[strings.Index(rest, "A")+1:]
		case strings.HasPrefix(rest, eraseLine):
			*line = (*line)[:s.col]
			rest = rest[len(eraseLine):]
		case strings.HasPrefix(rest, eraseBelow):
			*line = (*line)[:s.col]
			s.lines = s.lines[:s.row+1]
			rest = rest[len(eraseBelow):]
		case rest[0] == '\r':
			s.col = 0
			rest = rest[1:]
		case rest[0] == '\n':
			s.row, s.col = s.row+1, 0
			rest = rest[1:]
		default:
			n := strings.IndexAny(rest, "\r\n\x1b")
			if n == 0 {
				return 0, fmt.Errorf("what is %.10q", rest)
			}
			if n < 0 {
				n = len(rest)
			}
			*line = (*line)[:s.col] + rest[:n] + (*line)[min(len(*line), s.col+n):]
			s.col += n
			rest = rest[n:]
			if text.StringWidth(*line) > s.columns {
				return 0, fmt.Errorf("%q is wider than %d", *line, s.columns)
			}
		}
	}
	return len(b), nil
}

// reach makes the line that the cursor is in.
func (s *screen) reach() {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, "")
	}
}

// text is what the screen shows.
func (s *screen) text() string { return strings.Join(s.lines, "\n") }

// fixed shows the same lines always.
type fixed []string

func (f fixed) lines(time.Time, int, int) []string { return f }
func (f fixed) plain(time.Time) string             { return strings.Join(f, ", ") }

// TestStatusOnTerminal: lines are drawn over each other, what is logged stands above them, and at the end they
// are gone.
func TestStatusOnTerminal(t *testing.T) {
	screen := &screen{columns: 80}
	s := newStatus(screen)
	s.terminal = true
	expect := func(want string) {
		t.Helper()
		if diff := cmp.Diff(want, screen.text()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	now := time.Now()
	s.draw(fixed{"one line that is long"}, now)
	expect("one line that is long")
	s.draw(fixed{"first", "second", "third"}, now)
	expect("first\nsecond\nthird")
	fmt.Fprintln(s, "warning")
	expect("warning\n")
	s.draw(fixed{"four", "five"}, now)
	expect("warning\nfour\nfive")
	s.draw(fixed{"six"}, now)
	expect("warning\nsix")
	fmt.Fprintln(s, "error")
	s.draw(fixed{"seven", "", "eight"}, now)
	expect("warning\nerror\nseven\n\neight")
	s.draw(fixed{}, now)
	expect("warning\nerror\n")
	s.show(fixed{"nine"})
	s.draw(fixed{"ten", "eleven"}, now)
	s.end()
	expect("warning\nerror\n")
	s.end()
}

// TestStatusElsewhere: where no terminal is, a line stays.
func TestStatusElsewhere(t *testing.T) {
	var b bytes.Buffer
	s := newStatus(&b)
	s.draw(fixed{"one", "two"}, time.Now())
	s.draw(fixed{}, time.Now())
	fmt.Fprintln(s, "warning")
	s.end()
	if got, want := b.String(), "one, two\nwarning\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		line    string
		columns int
		want    string
	}{
		{"█████", 0, "█████"}, {"█████", 3, "██"}, {"█████", 5, "████"}, {"█████", 6, "█████"},
		{"模型模型", 6, "模型"}, {"模型", 4, "模"}, {"模型", 5, "模型"},
	} {
		if got := cut(c.line, c.columns); got != c.want {
			t.Errorf("%s in %d columns: %q, want %q", c.line, c.columns, got, c.want)
		}
	}
}
