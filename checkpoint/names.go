package checkpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bnfuse/bnfuse/fuse"
)

// fromNames guesses the pairs by the names of the modules, since the user asked for it:
//
//	conv, conv1, conv_stem … | bn, bn1, bn_stem …      beside each other in one module
//	N | N+1                                            in a Sequential: downsample.0 and downsample.1
//
// A guess that the shapes do not confirm, or that they allow in two ways, is none: the norm stays.
func fromNames(c *container, eps float64) *source {
	s := &source{skips: map[string]fuse.Skip{}}
	place := map[string]int{}
	names := []string{}
	for i, t := range c.tensors() {
		place[t.name] = i
		names = append(names, t.name)
	}
	inOrder := !slices.IsSorted(names) // of definition; some writers sort by name, which tells nothing
	for _, module := range normModules(c) {
		p, r := pairByName(c, module)
		if r == nil && !p.sequential && inOrder && place[dotted(module, "running_mean")] < place[dotted(p.Layer, "weight")] {
			r = fuse.Refuse(ReasonAmbiguous, "%s is defined after it: the norm may stand before the layer", p.Layer)
		}
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

// namedPair is a guess.
type namedPair struct {
	Pair
	sequential bool // modules of a Sequential run in the order of their numbers
}

// pairByName finds the layer that the conventions give a norm, and its kind by its shape.
func pairByName(c *container, norm string) (namedPair, *fuse.Refusal) {
	p := namedPair{Pair: Pair{Norm: norm, Groups: 1}}
	var ok bool
	if p.Layer, p.sequential, ok = layerName(norm); !ok {
		return p, fuse.Refuse(ReasonAmbiguous, "no convention tells the layer of a norm called %q", norm)
	}
	w := c.byName[dotted(p.Layer, "weight")]
	if w == nil || len(w.shape) < 2 {
		return p, fuse.Refuse(fuse.ReasonNoLayer, "by its name %q would be the layer, which it is not", p.Layer)
	}
	channels, _ := fuse.NumElems(c.byName[dotted(norm, "running_mean")].shape)
	asConv, asTransposed := w.shape[0] == channels, w.shape[1] == channels
	switch {
	case len(w.shape) == 2 && asConv:
		p.Kind = fuse.Linear
	case len(w.shape) == 2 || !asConv && !asTransposed:
		return p, fuse.Refuse(fuse.ReasonChannels, "the norm has %d channels, %s is %v", channels, w.name, w.shape)
	case asConv && asTransposed && channels > 1:
		return p, fuse.Refuse(ReasonAmbiguous, "%s is %v: a Conv or a ConvTranspose", w.name, w.shape)
	case asConv:
		p.Kind = fuse.Conv
	case p.sequential:
		p.Kind = fuse.ConvTranspose
	default:
		return p, fuse.Refuse(ReasonAmbiguous, "%s is %v: a ConvTranspose, or a Conv with the norm before it", w.name, w.shape)
	}
	return p, nil
}

// layerName is what the layer before a norm of the given name is called.
func layerName(norm string) (layer string, sequential, ok bool) {
	dot := strings.LastIndexByte(norm, '.') + 1
	parent, last := norm[:dot], norm[dot:]
	if suffix, ok := strings.CutPrefix(last, "bn"); ok {
		return parent + "conv" + suffix, false, true
	}
	n, err := strconv.ParseUint(last, 10, 31)
	if err != nil || n == 0 || last != fmt.Sprint(n) {
		return "", false, false
	}
	return fmt.Sprint(parent, n-1), true, true
}
