package onnx

import (
	"cmp"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/elem"
)

// planner decides what becomes of each norm. It changes the index as it goes (a folded norm's node is
// dead, the tensor it read is gone), so that the next norm of a chain meets the layer itself; the edits
// follow from the changed index.
type planner struct {
	*model
	candidates []*candidate // in graph order
	byNode     []*candidate // nil for a node that is none
	steps      []fuse.Step  // in the order they were decided, each candidate's together
	touched    []*layer     // layers with a fold

	// poison are the layers whose norms do not compose to finite numbers. They keep all of them: if one
	// were folded, the next run might find that the rest can follow. Found on the way, it asks for a new
	// plan.
	poison map[int32]bool

	// overflows scans a layer's weights under a fold; nil trusts that nothing overflows. See scan.
	overflows func(l *layer, f fuse.Fold) (*fuse.Refusal, error)
	err       error // of overflows
}

// candidate is a node that computes a norm.
type candidate struct {
	*norm
	refused *fuse.Refusal // why it cannot be folded anywhere
	after   *fuse.Refusal // why not into the layer before it
	before  *fuse.Refusal // why not into the layers behind it
	layer   int32         // the layer it might have joined, -1 for none
	isBias  bool          // it is the bias of a MatMul, and no norm on its own
	folded  bool
	first   int32 // its steps: one, or one a layer for a norm before several
	end     int32

	scattered bool // folded into a layer behind it that has a channel's inputs in several places
}

// planModel decides for every norm of the model. overflows may be nil.
func planModel(m *model, poison map[int32]bool, overflows func(*layer, fuse.Fold) (*fuse.Refusal, error)) (*planner, error) {
	p := &planner{model: m, poison: poison, byNode: make([]*candidate, len(m.nodes)), overflows: overflows}
	for n := range int32(len(m.nodes)) {
		nm, r := m.normAt(n)
		if nm == nil {
			continue
		}
		if m.training {
			r = fuse.Refuse(fuse.ReasonTrainingInfo, "training would go on from the unfolded weights")
		}
		c := &candidate{norm: nm, refused: r, layer: -1}
		p.candidates = append(p.candidates, c)
		p.byNode[n] = c
	}
	p.steps = make([]fuse.Step, 0, len(p.candidates))
	// One round is enough for chains of any length: forward, each norm joins the layer before it, and
	// backward, each joins the layer behind. A further round sees whether that opened a new way.
	for again := true; again && p.err == nil; {
		again = false
		for _, c := range p.candidates {
			again = p.tryAfter(c) || again
		}
		for _, c := range slices.Backward(p.candidates) {
			again = p.tryBefore(c) || again
		}
	}
	return p, p.err
}

// fold records the steps that a candidate takes.
func (p *planner) fold(c *candidate, steps ...fuse.Step) {
	c.folded, c.first = true, int32(len(p.steps))
	p.steps = append(p.steps, steps...)
	c.end = int32(len(p.steps))
}

// stepsOf are the steps that a candidate takes.
func (p *planner) stepsOf(c *candidate) []fuse.Step { return p.steps[c.first:c.end] }

// plan lists the decisions.
func (p *planner) plan() *fuse.Plan {
	inOrder := func(a, b fuse.Step) int { return cmp.Compare(a.Norm.Index, b.Norm.Index) }
	out := &fuse.Plan{Steps: p.steps}
	if !slices.IsSortedFunc(p.steps, inOrder) {
		out.Steps = slices.Clone(p.steps)
		slices.SortStableFunc(out.Steps, inOrder)
	}
	for _, c := range p.candidates {
		if c.folded {
			continue
		}
		r := c.reason()
		if !c.batch() {
			r = p.writtenReason(c)
		}
		if r == nil {
			continue
		}
		skip := fuse.Skip{Norm: p.normInfo(c.norm), Reason: r.Reason, Detail: r.Detail}
		if c.layer >= 0 {
			skip.Layer = p.layerInfo(c.layer)
		}
		out.Skips = append(out.Skips, skip)
	}
	return out
}

// reason picks the more telling of the refusals from either side.
func (c *candidate) reason() *fuse.Refusal {
	for _, r := range []*fuse.Refusal{c.refused, c.after, c.before} {
		if r != nil && r.Reason != fuse.ReasonNoLayer {
			return r
		}
	}
	return cmp.Or(c.refused, c.after, c.before)
}

// writtenReason is why an Add, Sub, Mul or Div with a constant stays, if it is a norm at all: it follows a
// layer that could take it in but for its constant, or feeds one but for the layer's borders. Elsewhere it
// is any arithmetic of the model, and nil.
func (p *planner) writtenReason(c *candidate) *fuse.Refusal {
	if c.refused != nil && c.layer < 0 && p.values[c.x].producer >= 0 {
		n := p.values[c.x].producer
		if l, _ := p.layerAt(n); l != nil {
			c.layer = l.node
		} else if l := p.adds[n]; l != nil {
			c.layer = l.node
		}
	}
	for _, r := range []*fuse.Refusal{c.refused, c.after} {
		if r == nil || c.layer < 0 {
			continue
		}
		switch r.Reason {
		case fuse.ReasonNoLayer, fuse.ReasonOutputShared, fuse.ReasonAxis, fuse.ReasonTrainingInfo, fuse.ReasonUnsupportedOp:
		default:
			return r
		}
	}
	if r := c.before; r != nil {
		switch r.Reason {
		case fuse.ReasonPadding, fuse.ReasonTranspose, fuse.ReasonOverflow, fuse.ReasonNotFinite:
			return r
		}
	}
	return nil
}

