package verify

import "slices"

// takesWithin are operators that take some of the elements of every channel, or their averages: a norm behind one does
// what it would do in front.
var takesWithin = map[string]bool{"Slice": true, "AveragePool": true, "GlobalAveragePool": true, "ReduceMean": true}

// within follows the channels through an operator of takesWithin; it is not ok where the operator may take in more than
// one channel, or the zeros of a padding.
func (c *checker) within(n *node, ax axis) (to axis, ok bool) {
	if ax.rank < 0 {
		return ax, false
	}
	at := ax.rank - 1 - ax.fromEnd
	switch n.op {
	case "GlobalAveragePool":
		return ax, at <= 1
	case "AveragePool":
		return ax, at <= 1 && !n.averagesPadding()
	}
	input := map[string]int{"Slice": 3, "ReduceMean": 1}[n.op]
	axes, ok := n.ints("axes")
	given := n.attr("axes") != nil
	if name := n.input(input); name != "" {
		k := c.constant(n.g.find(name))
		axes, given, ok = k.ints(), true, k != nil
	}
	if !given && n.op == "Slice" { // then it is of the first axes, as many as it has starts
		starts, _ := n.ints("starts")
		if k := c.constant(n.g.find(n.input(1))); k != nil {
			starts = k.i
		}
		return ax, len(starts) > 0 && at >= len(starts)
	}
	touched := func(i int) bool { return slices.Contains(axes, int64(i)) || slices.Contains(axes, int64(i-ax.rank)) }
	if !ok || len(axes) == 0 || touched(at) {
		return ax, false
	}
	if keep, ok := n.int("keepdims", 1); n.op == "ReduceMean" && keep == 0 && ok {
		rank, behind := 0, 0
		for i := range ax.rank {
			switch {
			case touched(i):
			case i > at:
				behind++
				fallthrough
			default:
				rank++
			}
		}
		ax.rank, ax.fromEnd = rank, behind
	} else if !ok {
		return ax, false
	}
	return ax, true
}

// averagesPadding reports whether zeros of a padding may count in an AveragePool's averages.
func (n *node) averagesPadding() bool {
	up, ok1 := n.int("ceil_mode", 0)
	counts, ok2 := n.int("count_include_pad", 0)
	pads, ok3 := n.ints("pads")
	if !ok1 || !ok2 || !ok3 || up != 0 {
		return true
	}
	padded := slices.ContainsFunc(pads, func(p int64) bool { return p != 0 })
	if a := n.attr("auto_pad"); a != nil {
		padded = padded || a.ref || a.s != "" && a.s != "NOTSET" && a.s != "VALID"
	}
	return padded && (counts != 0 || n.opset() < 7)
}
