package checkpoint

import (
	"math"
	"strings"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/stream"
)

// layer is a layer of a pair, and what is folded into it.
type layer struct {
	name   string
	kind   string // as the graph or the pairs file calls it
	layout fuse.Layout
	groups int
	weight *tensor
	bias   *tensor // nil for none
	b      []float64
	views  [2]fuse.View // by direction

	fold  fuse.Fold
	norms [2][]*norm // folded, by direction, from the layer outwards
}

// outputs is the number of output channels.
func (l *layer) outputs() int { return l.views[fuse.After].NumChannels() }

// newLayer finds the tensors of a pair's layer.
func newLayer(c *container, p Pair, kind string) (*layer, *fuse.Refusal, error) {
	l := &layer{name: p.Layer, kind: kind, layout: p.Kind, groups: p.Groups}
	if l.kind == "" {
		l.kind = p.Kind.String()
	}
	if l.weight = c.byName[dotted(p.Layer, "weight")]; l.weight == nil {
		return l, fuse.Refuse(ReasonMissing, "%q", dotted(p.Layer, "weight")), nil
	}
	l.bias = c.byName[dotted(p.Layer, "bias")]
	if !l.weight.float().Valid() {
		return l, fuse.Refuse(fuse.ReasonDType, "%q is %s", l.weight.name, l.weight.dtype), nil
	}
	if l.weight.nBytes == 0 {
		return l, fuse.Refuse(fuse.ReasonLayerShape, "%q has no elements", l.weight.name), nil
	}
	for _, d := range []fuse.Direction{fuse.After, fuse.Before} {
		v, err := p.Kind.View(d, l.weight.shape, p.Groups)
		if err != nil {
			return l, fuse.Refuse(fuse.ReasonLayerShape, "%s", strings.TrimPrefix(err.Error(), "fuse: ")), nil
		}
		l.views[d] = v
	}
	for _, t := range []*tensor{l.weight, l.bias} {
		if t != nil && t.shared {
			return l, fuse.Refuse(fuse.ReasonLayerShared, "other names of the checkpoint stand for the memory of %q", t.name), nil
		}
	}
	if l.bias == nil {
		return l, nil, nil
	}
	if !l.bias.float().Valid() || len(l.bias.shape) != 1 || l.bias.shape[0] != l.outputs() {
		return l, fuse.Refuse(fuse.ReasonBias, "%q is %s %v, the layer has %d output channels", l.bias.name, l.bias.dtype, l.bias.shape, l.outputs()), nil
	}
	var err error
	l.b, err = l.bias.values()
	return l, nil, err
}

// checkPair refuses a pair that does not mean the layer as the pairs before it.
func (l *layer) checkPair(p Pair) *fuse.Refusal {
	if l.layout != p.Kind || l.groups != p.Groups {
		return fuse.Refuse(fuse.ReasonLayerShape, "the pairs call %s a %v of %d groups, and a %v of %d", l.name, l.layout, l.groups, p.Kind, p.Groups)
	}
	return nil
}

// biasType is the type of the new bias, whose place is holder, or a tensor yet to be made.
func (l *layer) biasType(holder *tensor) fuse.DType {
	if holder != nil {
		return holder.float()
	}
	return l.weight.float()
}

// factor is a scale under a view; nothing where every channel's scale is 1.
func factor(v fuse.View, a fuse.Affine) fuse.Factor {
	for _, s := range a.Scale {
		if s != 1 {
			return fuse.Factor{View: v, Scale: a.Scale}
		}
	}
	return fuse.Factor{}
}

// scaleOf is how a fold scales the weight, nil for not at all.
func (l *layer) scaleOf(f fuse.Fold) *stream.Scale {
	s := &stream.Scale{DType: l.weight.float(), After: factor(l.views[fuse.After], f.After), Before: factor(l.views[fuse.Before], f.Before)}
	if s.After.Scale == nil && s.Before.Scale == nil {
		return nil
	}
	return s
}

// checkBias refuses a fold that makes a finite bias infinite in its type.
func (l *layer) checkBias(f fuse.Fold, contracted []float64, dt fuse.DType) *fuse.Refusal {
	for o, x := range f.Bias(l.b, contracted, l.outputs()) {
		if contracted != nil && contracted[o]-contracted[o] != 0 {
			return fuse.Refuse(fuse.ReasonOverflow, "the sum of the weights of channel %d times the shift is %v", o, contracted[o])
		}
		if l.b != nil && (math.IsInf(l.b[o], 0) || math.IsNaN(l.b[o])) {
			continue // it was not finite before
		}
		if math.IsInf(x, 0) || math.IsNaN(x) || elem.Overflows(dt, x) {
			return fuse.Refuse(fuse.ReasonOverflow, "the bias of channel %d would be %v in %v", o, x, dt)
		}
	}
	return nil
}
