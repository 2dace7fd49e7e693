package onnx

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/fuse"
)

// Pairs are a graph's pairs of layer and norm by the names of their tensors, which a checkpoint of the same
// network shares.
type Pairs struct {
	Pairs  []Pair     // in graph order, each norm's together; those of one layer from the layer outwards
	Skips  []NormSkip // norms that stay
	Others [][]string // names, as in Pair, of what anything but a pair reads of the pairs' tensors
	Gone   bool       // no norm is left, and the exporter's own names say that it folded them
}

// Pair is a norm that can be folded into a layer. A tensor goes by several names where Identity stands
// between: the one the operator reads is the first, the stored one the last.
type Pair struct {
	Norm      fuse.NormInfo
	Layer     fuse.LayerInfo
	Node      int         // the layer's position in graph order: two nodes may run one layer
	Layout    fuse.Layout // of the stored weight
	Shape     []int       // of the stored weight
	Groups    int
	Direction fuse.Direction
	NoShift   bool // the fold is exact only for a norm that shifts nothing
	Flattened bool // each channel of the norm is a run of a Linear's outputs, or before it, of its inputs

	Weight, Mean, Var     []string
	Bias                  []string // nil for none
	Gamma, Beta           []string
	PlainGamma, PlainBeta bool // all ones, and all zeros: a constant may stand for a module without them
}

// Varying are the names of the norm's tensors, without those that are all ones or zeros.
func (p *Pair) Varying() [][]string {
	list := [][]string{p.Mean, p.Var}
	if !p.PlainGamma {
		list = append(list, p.Gamma)
	}
	if !p.PlainBeta {
		list = append(list, p.Beta)
	}
	return list
}

// NormSkip is a norm that stays, with the names and shapes of its mean and of the weight of the layer right before it.
// A shape is nil where it is not known, and the weight where there is no such layer.
type NormSkip struct {
	fuse.Skip
	Mean, Weight           []string
	MeanShape, WeightShape []int
}

// FindPairs plans the folds of the model at path and names their tensors. Nothing is written.
func FindPairs(ctx context.Context, path string, engine fuse.Engine) (*Pairs, error) {
	list, err := findPairs(ctx, path, engine)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", path, err)
	}
	return list, nil
}

