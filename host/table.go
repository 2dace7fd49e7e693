package host

import "github.com/bnfuse/bnfuse/fuse"

// tableElems is how many elements a table covers: large enough that filling it costs little a call,
// small enough that it stays in the first-level cache beside the weights. A multiple of every block.
const tableElems = 512

// table holds a scale for each of some consecutive elements, or one scale for all of them.
type table struct {
	wide     [tableElems + 4]float64 // what expand overwrites behind the end has room
	narrowed [tableElems]float32
	narrowOK bool // narrowed holds the same scales, fit for quickF16 and quickBF16

	first [tableElems + 4]float64 // the scales of the first factor, where a segment has two
}

// flatten gives the same view with fewer numbers: a single channel makes Outer part of Inner, and a
// single Outer makes Groups part of Channels. Then Groups or Outer above 1 means that the channels
// really repeat.
func flatten(v fuse.View) fuse.View {
	if v.Channels == 1 {
		v.Inner, v.Outer = v.Inner*v.Outer, 1
	}
	if v.Outer == 1 {
		v.Channels, v.Groups = v.Channels*v.Groups, 1
	}
	return v
}

// fill writes the values of elements first, first+1 … of the view, all of one group, into dst. dst has
// room for 3 more.
func fill(dst []float64, v fuse.View, perChannel []float64, first int) {
	period := v.Channels * v.Inner
	group := first / (period * v.Outer)
	values := perChannel[group*v.Channels:][:v.Channels]
	phase := first % period
	for len(dst) > 0 {
		c, k := phase/v.Inner, phase%v.Inner
		n := v.Inner - k // up to the channel's end
		if k == 0 && len(dst) >= v.Inner {
			channels := min(v.Channels-c, len(dst)/v.Inner)
			repeat(dst, values[c:c+channels], v.Inner)
			n = channels * v.Inner
		} else {
			n = min(n, len(dst))
			for i := range dst[:n] {
				dst[i] = values[c]
			}
		}
		dst = dst[n:]
		phase = (phase + n) % period
	}
}

// chunk is how many elements of the view to fill a table for. If the channels repeat and whole periods
// fit, it is a multiple of the period and of 32 elements, and then repeats says that one table does for
// every chunk of a group.
func chunk(v fuse.View) (n int, repeats bool) {
	period := v.Channels * v.Inner
	if v.Outer == 1 || period > tableElems {
		return tableElems, false
	}
	unit := period // the least common multiple with 32
	for unit%32 != 0 {
		unit *= 2
	}
	if unit > tableElems {
		return tableElems, false
	}
	return tableElems / unit * unit, true
}
