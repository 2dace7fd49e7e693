package host

import "github.com/bnfuse/bnfuse/fuse"

// walker goes through a view in memory order without dividing.
type walker struct {
	view                   fuse.View
	group, outer, c, inner int // the indices of the element it stands at
}

// startAt stands at element i of the view.
func startAt(v fuse.View, i int) walker {
	return walker{
		view:  v,
		group: i / (v.Inner * v.Channels * v.Outer),
		outer: i / (v.Inner * v.Channels) % v.Outer,
		c:     i / v.Inner % v.Channels,
		inner: i % v.Inner,
	}
}

func (w *walker) channel() int { return w.group*w.view.Channels + w.c }

func (w *walker) next() {
	if w.inner++; w.inner < w.view.Inner {
		return
	}
	w.inner = 0
	if w.c++; w.c < w.view.Channels {
		return
	}
	w.c = 0
	if w.outer++; w.outer < w.view.Outer {
		return
	}
	w.outer = 0
	w.group++
}
