package checkpoint

import (
	"github.com/bnfuse/bnfuse/fuse"
)

// fromNames guesses the pairs by the names of the modules, since the user asked for it:
//
//	conv, conv1, conv_s2d … | bn, bn1, bn_s2d …        beside each other in one module
//	conv_pw, conv_dw, conv_pwl | bn1, bn2, bn3          the blocks of conventions.go
//	N | N+1                                             in a Sequential: downsample.0 and downsample.1
//
// A guess that the shapes do not confirm, or that they allow in two ways, is none: the norm stays.
func fromNames(c *container, eps float64) *source {
	s := &source{skips: map[string]fuse.Skip{}}
	g := newGuesser(c)
	for _, module := range normModules(c) {
		p, r := g.pair(module)
		if r != nil {
			s.skips[module] = fuse.Skip{Norm: fuse.NormInfo{Eps: eps}, Reason: r.Reason, Detail: r.Detail}
			continue
		}
		p.Eps = eps
		s.pairs = append(s.pairs, p.Pair)
	}
	return s
}

// normModules lists the batch norms of a checkpoint, in order: what has running statistics.
func normModules(c *container) []string {
	var list []string
	for _, t := range c.tensors() {
		if module, ok := moduleOf(t.name, "running_mean"); ok && c.byName[dotted(module, "running_var")] != nil {
			list = append(list, module)
		}
	}
	return list
}

// guesser finds pairs by names and shapes, and what tells whether a norm stands before its layer.
type guesser struct {
	c        *container
	siblings siblings
	place    map[string]int // of tensors in the order of definition; nil where names are sorted, which tells nothing
	reversed string         // where names are sorted: a layer whose norm has the channels of its input
}

func newGuesser(c *container) *guesser {
	g := &guesser{c: c, siblings: siblingsIn(c)}
	if !sortedByName(c) {
		g.place = map[string]int{}
		for i, t := range c.tensors() {
			g.place[t.name] = i
		}
		return g
	}
	for _, norm := range normModules(c) {
		layer, sequential, ok := g.siblings.layerName(norm)
		if w := g.weight(layer); ok && !sequential && w != nil && w.shape[0] != g.channels(norm) {
			g.reversed = layer
		}
	}
	return g
}

// sortedByName reports whether tensors lie by name, or as the reference implementation writes them: by type,
// then by name.
func sortedByName(c *container) bool {
	last := map[string]string{} // by type
	for _, t := range c.tensors() {
		if t.name < last[t.dtype] {
			return false
		}
		last[t.dtype] = t.name
	}
	return true
}

// weight is that of a layer, nil for what is none.
func (g *guesser) weight(layer string) *tensor {
	if w := g.c.byName[dotted(layer, "weight")]; w != nil && len(w.shape) >= 2 {
		return w
	}
	return nil
}

func (g *guesser) channels(norm string) int {
	n, _ := fuse.NumElems(g.c.byName[dotted(norm, "running_mean")].shape)
	return n
}

// namedPair is a guess.
type namedPair struct {
	Pair
	sequential bool // modules of a Sequential run in the order of their numbers
}

// pair finds the layer that the conventions give a norm, and its kind by its shape.
func (g *guesser) pair(norm string) (namedPair, *fuse.Refusal) {
	p := namedPair{Pair: Pair{Norm: norm, Groups: 1}}
	var ok bool
	if p.Layer, p.sequential, ok = g.siblings.layerName(norm); !ok {
		return p, fuse.Refuse(ReasonAmbiguous, "no convention tells the layer of a norm called %q", norm)
	}
	w := g.weight(p.Layer)
	if w == nil {
		return p, fuse.Refuse(fuse.ReasonNoLayer, "by its name %q would be the layer, which it is not", p.Layer)
	}
	if r := p.setKind(w, g.channels(norm)); r != nil {
		return p, r
	}
	return p, g.mayStandBefore(p, w)
}

// setKind tells by the channels of the norm how the weight is stored.
func (p *namedPair) setKind(w *tensor, channels int) *fuse.Refusal {
	asConv, asTransposed := w.shape[0] == channels, w.shape[1] == channels
	switch {
	case len(w.shape) == 2 && asConv && p.sequential:
		p.Kind = fuse.Linear
	case len(w.shape) == 2 && !p.sequential:
		return fuse.Refuse(fuse.ReasonNoLayer, "by its name %q would be a convolution, and its weight is %v", p.Layer, w.shape)
	case len(w.shape) == 2 || !asConv && !asTransposed:
		return fuse.Refuse(fuse.ReasonChannels, "the norm has %d channels, %s is %v", channels, w.name, w.shape)
	case asConv && asTransposed && channels > 1:
		return fuse.Refuse(ReasonAmbiguous, "%s is %v: a Conv or a ConvTranspose", w.name, w.shape)
	case asConv:
		p.Kind = fuse.Conv
	case p.sequential:
		p.Kind = fuse.ConvTranspose
	default:
		return fuse.Refuse(ReasonAmbiguous, "%s is %v: a ConvTranspose, or a Conv with the norm before it", w.name, w.shape)
	}
	return nil
}

// mayStandBefore refuses a pair outside a Sequential whose norm may stand before the layer, as in DPN and other
// networks of norm, activation, convolution: it is defined before it. Where names are sorted the definition is
// not known. Then other norms of the checkpoint tell, and a convolution in groups that could have as many inputs
// as the norm has channels.
func (g *guesser) mayStandBefore(p namedPair, w *tensor) *fuse.Refusal {
	switch {
	case p.sequential:
		return nil
	case g.place != nil && g.place[dotted(p.Norm, "running_mean")] < g.place[w.name]:
		return fuse.Refuse(ReasonAmbiguous, "%s is defined after it: the norm may stand before the layer", p.Layer)
	case g.reversed != "" && w.shape[1] > 0 && w.shape[0]%w.shape[1] == 0:
		return fuse.Refuse(ReasonAmbiguous, "the norm of %s has the channels of its input: this one may stand before its layer too", g.reversed)
	}
	return nil
}
