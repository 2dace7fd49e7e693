package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

// Options say where the norms of a checkpoint stand, which has no graph. Of Graph and Pairs at most one is
// set. With neither, nothing can have been folded.
type Options struct {
	Graph string  // an ONNX model of the same network
	Pairs string  // a pairs file, see docs/pairs.md, or NamesPairs
	Eps   float64 // the norms' epsilon for NamesPairs, and for pairs that have none; 0 for unknown
}

// NamesPairs, as Options.Pairs, stands for the naming conventions.
const NamesPairs = "names"

// Checkpoints compares the fused checkpoint at fused with the original: safetensors, also by the index of
// shards, or a file of PyTorch.
//
// The tensors are taken for the values of a graph's initializers: that of Options.Graph, or one that is
// built of the pairs. The graph of the fused checkpoint is the same without the norms that are gone. The two
// are compared as models are, and then all tensors that no fold accounts for.
func Checkpoints(ctx context.Context, original, fused string, o Options) (*Result, error) {
	if kind, err := state.Of(fused); err == nil && kind == state.PyTorch {
		return sameFiles(original, fused)
	}
	was, err := state.Open(original)
	if err != nil {
		return nil, fmt.Errorf("verify: %s: %w", original, err)
	}
	defer was.Close()
	is, err := state.Open(fused)
	if err != nil {
		return nil, fmt.Errorf("verify: %s: %w", fused, err)
	}
	defer is.Close()
	r, err := compareStates(ctx, was, is, o)
	if err != nil {
		return nil, fmt.Errorf("verify: %s against %s: %w", fused, original, err)
	}
	r.Original, r.Fused = original, fused
	return r, nil
}

// compareStates compares two checkpoints that are open.
func compareStates(ctx context.Context, was, is *state.Dict, o Options) (*Result, error) {
	rel, err := newRelation(was, o)
	if err != nil {
		return nil, err
	}
	a, err := rel.graph()
	if err != nil {
		return nil, err
	}
	defer a.close()
	b, err := rel.graph() // an own one, to be changed
	if err != nil {
		return nil, err
	}
	defer b.close()
	k := &checkpoint{checker: newChecker(a, b), was: was, is: is, relation: rel, fates: map[string]fate{}, inNeutral: map[string]bool{}}
	k.ctx = ctx
	k.compare()
	r := k.result // a copy: whoever keeps it must not keep the graphs
	return &r, k.err
}

// checkpoint is the comparison of two checkpoints.
type checkpoint struct {
	*checker
	was, is   *state.Dict
	relation  *relation
	tensors   [2]map[string]*tensor // by key, of is and of was
	fates     map[string]fate       // of the norms that the graph has, by module
	inNeutral map[string]bool       // tensors of neutral norms, all judged
}

func (k *checkpoint) compare() {
	if !k.related() {
		return
	}
	k.fill()
	norms := k.findNorms()
	k.takeNormsOut(norms)
	k.addBiases()
	if k.err == nil {
		k.proveAll()
		for _, b := range k.graphs {
			k.lostNodes(k.partner[b])
		}
	}
	k.leftover()
	k.metadata()
	k.oneRowEach()
	k.countNorms(len(k.keptNorms()), len(normModules(k.was)))
	k.untold()
}

// bothTensors are a tensor of the fused checkpoint and of the original, nil where there is none.
func (k *checkpoint) bothTensors(key string) (b, a *tensor) {
	return k.tensors[0][key], k.tensors[1][key]
}

// oneRowEach merges the rows of a layer that runs more than once, and counts each norm once.
func (k *checkpoint) oneRowEach() {
	k.sortLayers()
	rows := []Layer{}
	rowOf, norms := map[string]int{}, map[string]bool{}
	for _, l := range k.result.Layers {
		for _, name := range l.Norms {
			norms[name] = true
		}
		at, again := rowOf[l.Weight.Tensor]
		if !again || l.Weight.Tensor == "" {
			rowOf[l.Weight.Tensor] = len(rows)
			rows = append(rows, l)
			continue
		}
		for _, p := range l.Problems {
			if !slices.Contains(rows[at].Problems, p) {
				rows[at].Problems = append(rows[at].Problems, p)
			}
		}
	}
	k.result.Layers, k.result.Folded = rows, len(norms)
}

// sameFiles compares two files that should be one.
func sameFiles(original, fused string) (*Result, error) {
	r := newResult(original, fused)
	same, err := equalFiles(original, fused)
	if err != nil {
		return nil, fmt.Errorf("verify: %s against %s: %w", fused, original, err)
	}
	if !same {
		r.Differences = append(r.Differences, Difference{fused, "a fused checkpoint is safetensors, or the original file where nothing was folded, and this is another file of PyTorch"})
		if kind, err := state.Of(original); err == nil && kind != state.PyTorch {
			r.Hint = wrongOrder
		}
		return r, nil
	}
	if d, err := state.Open(fused); err == nil { // else it is no state dict, and as good as the original
		r.Kept = len(normModules(d))
		d.Close()
	}
	return r, nil
}

func newResult(original, fused string) *Result {
	return &Result{Original: original, Fused: fused, Layers: []Layer{}, Differences: []Difference{}}
}

var errTwoSources = errors.New("the pairs of layer and norm come from a graph or from pairs, not from both")