func findPairs(ctx context.Context, path string, engine fuse.Engine) (*Pairs, error) {
	f, info, err := openModel(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := whenSmall(f, info.Size())
	if err != nil {
		return nil, err
	}
	j, err := newJob(r, info.Size(), path, engine, os.TempDir())
	if err != nil {
		return nil, err
	}
	defer j.close()
	j.keepIndex = true
	p, err := j.plan(ctx)
	if err != nil {
		return nil, err
	}
	n := &namer{planner: p, before: j.before, list: &Pairs{}, read: map[slot]bool{}, way: map[int32]bool{}}
	n.name()
	return n.list, nil
}

// side is where norms stand beside a layer.
type side struct {
	*layer
	fuse.Direction
}

// slot is an input of a node.
type slot struct {
	node int32
	i    int
}

// namer finds the names of a plan's tensors.
type namer struct {
	*planner
	before  *model // as it was before the planning
	inOrder bool   // every node of it stands behind those it reads
	list    *Pairs
	layers  map[string]*layer
	joined  map[side][]*candidate // the norms, written out or not, that are folded there
	read    map[slot]bool         // what the pairs account for
	way     map[int32]bool        // nodes between a pair's weight and its layer
}

func (n *namer) name() {
	n.layers, n.joined = n.layersByName(), map[side][]*candidate{}
	for _, c := range n.candidates {
		for _, s := range n.stepsOf(c) {
			at := side{n.layerOf(c, s), s.Direction}
			n.joined[at] = append(n.joined[at], c)
		}
	}
	n.inOrder = n.before.sorted()
	pairs, refused := map[*candidate][]Pair{}, map[*candidate]*fuse.Refusal{}
	for _, c := range n.candidates {
		if !c.batch() {
			continue
		}
		if !c.folded {
			refused[c] = c.reason()
			continue
		}
		var r *fuse.Refusal
		if pairs[c], r = n.pairsOf(c); r != nil {
			refused[c] = r
		}
	}
	n.spread(refused)
	for _, c := range n.candidates {
		r, no := refused[c]
		switch {
		case no:
			n.skip(c, r)
		case pairs[c] != nil:
			for _, s := range n.stepsOf(c) {
				n.account(c, n.layerOf(c, s))
			}
			n.list.Pairs = append(n.list.Pairs, pairs[c]...)
		}
	}
	n.list.Gone = n.gone()
	slices.SortStableFunc(n.list.Pairs, func(a, b Pair) int {
		switch { // the norms before a layer, from the layer outwards; all others, in graph order
		case a.Direction != b.Direction:
			return int(a.Direction) - int(b.Direction)
		case a.Direction == fuse.Before:
			return b.Norm.Index - a.Norm.Index
		}
		return a.Norm.Index - b.Norm.Index
	})
	n.others()
}

// pairsOf names the pairs of a folded norm, or says why one of them has no names.
func (n *namer) pairsOf(c *candidate) ([]Pair, *fuse.Refusal) {
	var pairs []Pair
	if steps := n.stepsOf(c); len(steps) > 1 && steps[0].Direction == fuse.After {
		return nil, fuse.Refuse(fuse.ReasonAxis, "it stands behind a Concat of the outputs of %d layers, which no pair can say", len(steps))
	}
	for _, s := range n.stepsOf(c) {
		l := n.layerOf(c, s)
		if l == nil || s.Direction == fuse.Before && n.joined[side{nil, fuse.Before}] != nil {
			return nil, fuse.Refuse(fuse.ReasonName, "more than one layer is called %q", s.Layer.Name)
		}
		pair, r := n.pair(c, l, s)
		if r != nil {
			return nil, r
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// spread refuses the norms that a refused one keeps from their layer.
func (n *namer) spread(refused map[*candidate]*fuse.Refusal) {
	for again := true; again; {
		again = false
		for _, c := range n.candidates {
			if refused[c] != nil || !c.batch() {
				continue
			}
			for _, s := range n.stepsOf(c) {
				for _, other := range n.joined[side{n.layerOf(c, s), s.Direction}] {
					if refused[c] == nil && refused[other] != nil && nearer(other, c, s.Direction) {
						refused[c] = fuse.Refuse(fuse.ReasonNoLayer, "%s stays between it and the layer", n.nodeName(other.node))
						again = true
					}
				}
			}
		}
	}
}

// nearer reports whether a stands between the layer and b.
func nearer(a, b *candidate, d fuse.Direction) bool {
	return a != b && (a.node < b.node) == (d == fuse.After)
}

func (n *namer) skip(c *candidate, r *fuse.Refusal) {
	if r == nil {
		r = fuse.Refuse(fuse.ReasonNoLayer, "%s", n.nodeName(c.node))
	}
	s := NormSkip{Skip: fuse.Skip{Norm: n.normInfo(c.norm), Reason: r.Reason, Detail: r.Detail}}
	if c.layer >= 0 {
		s.Layer = n.layerInfo(c.layer)
	}
	if in := n.before.in(c.node); len(in) == 5 {
		s.Mean, s.MeanShape = n.nameAndShape(in[3])
		if in[0] >= 0 && n.before.values[in[0]].producer >= 0 {
			at := n.before.values[in[0]].producer
			if l, _ := n.before.layerAt(at); l != nil && len(n.before.in(at)) > 1 {
				s.Weight, s.WeightShape = n.nameAndShape(n.before.in(at)[1])
			}
		}
	}
	n.list.Skips = append(n.list.Skips, s)
}

// nameAndShape are the names of a value, and its shape as far as all of it is known.
func (n *namer) nameAndShape(v int32) (names []string, dims []int) {
	if v < 0 {
		return nil, nil
	}
	if s := n.before.shape(v); s.known && !slices.Contains(s.dims, -1) {
		dims = s.dims
	}
	return n.before.namesOf(v), dims
}

// layersByName maps the names of the changed layers to them; nil for a name that two share. A layer without
// a name is called by its output, which a fold renames.
func (n *namer) layersByName() map[string]*layer {
	byName := map[string]*layer{}
	for _, l := range n.touched {
		for _, name := range [...]string{n.nodeName(l.node), n.before.nodeName(l.node)} {
			if other, taken := byName[name]; taken && other != l {
				byName[name] = nil
			} else {
				byName[name] = l
			}
		}
	}
	return byName
}

// layerOf is the layer of a step; nil where its name does not tell.
func (n *namer) layerOf(c *candidate, s fuse.Step) *layer {
	if s.Direction == fuse.After {
		return n.planner.layers[c.layer]
	}
	return n.layers[s.Layer.Name]
}

// pair names the tensors of one step.
func (n *namer) pair(c *candidate, l *layer, s fuse.Step) (Pair, *fuse.Refusal) {
	in := n.before.in(c.node)
	p := Pair{Norm: s.Norm, Layer: s.Layer, Node: int(l.node), Groups: l.groups, Direction: s.Direction}
	p.Mean, p.Var = n.before.namesOf(in[3]), n.before.namesOf(in[4])
	p.Gamma, p.PlainGamma = n.before.namesOf(in[1]), c.plainGamma
	p.Beta, p.PlainBeta = n.before.namesOf(in[2]), c.plainBeta
	p.NoShift = s.Direction == fuse.Before && (l.padded || l.layout == fuse.ConvTranspose)
	at := l.out
	if s.Direction == fuse.Before {
		at = l.in
	}
	p.Flattened = at.channels != c.affine.Channels()
	if p.Flattened && l.layout != fuse.Linear && l.layout != fuse.MatMul {
		return p, fuse.Refuse(fuse.ReasonAxis, "each of its channels stands for several of %s, which no pair can say", s.Layer.Name)
	}
	if p.Flattened && c.scattered {
		return p, fuse.Refuse(fuse.ReasonAxis, "the inputs of one channel are not side by side in %s, which no pair can say", s.Layer.Name)
	}
	var r *fuse.Refusal
	if p.Layout, r = l.storedLayout(); r != nil {
		return p, r
	}
	p.Shape = l.weight.tensor.dims
	if l.alpha != 1 || l.beta != 1 {
		return p, fuse.Refuse(fuse.ReasonUnsupportedOp, "%s has alpha %v and beta %v, which a checkpoint does not hold", s.Layer.Name, l.alpha, l.beta)
	}
	if r := n.between(c, l, s.Direction); r != nil {
		return p, r
	}
	weight := n.before.in(l.node)[1]
	for _, node := range l.weight.path {
		if n.before.op(node) != "Identity" {
			weight = n.before.in(node)[0]
		}
	}
	p.Weight = n.before.namesOf(weight)
	if v := n.bias(l); v >= 0 {
		p.Bias = n.before.namesOf(v)
	}
	return p, nil
}

// storedLayout is how the layer's weight lies in the file, and so in a checkpoint.
func (l *layer) storedLayout() (fuse.Layout, *fuse.Refusal) {
	w := l.weight
	switch {
	case w.made != nil:
		return 0, fuse.Refuse(fuse.ReasonWeight, "the weight is computed in the graph")
	case w.perm == nil && slices.Equal(w.dims, w.tensor.dims):
		return l.layout, nil
	case len(w.perm) == 2 && len(w.tensor.dims) == 2 && l.layout == fuse.MatMul:
		return fuse.Linear, nil
	case len(w.perm) == 2 && len(w.tensor.dims) == 2 && l.layout == fuse.Linear:
		return fuse.MatMul, nil
	}
	return 0, fuse.Refuse(fuse.ReasonWeight, "the graph reshapes the weight %q", w.tensor.name())
}

// between refuses a norm when arithmetic by constants, folded too, stands between it and the layer: that
// is no part of a checkpoint and stays in the model's code.
func (n *namer) between(c *candidate, l *layer, d fuse.Direction) *fuse.Refusal {
	joined := n.joined[side{l, d}]
	for _, other := range joined {
		if nearer(other, c, d) && !other.batch() {
			return fuse.Refuse(fuse.ReasonNoLayer, "%s stands between it and the layer", n.nodeName(other.node))
		}
	}
	if len(joined) > 1 && !n.inOrder {
		return fuse.Refuse(fuse.ReasonUnsupportedOp, "the graph lists its nodes in no order")
	}
	return nil
}

// sorted reports whether every node stands behind those it reads.
func (m *model) sorted() bool {
	for i := range int32(len(m.nodes)) {
		for _, v := range m.in(i) {
			if v >= 0 && m.values[v].producer >= i {
				return false
			}
		}
	}
	return true
}

// bias is the value that the layer adds, -1 for none.
func (n *namer) bias(l *layer) int32 {
	node := l.node
	if l.add >= 0 {
		if n.adds[l.add] != nil {
			return -1 // a norm that became the Add
		}
		node = l.add
	}
	if in := n.before.in(node); l.biasSlot >= 0 && l.biasSlot < len(in) {
		return in[l.biasSlot]
	}
	return -1
}

// namesOf are the names of a value: its own, and those it has before the Identities it comes through.
func (m *model) namesOf(v int32) []string {
	names := []string{m.name(v)}
	for range maxConstDepth {
		n := m.values[v].producer
		if n < 0 || m.op(n) != "Identity" || len(m.in(n)) != 1 || m.in(n)[0] < 0 {
			break
		}
		v = m.in(n)[0]
		names = append(names, m.name(v))
	}
	return names
}

// account notes which inputs a pair reads.
func (n *namer) account(c *candidate, l *layer) {
	for i := 1; i <= 4; i++ {
		n.read[slot{c.node, i}] = true
	}
	n.read[slot{l.node, 1}] = true
	for _, node := range l.weight.path {
		n.way[node] = true
	}
	if l.add < 0 {
		n.read[slot{l.node, 2}] = true
	} else if n.adds[l.add] == nil {
		n.read[slot{l.add, l.biasSlot}] = true
	}
}

// others lists what else reads the tensors of the pairs. An Identity only gives a tensor another name, and the
// nodes between a weight and its layer may lead to another layer as well.
func (n *namer) others() {
	mine := map[string]bool{}
	for _, p := range n.list.Pairs {
		for _, names := range append(p.Varying(), p.Weight, p.Bias) {
			if len(names) > 0 {
				mine[names[len(names)-1]] = true
			}
		}
	}
	add := func(v int32) {
		if v < 0 {
			return
		}
		if names := n.before.namesOf(n.beforeWays(v)); mine[names[len(names)-1]] {
			n.list.Others = append(n.list.Others, names)
		}
	}
	for i := range int32(len(n.before.nodes)) {
		if n.before.op(i) == "Identity" || n.way[i] {
			continue
		}
		for j, v := range n.before.in(i) {
			if !n.read[slot{i, j}] {
				add(v)
			}
		}
	}
	for v := range n.before.values {
		if n.before.values[v].flags&isOutput != 0 {
			add(int32(v))
		}
	}
}

// beforeWays is the value that v is made of by nodes that also lead from a weight to its layer; v itself where
// there are none.
func (n *namer) beforeWays(v int32) int32 {
	at := v
	for range maxConstDepth {
		p := n.before.values[at].producer
		if p < 0 || !n.way[p] && n.before.op(p) != "Identity" || len(n.before.in(p)) == 0 || n.before.in(p)[0] < 0 {
			break
		}
		at = n.before.in(p)[0]
		if n.before.op(p) != "Identity" {
			v = at
		}
	}
	return v
}

// gone reports whether there is no norm, and layers read weights under names that PyTorch's exporter makes up when it
// folds norms: "onnx::Conv_11".
func (p *planner) gone() bool {
	if slices.ContainsFunc(p.candidates, func(c *candidate) bool { return c.batch() }) {
		return false
	}
	for i := range int32(len(p.nodes)) {
		in := p.in(i)
		if op := p.op(i); (op == "Conv" || op == "ConvTranspose") && len(in) == 3 && in[1] >= 0 {
			if strings.HasPrefix(p.name(in[1]), "onnx::"+op+"_") {
				return true
			}
		}
	}
	return false
}
