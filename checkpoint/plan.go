package checkpoint

import (
	"context"
	"fmt"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// planner decides what becomes of each norm.
type planner struct {
	c         *container
	source    *source
	keepNorms bool
	shared    map[string]bool // tensors that something outside the pairs reads
	before    map[string]bool // norms that an earlier run folded
	ours      map[string]bool // the layers that it may have given a bias
	norms     map[string]*norm
	order     []*norm
	layers    map[string]*layer
	sides     map[side][]string // the norms that the pairs place there, from the layer outwards
	placed    map[string][]side // where the pairs place each norm
	folded    []*layer          // those with a fold, in the order of their first norm
	missing   []any             // names of norms that the pairs have and the checkpoint has not
	out       *fuse.Plan
	params    [4]room            // of the norm at hand
	mayBe     map[string][]*norm // norms that another may be, by how they begin; made when the first is asked for

	// poison are the layers whose norms do not compose to finite numbers: they keep all of them, or a second
	// run might fold the rest.
	poison map[string]bool

	// overflows tries a step's fold on its layer's weights, where that is worth while.
	overflows func(context.Context, *step) (*fuse.Refusal, error)
}

// side is where norms stand beside a layer.
type side struct {
	layer string
	fuse.Direction
}

// step is one pair on its way into the plan.
type step struct {
	Pair
	layer *layer
	norm  *norm
	fold  fuse.Fold // of the layer, with the norm
}

// plan decides for every norm of the checkpoint.
func (p *planner) plan(ctx context.Context) error {
	p.reset()
	names, pairs := byNorm(p.source.pairs)
	steps, skips := map[string][]fuse.Step{}, map[string]fuse.Skip{}
	for _, name := range names {
		n := p.norms[name]
		if n == nil {
			if !p.before[name] {
				p.missing = append(p.missing, name)
			}
			continue
		}
		done, r, err := p.join(ctx, n, pairs[name])
		if err != nil {
			return err
		}
		if r != nil {
			skips[name] = p.stays(n, pairs[name], r)
			continue
		}
		steps[name] = done
	}
	for _, n := range p.order {
		if s := steps[n.name]; s != nil {
			p.out.Steps = append(p.out.Steps, s...)
			continue
		}
		skip, ok := skips[n.name]
		if !ok {
			skip = p.unpaired(n)
		}
		p.out.Skips = append(p.out.Skips, skip)
	}
	return nil
}

// reset forgets an earlier plan and lists the norms.
func (p *planner) reset() {
	p.norms, p.layers, p.sides, p.placed = map[string]*norm{}, map[string]*layer{}, map[side][]string{}, map[string][]side{}
	for _, pair := range p.source.pairs {
		at := side{pair.Layer, pair.Direction}
		p.sides[at] = append(p.sides[at], pair.Norm)
		if !slices.Contains(p.placed[pair.Norm], at) {
			p.placed[pair.Norm] = append(p.placed[pair.Norm], at)
		}
	}
	p.order, p.folded, p.missing, p.mayBe, p.out = nil, nil, nil, nil, &fuse.Plan{}
	p.shared, p.before = p.source.shared(p.c), p.c.foldedNorms()
	p.ours = map[string]bool{}
	for _, pair := range p.source.pairs {
		p.ours[pair.Layer] = p.ours[pair.Layer] || p.before[pair.Norm]
	}
	for i, module := range normModules(p.c) {
		n := newNorm(p.c, module, i)
		p.norms[module] = n
		p.order = append(p.order, n)
	}
}

// byNorm lists the norms of the pairs, each once, and the pairs of each.
func byNorm(pairs []Pair) (names []string, of map[string][]Pair) {
	of = map[string][]Pair{}
	for _, pair := range pairs {
		if of[pair.Norm] == nil {
			names = append(names, pair.Norm)
		}
		of[pair.Norm] = append(of[pair.Norm], pair)
	}
	return names, of
}

// join folds a norm into all the layers that its pairs name, or into none: where one cannot take it, it must
// stay for that one.
func (p *planner) join(ctx context.Context, n *norm, pairs []Pair) ([]fuse.Step, *fuse.Refusal, error) {
	if p.source.other != nil {
		return nil, p.source.other, nil
	}
	var all []step
	for _, pair := range pairs {
		twice := false
		for _, s := range all {
			twice = twice || s.Pair == pair
		}
		if twice {
			continue
		}
		l, r, err := p.layer(pair)
		if r != nil || err != nil {
			return nil, r, err
		}
		s := step{Pair: pair, layer: l, norm: n, fold: l.fold}
		for _, other := range all {
			if other.layer == l {
				return nil, fuse.Refuse(fuse.ReasonUnsupportedOp, "%s is paired with %s twice, in different ways", n.name, l.name), nil
			}
			if other.Direction != pair.Direction && p.source.kinds == nil { // a graph tells a module that runs twice
				return nil, fuse.Refuse(ReasonAmbiguous, "the pairs put it behind one layer and before another: only one of the two can take it in"), nil
			}
			if other.Eps != pair.Eps {
				return nil, fuse.Refuse(fuse.ReasonUnsupportedOp, "the pairs give it the epsilons %v and %v", other.Eps, pair.Eps), nil
			}
		}
		if r, err := p.extend(ctx, &s); r != nil || err != nil {
			return nil, r, err
		}
		all = append(all, s)
	}
	if r, err := p.alias(n); r != nil || err != nil {
		return nil, r, err
	}
	var steps []fuse.Step
	for _, s := range all {
		l := s.layer
		if len(l.norms[fuse.After])+len(l.norms[fuse.Before]) == 0 {
			p.folded = append(p.folded, l)
		}
		l.fold = s.fold
		l.norms[s.Direction] = append(l.norms[s.Direction], n)
		steps = append(steps, fuse.Step{Norm: n.info(), Layer: fuse.LayerInfo{Name: l.name, Kind: l.kind}, Direction: s.Direction, Affine: n.affine})
	}
	return steps, nil, nil
}

// layer is the layer that a pair names, as the pairs before it left it.
func (p *planner) layer(pair Pair) (*layer, *fuse.Refusal, error) {
	if l := p.layers[pair.Layer]; l != nil {
		return l, l.checkPair(pair), nil
	}
	l, r, err := newLayer(p.c, pair, p.source.kinds[pair.Layer])
	if r == nil && err == nil && !p.ours[l.name] {
		r = p.source.unread(dotted(pair.Layer, "bias"), l.bias)
	}
	if r == nil && err == nil {
		r, err = p.twin(l)
	}
	if r == nil && err == nil {
		p.layers[pair.Layer] = l
	}
	return l, r, err
}

// twin refuses a layer whose weight the checkpoint has twice: safetensors cannot say that two names stand for one
// tensor, as in a network with tied weights, nor can a pickle whose tensors were converted one by one, or that is a shard.
// Names that the pairs know are read one by one.
func (p *planner) twin(l *layer) (*fuse.Refusal, error) {
	unpaired := func(t *tensor) bool {
		if len(t.shape) < 2 {
			return false // it is no layer's weight
		}
		module, ok := moduleOf(t.name, "weight")
		return !ok || p.sides[side{module, fuse.After}] == nil && p.sides[side{module, fuse.Before}] == nil
	}
	t, err := p.c.twin(l.weight, unpaired)
	if t == nil || err != nil {
		return nil, err
	}
	return fuse.Refuse(fuse.ReasonLayerShared, "%q has the same values as %q, and may be the same weight", t.name, l.weight.name), nil
}

// extend composes the norm of a step into its layer's fold, and refuses what would not be the same function.
func (p *planner) extend(ctx context.Context, s *step) (*fuse.Refusal, error) {
	l, n := s.layer, s.norm
	n.eps = s.Eps
	for _, name := range p.sides[side{l.name, s.Direction}] {
		if name == n.name {
			break
		}
		folded := slices.ContainsFunc(l.norms[s.Direction], func(other *norm) bool { return other.name == name })
		if gone := p.before[name] && p.norms[name] == nil; !folded && !gone {
			return fuse.Refuse(ReasonBlocked, "%s stays between it and %s", name, l.name), nil
		}
	}
	for _, t := range append(n.params(), l.weight, l.bias) {
		if t != nil && p.shared[t.name] {
			return fuse.Refuse(fuse.ReasonLayerShared, "something else in the graph reads %q", t.name), nil
		}
	}
	for _, t := range []struct {
		what string
		*tensor
	}{{"weight", n.gamma}, {"bias", n.beta}} {
		if r := p.source.unread(dotted(n.name, t.what), t.tensor); r != nil {
			return r, nil
		}
	}
	if p.keepNorms {
		if neutral, err := n.neutral(); neutral || err != nil {
			return fuse.Refuse(ReasonNeutral, "it only adds its bias"), err
		}
	}
	inputs := l.views[s.Direction].NumChannels()
	if r, err := n.load(n.wanted(s.Pair, inputs), &p.params); r != nil || err != nil {
		return r, err
	}
	if s.Direction == fuse.Before && n.affine.HasShift() {
		switch {
		case l.layout == fuse.ConvTranspose:
			return fuse.Refuse(fuse.ReasonTranspose, "its shift would have to vary along the borders"), nil
		case s.Padded:
			return fuse.Refuse(fuse.ReasonPadding, "the padding is added after the norm and stays zero"), nil
		}
	}
	if p.poison[l.name] {
		return fuse.Refuse(fuse.ReasonNotFinite, "with the other norms of the layer its scale or shift is not finite"), nil
	}
	if err := s.fold.Add(s.Direction, n.affine.Repeat(inputs/max(n.channels(), 1))); err != nil {
		r, ok := err.(*fuse.Refusal)
		if !ok {
			return nil, err
		}
		p.poison[l.name] = true
		return r, nil
	}
	holder := p.holder(l, s)
	if p.keepNorms && holder == nil && (s.fold.Before.HasShift() || s.fold.After.HasShift()) {
		return fuse.Refuse(ReasonNoBias, "neither the norms nor %s have one of %d elements", l.name, l.outputs()), nil
	}
	if !s.fold.Before.HasShift() {
		if r := l.checkBias(s.fold, nil, l.biasType(holder)); r != nil {
			return r, nil
		}
	}
	return p.overflows(ctx, s)
}

// holder is the tensor that takes the layer's new bias, once s is folded too; nil for one yet to be made.
// A norm that is kept, neutral, takes it in its own bias, unless that has fewer elements, or it stands behind another
// layer too: one bias cannot be that of two.
func (p *planner) holder(l *layer, s *step) *tensor {
	if !p.keepNorms {
		return l.bias
	}
	after := l.norms[fuse.After]
	if s != nil && s.Direction == fuse.After {
		after = append(after[:len(after):len(after)], s.norm)
	}
	for _, n := range after {
		if n.beta != nil && n.channels() == l.outputs() && len(p.placed[n.name]) == 1 {
			return n.beta
		}
	}
	return l.bias
}

// stays is the skip of a norm that no layer took.
func (p *planner) stays(n *norm, pairs []Pair, r *fuse.Refusal) fuse.Skip {
	n.eps = pairs[0].Eps
	return fuse.Skip{Norm: n.info(), Layer: p.layerInfo(pairs[0]), Reason: r.Reason, Detail: r.Detail}
}

func (p *planner) layerInfo(pair Pair) fuse.LayerInfo {
	kind := p.source.kinds[pair.Layer]
	if kind == "" {
		kind = pair.Kind.String()
	}
	return fuse.LayerInfo{Name: pair.Layer, Kind: kind}
}

// unpaired is the skip of a norm that no pair names.
func (p *planner) unpaired(n *norm) fuse.Skip {
	if p.source.none != "" {
		return fuse.Skip{Norm: n.info(), Reason: ReasonNoPairs, Detail: p.source.none}
	}
	skip, ok := p.source.skips[n.name]
	if !ok {
		return fuse.Skip{Norm: n.info(), Reason: ReasonNoPairs, Detail: "no pair names it"}
	}
	n.eps = skip.Norm.Eps
	skip.Norm = n.info()
	return skip
}

// warnings say what the output does not hold, and which norms of the pairs are not there.
func (p *planner) warnings() []string {
	return append(slices.Clone(p.c.warnings), p.missed()...)
}

// missed says which norms of the pairs are not there. They are none of the checkpoint's, so the plan does not
// count them.
func (p *planner) missed() []string {
	if len(p.missing) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("norms that the pairs name and the checkpoint has not, %d: %s", len(p.missing), listed(p.missing))}
}
