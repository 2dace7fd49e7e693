package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/bnfuse/bnfuse/zoo"
)

// zooView is a zoo on its way: the totals, and lines for models in hand. A model keeps its line while others wait
// for one.
type zooView struct {
	mu      sync.Mutex
	begun   bool      // the folder has been walked
	totals  zoo.Event // the newest
	inHand  []*inHand // in the order they were begun
	shown   []*inHand // by line; nil for a free one
	resumed sample    // what an earlier run did: it has no part in the rate
	samples []sample  // of the last moments, the oldest first
}

// inHand is a model or file that is being worked on.
type inHand struct {
	path         string
	done, nBytes int64
}

func newZooView(now time.Time) *zooView { return &zooView{samples: []sample{{at: now}}} }

// event takes in a step of the run.
func (v *zooView) event(e zoo.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.totals
	v.begun, v.totals = true, e
	switch e.Kind {
	case zoo.EventBegin, zoo.EventBytes:
		h := v.find(e.Path)
		h.done, h.nBytes = e.PathDone, e.PathBytes
	case zoo.EventEnd:
		if !v.drop(e.Path) { // it was never begun
			v.resumed.models += int64(e.Done - before.Done)
			v.resumed.bytes += e.BytesDone - before.BytesDone
		}
	}
}

// find gives the model in hand with this path, a new one if need be.
func (v *zooView) find(path string) *inHand {
	for _, h := range v.inHand {
		if h.path == path {
			return h
		}
	}
	h := &inHand{path: path}
	v.inHand = append(v.inHand, h)
	return h
}

// drop takes a model away that is done, and tells whether it was in hand.
func (v *zooView) drop(path string) bool {
	is := func(h *inHand) bool { return h != nil && h.path == path }
	if i := slices.IndexFunc(v.shown, is); i >= 0 {
		v.shown[i] = nil
	}
	n := len(v.inHand)
	v.inHand = slices.DeleteFunc(v.inHand, is)
	return len(v.inHand) < n
}

// lines are the totals and the models in hand.
func (v *zooView) lines(now time.Time, columns, rows int) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.begun {
		return []string{"looking through the folder"}
	}
	t, r := &v.totals, v.rate(now)
	done, all := t.BytesDone, t.Bytes
	if all == 0 {
		done, all = int64(t.Done), int64(t.Models)
	}
	first := strings.Join(append([]string{fmt.Sprintf("%3d %%", percent(done, all)), v.models()}, r.left(t)...), "  ")
	if columns <= 0 || text.StringWidth(first)+2+barWidth < columns {
		first = bar(done, all) + "  " + first // what it shows is said in numbers too
	}
	list := []string{first, strings.Join(append([]string{v.bytes()}, r.speeds()...), "  ")}
	return append(list, v.handLines(columns, rows)...)
}

// plain is the totals in one line.
func (v *zooView) plain(now time.Time) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.begun {
		return ""
	}
	r := v.rate(now)
	parts := append([]string{v.models(), v.bytes()}, r.speeds()...)
	return strings.Join(append(parts, r.left(&v.totals)...), ", ")
}

// models is "412 of 2000 models, 2 failed".
func (v *zooView) models() string {
	s := fmt.Sprintf("%d of %d models", v.totals.Done, v.totals.Models)
	if v.totals.Failed > 0 {
		s += fmt.Sprintf(", %d failed", v.totals.Failed)
	}
	return s
}

func (v *zooView) bytes() string {
	return inBytes(v.totals.BytesDone) + " of " + inBytes(v.totals.Bytes)
}

// maxHandLines bounds the lines for models in hand, and fewer leave a terminal some of what was there before.
const maxHandLines = 8

// handLines are "   63 %  102.5 MB  vision/resnet50.onnx" for models in hand, and how many there are besides.
func (v *zooView) handLines(columns, rows int) []string {
	room := maxHandLines
	if rows > 0 {
		room = min(room, max(0, rows-4))
	}
	v.choose(room)
	var list []string
	for _, h := range v.shown {
		list = append(list, h.line(columns))
	}
	if more := len(v.inHand) - len(v.shown); more > 0 && room > 0 {
		list = append(list, fmt.Sprintf("%22sand %d more", "", more))
	}
	return list
}

// choose finds models for the lines that are free, and for those of models that wait while others move.
func (v *zooView) choose(room int) {
	v.shown = v.shown[:min(len(v.shown), room)]
	for _, moving := range []bool{true, false} {
		for _, h := range v.inHand {
			if moving != (h.done > 0) || slices.Contains(v.shown, h) {
				continue
			}
			if i := slices.IndexFunc(v.shown, func(old *inHand) bool { return old == nil || moving && old.done == 0 }); i >= 0 {
				v.shown[i] = h
			} else if len(v.shown) < room {
				v.shown = append(v.shown, h)
			}
		}
	}
	v.shown = slices.DeleteFunc(v.shown, func(h *inHand) bool { return h == nil })
}

func (h *inHand) line(columns int) string {
	numbers := strings.Repeat(" ", 22)
	if h.nBytes > 0 {
		numbers = fmt.Sprintf("%7d %%  %9s  ", percent(h.done, h.nBytes), inBytes(h.nBytes))
	}
	return numbers + shorten(printable(h.path), columns-len(numbers)-1)
}

func percent(done, all int64) int64 {
	if all <= 0 {
		return 0
	}
	return 100 * min(done, all) / all
}

// printable keeps a file's name from moving the cursor or ending the line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// shorten keeps the end of a path, which tells more than its beginning.
func shorten(path string, columns int) string {
	if columns <= 1 {
		return path // of unknown width
	}
	width := text.StringWidth(path)
	for i, r := range path {
		if width <= columns {
			if i > 0 {
				return "…" + path[i:]
			}
			return path
		}
		if i == 0 {
			width++ // the ellipsis
		}
		width -= text.RuneWidth(r)
	}
	return path
}
