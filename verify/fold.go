package verify

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// fold is a layer of both models and the norms that are between them.
type fold struct {
	*checker
	b, a  *layer
	row   Layer
	after []affine // of every output channel; what the fused model adds is not part of it
	added []affine // what the fused model adds behind it
	into  []affine // norms before the layer, of every input channel; nil for none

	holder *norm // what the fused model adds and holds the bias in; nil where the layer itself has it
}

// problem says what is wrong with the fold.
func (f *fold) problem(form string, args ...any) {
	f.row.Problems = append(f.row.Problems, fmt.Sprintf(form, args...))
}

// layers compares a layer of both models, with the norms that lie behind it on the trail, and those
// before it that the fused model has not.
func (c *checker) layers(nb, na *node, t *trail) {
	b, errB := c.layerOf(nb)
	a, errA := c.layerOf(na)
	if errB != nil || errA != nil {
		c.unknownLayer(nb, na, t, errB, errA)
		return
	}
	c.pairNodes(nb, na)
	but := ""
	if na.op == "Gemm" {
		but = "beta" // it may be in the new bias, which is compared with it
	}
	if !c.sameNodeBut(nb, na, but) {
		c.differ(nb.String(), "its attributes are not those of %v", na)
	}
	if scale := nb.attr("beta"); but != "" && scale != nil && (na.attr("beta") == nil || !c.sameAttribute(nb.g.m, scale, na.g.m, na.attr("beta"))) {
		c.differ(nb.String(), "its beta is not that of %v", na)
	}
	if t.empty() && nb.out[0] != na.out[0] {
		c.differ(nb.String(), "its outputs are %q, in the original %q", nb.out, na.out)
	}
	f := &fold{checker: c, b: b, a: a, row: Layer{Name: na.label(), Op: na.op, Norms: []string{}, Problems: []string{}, place: na.place}}
	before := c.normsBefore(b, a)
	if t.empty() && len(before) == 0 && c.unchanged(nb, na) {
		c.claimInputs(nb, na, 1)
		return
	}
	own := ownBias(na, t)
	for _, n := range append(slices.Clone(before), t.norms()...) {
		isBias := n == own
		if !isBias {
			f.row.Norms = append(f.row.Norms, n.n.label())
		}
		if !isBias && !c.explained[n.n] { // else another layer took it too
			c.result.Folded++
		}
		c.spend(n)
	}
	c.spendWeight(b.weight)
	c.spendWeight(a.weight)
	f.compute(t, before)
	f.otherEpsilon(t, before)
	if len(f.row.Norms) == 0 && len(f.row.Problems) == 0 {
		f.problem("what it reads is stored otherwise, and no norm explains it")
	}
	c.result.Layers = append(c.result.Layers, f.row)
}

// compute follows the channels through the norms and compares what the layer stores with what comes out.
func (f *fold) compute(t *trail, before []*norm) {
	f.behind(t)
	f.before(before)
	f.way()
	if len(f.row.Problems) == 0 {
		f.weights()
		f.bias()
	}
}

// ownBias is the Add that was a MatMul's bias before anything was folded: the first norm behind it that
// shifts, with nothing between that moves elements.
func ownBias(layer *node, t *trail) *norm {
	for _, s := range slices.Backward(t.steps) {
		n := s.norm
		switch {
		case layer.op != "MatMul":
			return nil
		case s.passA != nil && s.passA.op != "Identity" && s.passA.op != "Dropout":
			return nil
		case n != nil && n.part != nil: // it is behind a Concat
			return nil
		case n == nil, n.n.op == "Mul", n.n.op == "Div":
		case n.n.op == "Add":
			return n
		default:
			return nil
		}
	}
	return nil
}

// unknownLayer is a layer that no norm can have been folded into.
func (c *checker) unknownLayer(nb, na *node, t *trail, errB, errA error) {
	if t.empty() && c.sameNode(nb, na) {
		c.match(nb, na, nb.g.find(nb.out[0]), na.g.find(na.out[0]))
		return
	}
	c.lostNorms(t, nb.g.find(nb.out[0]))
	for _, err := range []error{errB, errA} {
		if err != nil {
			c.differ(nb.String(), "%v", err)
		}
	}
}

// unchanged reports whether a layer reads what it read before, but for its first input.
func (c *checker) unchanged(nb, na *node) bool {
	if len(nb.in) != len(na.in) || !c.sameNode(nb, na) {
		return false
	}
	for i := 1; i < len(nb.in); i++ {
		b, a := nb.g.find(nb.in[i]), na.g.find(na.in[i])
		if b.name != a.name {
			return false
		}
		wb, wa := c.weightOf(b), c.weightOf(a)
		if wb == nil || wa == nil {
			continue // it is for whoever computes it to be equal
		}
		if (wb.t == nil) != (wa.t == nil) || wb.t == nil && !sameArray(wb.made, wa.made) {
			return false
		}
		if wb.t != nil && !c.same(wb.t, wa.t) {
			return false
		}
	}
	return true
}

