package checkpoint

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

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

// guesser finds pairs by names and shapes, and what tells against them.
type guesser struct {
	c        *container
	siblings siblings
	place    map[string]int       // of tensors in the order of definition; nil where names are sorted, which tells nothing
	reversed string               // where names are sorted: a layer whose norm has the channels of its input
	previous map[string]string    // the norm before a norm, in the order of definition, or of the names
	layers   map[string][]*tensor // the weights of a module's layers
	normed   map[string]bool      // layers that the conventions give a norm
	doubts   map[string]string    // modules with a norm that no layer in it fits, and that norm
}

func newGuesser(c *container) *guesser {
	g := &guesser{c: c, siblings: siblingsIn(c), previous: map[string]string{}, layers: map[string][]*tensor{},
		normed: map[string]bool{}, doubts: map[string]string{}}
	for _, t := range c.tensors() {
		if layer, ok := moduleOf(t.name, "weight"); ok && g.weight(layer) != nil {
			parent, _, _ := cutLast(layer)
			g.layers[parent] = append(g.layers[parent], t)
		}
	}
	norms := normModules(c)
	if sortedByName(c) {
		norms = slices.SortedFunc(slices.Values(norms), byNumbers)
	} else {
		g.place = map[string]int{}
		for i, t := range c.tensors() {
			g.place[t.name] = i
		}
	}
	for i, norm := range norms {
		if i > 0 {
			g.previous[norm] = norms[i-1]
		}
		parent, last, _ := cutLast(norm)
		layer, sequential, ok := g.siblings.layerName(norm)
		g.normed[layer] = ok
		if sequential || !strings.HasPrefix(last, "bn") {
			continue
		}
		w := g.weight(layer)
		if w != nil && w.shape[0] == g.channels(norm) {
			continue
		}
		if g.doubts[parent] == "" {
			g.doubts[parent] = norm
		}
		if w != nil && g.place == nil {
			g.reversed = layer
		}
	}
	return g
}

// byNumbers orders names component by component, numbers by their size.
func byNumbers(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		m, errM := strconv.Atoi(a)
		n, errN := strconv.Atoi(b)
		if errM == nil && errN == nil && m != n {
			return cmp.Compare(m, n)
		}
		return strings.Compare(a, b)
	})
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
	r := p.setKind(w, g.channels(norm))
	for _, doubt := range []func(namedPair, *tensor) *fuse.Refusal{g.mayBeTransposed, g.mayStandBefore, g.mayBeShifted, g.mayBeFarther} {
		if r == nil {
			r = doubt(p, w)
		}
	}
	return p, r
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

// mayBeTransposed refuses a Conv [128, 64, k…] that might be a ConvTranspose of 128 channels in 2 groups, unless the
// checkpoint has signs that its input has 64 channels: the norm before has as many, or the layer that begins the module
// around a Sequential reads as many, as that beside ResNet's shortcut.
func (g *guesser) mayBeTransposed(p namedPair, w *tensor) *fuse.Refusal {
	out, in := w.shape[0], w.shape[1]
	if p.Kind != fuse.Conv || in <= 1 || in >= out || out%in != 0 {
		return nil
	}
	if before := g.previous[p.Norm]; before != "" && g.channels(before) == in {
		return nil
	}
	sequential, _, _ := cutLast(p.Layer)
	around, _, _ := cutLast(sequential)
	if beside := g.layers[around]; p.sequential && len(beside) > 0 && beside[0].shape[1] == in {
		return nil
	}
	return fuse.Refuse(ReasonAmbiguous, "%s is %v: a Conv, or a ConvTranspose in %d groups", w.name, w.shape, out/in)
}

// mayBeShifted refuses a pair in a module with a norm that the conventions give no layer, or one of other channels:
// norms may be numbered otherwise than layers there, as in DCGAN, whose first layer has none.
func (g *guesser) mayBeShifted(p namedPair, _ *tensor) *fuse.Refusal {
	parent, _, _ := cutLast(p.Norm)
	if other := g.doubts[parent]; other != "" && !p.sequential {
		return fuse.Refuse(ReasonAmbiguous, "%s has no layer that fits it by name: this norm may follow another than %s, too", other, p.Layer)
	}
	return nil
}

// mayBeFarther refuses a pair with another layer in between that has no norm of its own, and could have this one: as
// where a depthwise and a pointwise convolution share it. Where names are sorted it may be any of the module's.
func (g *guesser) mayBeFarther(p namedPair, w *tensor) *fuse.Refusal {
	if p.sequential {
		return nil
	}
	parent, _, _ := cutLast(p.Norm)
	for _, layer := range g.layers[parent] {
		if module, _ := moduleOf(layer.name, "weight"); g.normed[module] {
			continue
		}
		between := g.place == nil || g.place[w.name] < g.place[layer.name] && g.place[layer.name] < g.place[dotted(p.Norm, "running_mean")]
		if between && slices.Contains(layer.shape[:2], g.channels(p.Norm)) {
			return fuse.Refuse(ReasonAmbiguous, "%s has no norm of its own, and might have this one", layer.name)
		}
	}
	return nil
}
