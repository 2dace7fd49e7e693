// Package verify checks a finished fold: given the original model and the fused one, it finds what was
// folded, computes it again and compares.
//
// It walks both graphs from their outputs to their inputs and proves, tensor by tensor, that the fused
// model gives what the original gives. Where norms are missing it collects them from the original, up to
// the layer that took them, and compares that layer's weight and bias with
//
//	W' = s_out ⊙ W ⊙ s_in      b' = s_out·(b + Σ W·t_in) + t_out      s = γ/√(σ² + ε)      t = β − μ·s
//
// in numbers of 256 binary digits, from the original's own parameters. Everything else must be unchanged,
// and whatever cannot be explained is reported as a difference.
//
// The package shares no code with those that fold and trusts nothing that the fused file says about
// itself, so that it can find their mistakes. Weights stay in the files and are read in pieces. What it
// does not do is run the models: a mistake in the original is not its affair.
package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Files compares the fused model at fused with the original it was made from. An error means that a file
// could not be read, or that ctx has ended; what is wrong with the fold is in the result.
func Files(ctx context.Context, original, fused string) (*Result, error) {
	a, err := openModel(original)
	if err != nil {
		return nil, fmt.Errorf("verify: %s: %w", original, err)
	}
	defer a.close()
	b, err := openModel(fused)
	if err != nil {
		return nil, fmt.Errorf("verify: %s: %w", fused, err)
	}
	defer b.close()
	c := newChecker(a, b)
	c.ctx = ctx
	c.models()
	if c.err != nil {
		return nil, fmt.Errorf("verify: %s against %s: %w", fused, original, c.err)
	}
	r := c.result // a copy: whoever keeps it must not keep the models
	r.Original, r.Fused = original, fused
	return &r, nil
}

// checker compares a fused model b with the original a.
type checker struct {
	ctx    context.Context // ends the comparison between two proofs
	a, b   *model
	result Result
	err    error // of reading

	constants map[value]*array
	lists     map[value][]size
	origins   map[place]place
	depth     int               // of the shape that is being inferred, in operators
	partner   map[*graph]*graph // the original of each graph of b
	graphs    []*graph          // of b, in the order they were met
	queue     []pair            // what is still to be proven
	asked     map[pair]bool
	shapes    []shapeClaim
	shaped    map[pair]bool   // claimed to have equal shapes
	folded    map[*node]bool  // norms of a, and Adds of b, that a layer has taken or holds the bias of
	twin      map[*node]*node // of b's nodes and a's, each the other's
	explained map[*node]bool  // nodes of either model that are accounted for
	accounted map[value]bool  // stored tensors, too
	equal     map[[2]*tensor]bool
	reported  map[Difference]bool
}

// pair is a claim: the two tensors have equal values.
type pair struct{ b, a value }

func newChecker(a, b *model) *checker {
	return &checker{
		ctx: context.Background(), a: a, b: b,
		result:    Result{Layers: []Layer{}, Differences: []Difference{}},
		constants: map[value]*array{}, lists: map[value][]size{}, origins: map[place]place{},
		partner: map[*graph]*graph{}, asked: map[pair]bool{}, shaped: map[pair]bool{},
		folded: map[*node]bool{}, twin: map[*node]*node{}, explained: map[*node]bool{}, accounted: map[value]bool{},
		equal: map[[2]*tensor]bool{}, reported: map[Difference]bool{},
	}
}

// claim adds a pair to what is to be proven.
func (c *checker) claim(b, a value) {
	if p := (pair{b, a}); !c.asked[p] {
		c.asked[p] = true
		c.queue = append(c.queue, p)
	}
}

// differ reports what cannot be explained, once.
func (c *checker) differ(where, form string, args ...any) {
	d := Difference{where, fmt.Sprintf(form, args...)}
	if !c.reported[d] {
		c.reported[d] = true
		c.result.Differences = append(c.result.Differences, d)
	}
}

// failed remembers the first error of reading.
func (c *checker) failed(err error) {
	if c.err == nil {
		c.err = err
	}
}

// models compares the two models.
func (c *checker) models() {
	c.proveAll()
	c.lost()
	c.order()
	c.names()
	c.sortLayers()
	c.countNorms(c.b.batchNorms(), c.a.batchNorms())
}

// proveAll claims that the outputs of the models are equal, and proves that and all that it asks for.
func (c *checker) proveAll() {
	c.sameRest("the model", c.b, c.b.rest, c.a, c.a.rest)
	c.pairGraphs(c.b.graph, c.a.graph)
	if len(c.b.functions) != len(c.a.functions) {
		c.differ("the model", "it has %d functions, the original has %d", len(c.b.functions), len(c.a.functions))
	} else {
		for i, f := range c.b.functions {
			c.pairGraphs(f, c.a.functions[i])
		}
	}
	for c.work(); c.leftNodes() || c.leftShapes(); c.work() {
	}
}

func (c *checker) sortLayers() {
	slices.SortStableFunc(c.result.Layers, func(x, y Layer) int { return cmp.Compare(x.place, y.place) })
}

// work proves what is to be proven.
func (c *checker) work() {
	for len(c.queue) > 0 && c.err == nil {
		if c.ctx.Err() != nil {
			c.failed(context.Cause(c.ctx))
			return
		}
		p := c.queue[len(c.queue)-1]
		c.queue = c.queue[:len(c.queue)-1]
		c.prove(p)
	}
}