// normsBefore finds the norms that the original has before a layer and the fused model has not, in the
// order of the graph, and claims that what is before them is equal.
//
// A norm between two layers may be in either. The fused model's name for what the second reads tells:
// a norm that went into the layer before it left its name behind. A wrong answer would be found, since
// then no weight would fit.
func (c *checker) normsBefore(b, a *layer) []*norm {
	var norms []*norm
	x, y := b.x, a.x
	atX, atY := x, y // behind the last norm found
	var between, passed [][2]*node
	var way []*node // from the layer upwards
	for range maxChain {
		nx, ny := x.producer(), y.producer()
		if ny == nil {
			break
		}
		if nx != nil && nx.op == ny.op && c.passes(ny) && c.sameNode(nx, ny) {
			between = append(between, [2]*node{nx, ny})
			way = append(way, ny)
			x, y = nx.g.find(nx.in[0]), ny.g.find(ny.in[0])
			continue
		}
		if x.name == y.name && c.partner[x.g] == y.g {
			break
		}
		n := c.normOf(ny)
		if n == nil {
			break
		}
		n.way = slices.Clone(way)
		slices.Reverse(n.way)
		norms = append(norms, n)
		y = n.x
		atX, atY = x, y
		passed = append(passed, between...)
		between = nil
	}
	for _, p := range passed {
		c.pairNodes(p[0], p[1])
		c.claimInputs(p[0], p[1], 1)
	}
	c.claim(atX, atY)
	slices.Reverse(norms)
	return norms
}

// way compares the nodes between a weight and its layer. A new tensor may have a way of its own.
func (f *fold) way() {
	b, a := f.b.weight, f.a.weight
	if b.at.name != a.at.name || f.partner[b.at.g] != a.at.g {
		return
	}
	if !slices.EqualFunc(b.path, a.path, f.sameNode) {
		f.problem("weight %q does not reach the layer through the nodes it did", b.name)
	}
	f.sameHeader(b.t, a.t)
}

// sameHeader wants a tensor whose data were replaced to say what it said, where both models have the
// data in the same kind of field.
func (f *fold) sameHeader(b, a *tensor) {
	if b == nil || a == nil || (b.raw == nil) != (a.raw == nil) || (b.external == nil) != (a.external == nil) || a.raw == nil && a.external == nil {
		return
	}
	same, err := sameFields(b.m, b.at, a.m, a.at, func(num protowire.Number) bool { return num == tensorRaw || num == tensorExternal })
	if err != nil {
		f.failed(err)
	}
	if !same {
		f.problem("tensor %q: more than its data changed", b.name)
	}
}

// behind composes the norms on the trail, following the channels from the layer on.
func (f *fold) behind(t *trail) {
	f.after, f.added = identity(f.a.out), identity(f.a.out)
	ax := f.outAxis(f.a)
	for _, s := range slices.Backward(t.steps) {
		if s.passA != nil {
			f.pairNodes(s.passB, s.passA)
			f.claimInputs(s.passB, s.passA, 1)
			ax = f.past(s.passA, ax)
			continue
		}
		n, chain := s.norm, &f.after
		if s.added != nil {
			n, chain = s.added, &f.added
			f.spend(n)
			if f.holder == nil { // the one next to the layer; those behind it add nothing
				f.holder = n
			}
			if f.a.n.op != "MatMul" && s.added.n.shift == nil {
				f.differ(n.n.String(), "the original has no such node")
			}
			if s.added.n.shift == nil {
				f.plainAdd(n.n)
			}
		}
		list, err := n.on(ax)
		if err != nil {
			f.problem("%v: %v", n.n, err)
			return
		}
		for i := range list {
			(*chain)[i] = (*chain)[i].then(list[i])
		}
		f.folded[n.n] = true
	}
}

// plainAdd wants an Add that holds a bias to be one that every runtime takes.
func (f *fold) plainAdd(n *node) {
	for _, a := range n.attrs {
		if n.opset() >= 7 || a.name != "broadcast" && a.name != "axis" && a.name != "consumed_inputs" {
			f.problem("%v: an Add has no attribute %q", n, a.name)
		}
	}
	if len(n.in) != 2 || len(n.out) != 1 {
		f.problem("%v: an Add has two inputs and one output", n)
	}
}

// before composes the norms before the layer.
func (f *fold) before(norms []*norm) {
	if len(norms) == 0 {
		return
	}
	ax, err := f.inAxis(f.a)
	if err != nil {
		f.problem("%v", err)
		return
	}
	f.into = identity(f.a.in)
	for _, n := range slices.Backward(norms) { // each goes into what the layer has taken so far
		list, err := f.towards(n, ax)
		if err != nil {
			f.problem("%v: %v", n.n, err)
			return
		}
		for i := range list {
			f.into[i] = list[i].then(f.into[i])
		}
		f.folded[n.n] = f.folded[n.n] || f.keepsShape(n, ax)
	}
	if f.a.padded() && f.shifts() {
		f.problem("the norm before it shifts, and its padding is not shifted")
	}
}

// shifts reports whether the norms before the layer add anything.
func (f *fold) shifts() bool {
	return slices.ContainsFunc(f.into, func(a affine) bool { return a.t.Sign() != 0 })
}

// spend accounts for a norm that is gone, with the constants that it read.
func (c *checker) spend(n *norm) {
	c.explained[n.n] = true
	for _, p := range n.params {
		c.spendConstant(p)
	}
}

// spendConstant accounts for a constant and what computes it.
func (c *checker) spendConstant(v value) {
	stack := []value{v}
	for len(stack) > 0 {
		v, stack = stack[len(stack)-1], stack[:len(stack)-1]
		if v.g == nil || c.accounted[v] {
			continue
		}
		c.accounted[v] = true
		n := v.producer()
		if n == nil || c.constant(v) == nil && c.weightOf(v) == nil {
			continue
		}
		c.explained[n] = true
		for _, name := range n.in {
			stack = append(stack, n.g.find(name))
		}
	}
}

// spendWeight accounts for a weight that was replaced.
func (c *checker) spendWeight(w *weight) {
	for _, n := range w.path {
		c.explained[n] = true
		for _, name := range n.in[1:] {
			c.spendConstant(n.g.find(name))
		}
	}
	if w.owner != nil {
		c.explained[w.owner] = true
	}
	c.accounted[w.at] = true
	if w.made != nil {
		c.accounted[w.at] = false
		c.spendConstant(w.at)
	}
}