func (p *planner) normInfo(nm *norm) fuse.NormInfo {
	info := fuse.NormInfo{Name: p.nodeName(nm.node), Kind: p.opName(nm.node), Eps: nm.eps, Index: int(nm.node)}
	if nm.batch() {
		info.Channels = nm.affine.Channels()
	} else if nm.k != nil {
		info.Channels = product(nm.k.dims)
	}
	return info
}

func (p *planner) layerInfo(n int32) fuse.LayerInfo {
	return fuse.LayerInfo{Name: p.nodeName(n), Kind: p.opName(n)}
}

// checkOneReader refuses a tensor that anything but the one reader at hand can see.
func (m *model) checkOneReader(v int32) *fuse.Refusal {
	val := &m.values[v]
	switch {
	case val.flags&isOutput != 0:
		return fuse.Refuse(fuse.ReasonOutputShared, "%q is an output of the graph", m.name(v))
	case m.uses[v] != 1 && m.valueReaders(v) != 1:
		return fuse.Refuse(fuse.ReasonOutputShared, "%q has %d readers", m.name(v), m.uses[v])
	}
	return m.checkNameUnique(v)
}

// valueReaders counts the inputs that read v for its values and not for its shape alone. It stops at 2.
func (m *model) valueReaders(v int32) int {
	n := 0
	for _, u := range m.users(v) {
		if !m.nodes[u].dead && !readsShape[m.op(u)] {
			if n++; n == 2 {
				break
			}
		}
	}
	return n
}

// readsShape are the operators that look at a tensor's shape alone, which no fold changes.
var readsShape = map[string]bool{"Shape": true, "Size": true}

// extend composes a norm into a fold of l and refuses what would overflow.
func (p *planner) extend(l *layer, f *fuse.Fold, d fuse.Direction, a fuse.Affine) *fuse.Refusal {
	if err := f.Add(d, a); err != nil {
		if f.After.Scale != nil || f.Before.Scale != nil {
			p.poison[l.node] = true
		}
		return refusal(err)
	}
	if p.poison[l.node] {
		return fuse.Refuse(fuse.ReasonNotFinite, "with the other norms of the layer its scale or shift is not finite")
	}
	if !f.Before.HasShift() {
		if r := l.checkBias(*f, nil); r != nil {
			return r
		}
	}
	if p.overflows == nil {
		return nil
	}
	r, err := p.overflows(l, *f)
	if err != nil && p.err == nil {
		p.err = err
	}
	return r
}

// touch gives a layer another fold.
func (p *planner) touch(l *layer, f fuse.Fold) {
	if l.fold.After.Scale == nil && l.fold.Before.Scale == nil {
		p.touched = append(p.touched, l)
	}
	l.fold = f
}

// checkBias refuses a fold that makes a finite bias infinite in its type.
func (l *layer) checkBias(f fuse.Fold, contracted []float64) *fuse.Refusal {
	probe := *l
	probe.fold = f
	b := probe.newBias(slices.Clone(contracted))
	n := l.out.channels
	for r := range l.rows() {
		old := l.biasRow(r)
		for o := range n {
			if contracted != nil && contracted[o]-contracted[o] != 0 {
				return fuse.Refuse(fuse.ReasonOverflow, "the sum of the weights of channel %d times the shift is %v", o, contracted[o])
			}
			if old != nil && old[o]-old[o] != 0 {
				continue // it was not finite before
			}
			if x := b[r*n+o]; x-x != 0 || elem.Overflows(l.dtype, x) {
				return fuse.Refuse(fuse.ReasonOverflow, "the bias of channel %d would be %v in %v", o, x, l.dtype)
			}
		}
	}
	return nil
}

// remove takes a folded norm's node out; nobody reads its constants through it any more.
func (p *planner) remove(n int32) {
	p.nodes[n].dead = true
	for _, v := range p.in(n) {
		p.release(v)
	}
}

// release gives up one reading of v. A stored tensor or a constant computation that nothing reads any
// more goes too.
func (m *model) release(v int32) {
	stack := []int32{v}
	for len(stack) > 0 {
		v, stack = stack[len(stack)-1], stack[:len(stack)-1]
		if v < 0 {
			continue
		}
		m.uses[v]--
		val := &m.values[v]
		if m.uses[v] > 0 || val.flags&isOutput != 0 {
			continue
		}
		if val.tensor >= 0 {
			m.tensors[val.tensor].dead = true
			val.flags |= isGone
			continue
		}
		n := val.producer
		if n < 0 || m.nodes[n].dead || len(m.out(n)) != 1 {
			continue
		}
		if m.isConstant(v) {
			m.nodes[n].dead = true
			val.flags |= isGone
			stack = append(stack, m.in(n)...)
		}
	}
}
