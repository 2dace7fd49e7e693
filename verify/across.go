package verify

import "fmt"

// part is what one input of a Concat has of the channels behind it.
type part struct {
	of             *norm
	axis, rank     int
	from, channels int
	all            int
}

// onPart is the part of a norm's map that is over the channels of a layer, which stand at an axis of a Concat's input.
func (b *norm) onPart(ax axis) ([]affine, error) {
	p := b.part
	if ax.lost || ax.ifNorm || ax.each > 1 || ax.rank != p.rank || ax.rank-1-ax.fromEnd != p.axis || ax.channels != p.channels {
		return nil, fmt.Errorf("the layer's channels are not provably the axis that a Concat joins")
	}
	ax.channels = p.all
	list, err := p.of.on(ax)
	if err != nil {
		return nil, err
	}
	return list[p.from : p.from+p.channels], nil
}

// across goes on in every input of a Concat with its part of the norms on the trail. It reports whether it could:
// nothing but norms, Identity and Dropout may be on the trail, and the sizes of the inputs must be known.
func (c *checker) across(nb, na *node, t *trail) bool {
	at, ok := na.int("axis", 1)
	rank := -1
	if s := c.shape(na.g.find(na.in[0])); s.known {
		rank = len(s.dims)
	}
	if at < 0 {
		at += int64(rank)
	}
	if !ok || at < 0 || at >= int64(rank) || len(nb.in) != len(na.in) {
		return false
	}
	for _, s := range t.steps {
		if s.added != nil || s.passA != nil && s.passA.op != "Identity" && s.passA.op != "Dropout" {
			return false
		}
	}
	var parts []part
	all := 0
	for _, name := range na.in {
		s := c.shape(na.g.find(name))
		if !s.known || len(s.dims) != rank || s.dims[at] < 0 {
			return false
		}
		parts = append(parts, part{axis: int(at), rank: rank, from: all, channels: s.dims[at]})
		all += s.dims[at]
	}
	c.pairNodes(nb, na)
	for i, p := range parts {
		behind := &trail{}
		for _, s := range t.steps {
			if s.norm != nil {
				own, its := *s.norm, p
				its.of, its.all = s.norm, all
				own.part = &its
				s.norm = &own
			}
			behind.steps = append(behind.steps, s)
		}
		c.proveBehind(pair{b: nb.g.find(nb.in[i]), a: na.g.find(na.in[i])}, behind)
	}
	return true
}
