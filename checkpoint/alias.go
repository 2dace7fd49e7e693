package checkpoint

import (
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// alias refuses a norm that the network has under another name too, as in self.bn2 = self.bn1: folded under one name it
// would be done once more under the other. Its statistics then are in one place, or where the file cannot say so, twice.
// With KeepNorms no parameter may be another's too, for whoever loads the file gives both the later one's value.
func (p *planner) alias(n *norm) (*fuse.Refusal, error) {
	tied := []*tensor{n.mean, n.variance}
	if p.keepNorms {
		tied = n.params()
	}
	for _, t := range tied {
		if t.shared {
			return fuse.Refuse(fuse.ReasonLayerShared, "other names of the checkpoint stand for the memory of %q", t.name), nil
		}
	}
	if fresh, err := n.fresh(); fresh || err != nil {
		return nil, err
	}
	others, err := p.maybe(n)
	if err != nil {
		return nil, err
	}
	for _, other := range others {
		if other == n {
			continue
		}
		if same, err := n.equals(other); err != nil {
			return nil, err
		} else if same {
			return fuse.Refuse(fuse.ReasonLayerShared, "%s has the same values, and may be the same norm", other.name), nil
		}
	}
	return nil, nil
}

// maybe lists the norms that n may be, which begin as it does: without KeepNorms those that nothing else tells from it.
func (p *planner) maybe(n *norm) ([]*norm, error) {
	if p.mayBe == nil {
		p.mayBe = map[string][]*norm{}
		for _, other := range p.order {
			if !p.keepNorms && p.knows(other) {
				continue
			}
			head, err := other.head()
			if err != nil {
				return nil, err
			}
			p.mayBe[head] = append(p.mayBe[head], other)
		}
	}
	if len(p.mayBe) == 0 {
		return nil, nil
	}
	head, err := n.head()
	return p.mayBe[head], err
}

// head is how a norm's statistics begin.
func (n *norm) head() (string, error) {
	mean, err := n.mean.head()
	if err != nil {
		return "", err
	}
	variance, err := n.variance.head()
	return mean + variance, err
}

// knows reports whether the pairs, or the graph that they are from, name a norm.
func (p *planner) knows(n *norm) bool {
	_, kept := p.source.skips[n.name]
	return kept || p.placed[n.name] != nil
}

// fresh reports whether the norm is as before any training, as many are that are not the same.
func (n *norm) fresh() (bool, error) {
	for _, t := range n.params() {
		x, err := t.values()
		if err != nil {
			return false, err
		}
		want := 0.0
		if t == n.variance || t == n.gamma {
			want = 1
		}
		if slices.ContainsFunc(x, func(v float64) bool { return v != want }) {
			return false, nil
		}
	}
	return true, nil
}

// equals reports whether two norms have the same parameters, bit for bit.
func (n *norm) equals(other *norm) (bool, error) {
	for _, pair := range [][2]*tensor{{n.mean, other.mean}, {n.variance, other.variance}, {n.gamma, other.gamma}, {n.beta, other.beta}} {
		a, b := pair[0], pair[1]
		if a == nil && b == nil {
			continue
		}
		if a == nil || b == nil || a.dtype != b.dtype || !slices.Equal(a.shape, b.shape) {
			return false, nil
		}
		if same, err := sameBytes(a, b); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}
