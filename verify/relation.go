package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

// relation knows which norms of a checkpoint stand beside which layers, as a graph whose stored tensors have
// the names of the checkpoint's.
type relation struct {
	graph   func() (*model, error) // a new one each time
	naming  naming
	none    bool   // nothing was passed to tell
	unknown string // ends a message of a norm that is gone: why nobody knows where to
}

// newRelation opens what the options name.
func newRelation(was *state.Dict, o Options) (*relation, error) {
	switch {
	case o.Graph != "" && o.Pairs != "":
		return nil, errTwoSources
	case o.Graph != "":
		return graphRelation(o.Graph, was)
	case o.Pairs == NamesPairs:
		pairs, err := pairsByName(was, o.Eps)
		return pairsRelation(pairs, was, ", and by the names and shapes it stands behind no layer"), err
	case o.Pairs != "":
		pairs, err := readPairs(o.Pairs, o.Eps)
		return pairsRelation(pairs, was, ", and no pair names it"), err
	}
	r := pairsRelation(nil, was, "")
	r.none = true
	return r, nil
}

// graphRelation is told by an ONNX model of the same network.
func graphRelation(path string, was *state.Dict) (*relation, error) {
	r := &relation{unknown: ", and the graph has none of this name that a layer can take"}
	r.graph = func() (*model, error) {
		m, err := openModel(path)
		if err != nil {
			return nil, fmt.Errorf("graph %s: %w", path, err)
		}
		return m, nil
	}
	m, err := r.graph()
	if err != nil {
		return nil, err
	}
	defer m.close()
	r.naming = fitNames(m.storedNames(), was)
	if what := m.contradicts(was, r.naming); what != "" {
		return pairsRelation(nil, was, ", and the graph is of another network: "+what), nil
	}
	return r, nil
}

// contradicts says which tensor of the graph's norms, or of a layer next to one, has another shape in the checkpoint:
// then what the graph connects says nothing about the checkpoint. "" is for none.
func (m *model) contradicts(was *state.Dict, names naming) string {
	for _, g := range m.allGraphs() {
		for _, n := range g.nodes {
			if n.op != "BatchNormalization" || len(n.in) == 0 {
				continue
			}
			stored := n.in[1:]
			if before := g.producer[n.in[0]]; isLayer(before) && len(before.in) > 1 {
				stored = append(stored[:len(stored):len(stored)], before.in[1])
			}
			for _, name := range stored {
				t, key := g.inits[name], names.key(name)
				if w := was.Tensors[key]; t != nil && w != nil && !slices.Equal(t.dims, w.Shape) {
					return fmt.Sprintf("%q is %v in it and %v in the checkpoint", key, t.dims, w.Shape)
				}
			}
		}
	}
	return ""
}

// pairsRelation is told by pairs.
func pairsRelation(pairs []normPair, was *state.Dict, unknown string) *relation {
	var means []string
	for _, p := range pairs {
		means = append(means, tensorOf(p.norm, "running_mean"))
	}
	fit := fitNames(means, was)
	for i, p := range pairs {
		pairs[i].layer, pairs[i].norm = fit.key(p.layer), fit.key(p.norm)
	}
	return &relation{graph: func() (*model, error) { return chains(pairs, was), nil }, unknown: unknown}
}

// naming turns the names of a graph into those of a checkpoint: a graph exported from a wrapper begins every
// name with "model.", a checkpoint of a parallel run with "module.".
type naming struct{ without, with string }

// key is what a name of the graph is called in the checkpoint, "" where it cannot be in it.
func (n naming) key(name string) string {
	rest, ok := strings.CutPrefix(name, n.without)
	if !ok {
		return ""
	}
	return n.with + rest
}

// Bounds of the search for a naming.
const (
	maxProbes  = 200
	maxNamings = 2000
)

// fitNames finds the naming under which most means of norms are in the checkpoint; the plain one if that is
// as good as any.
func fitNames(names []string, was *state.Dict) naming {
	var probes []string
	for _, name := range names {
		if _, ok := moduleOf(name, "running_mean"); ok && len(probes) < maxProbes {
			probes = append(probes, name)
		}
	}
	fits := func(n naming) (score int) {
		for _, p := range probes {
			if was.Tensors[n.key(p)] != nil {
				score++
			}
		}
		return score
	}
	best := naming{}
	score := fits(best)
	if score == len(probes) {
		return best
	}
	for _, n := range namings(longest(probes), was) {
		if s := fits(n); s > score {
			best, score = n, s
		}
	}
	return best
}

// longest is the name with the most components, the first of them.
func longest(names []string) (long string) {
	for _, name := range names {
		if long == "" || strings.Count(name, ".") > strings.Count(long, ".") {
			long = name
		}
	}
	return long
}

// namings lists the ways to make a tensor's name of a probe.
func namings(probe string, was *state.Dict) []naming {
	var all []naming
	for cut := 0; ; {
		rest := probe[cut:]
		for _, key := range was.Order {
			with, ok := strings.CutSuffix(key, rest)
			if ok && (with == "" || strings.HasSuffix(with, ".")) && len(all) < maxNamings {
				all = append(all, naming{without: probe[:cut], with: with})
			}
		}
		next := strings.IndexByte(rest, '.')
		if next < 0 {
			break
		}
		cut += next + 1
	}
	return all
}

// moduleOf is the module whose tensor has the given name.
func moduleOf(name, tensor string) (module string, ok bool) {
	if name == tensor {
		return "", true
	}
	return strings.CutSuffix(name, "."+tensor)
}

// tensorOf is the name of a module's tensor.
func tensorOf(module, tensor string) string {
	if module == "" {
		return tensor
	}
	return module + "." + tensor
}
