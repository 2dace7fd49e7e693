package onnx

import (
	"cmp"
	"math"
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
	byNode     map[int32]*candidate
	touched    map[int32]*layer // layers with a fold, by node
	dirty      map[int32]bool   // nodes whose inputs or outputs were renamed

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
	steps   []fuse.Step   // one, or one a layer for a norm before several
}

// planModel decides for every norm of the model. overflows may be nil.
func planModel(m *model, poison map[int32]bool, overflows func(*layer, fuse.Fold) (*fuse.Refusal, error)) (*planner, error) {
	p := &planner{model: m, poison: poison, byNode: map[int32]*candidate{}, touched: map[int32]*layer{}, dirty: map[int32]bool{}, overflows: overflows}
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

// plan lists the decisions.
func (p *planner) plan() *fuse.Plan {
	out := &fuse.Plan{}
	for _, c := range p.candidates {
		if c.steps != nil {
			out.Steps = append(out.Steps, c.steps...)
			continue
		}
		r := c.reason()
		if r == nil || !c.batch() && (!telling(r.Reason) || !p.besideLayer(c)) {
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

// telling reports whether a constant's Add, Sub, Mul or Div that stays for this reason was a norm: where
// it only stands beside no layer, it is any arithmetic of the model.
func telling(r fuse.Reason) bool {
	switch r {
	case fuse.ReasonNoLayer, fuse.ReasonOutputShared, fuse.ReasonAxis, fuse.ReasonTrainingInfo, fuse.ReasonUnsupportedOp:
		return false
	}
	return true
}

// besideLayer reports whether a norm that is written out follows a layer or stands before one.
func (p *planner) besideLayer(c *candidate) bool {
	if c.layer < 0 && p.values[c.x].producer >= 0 {
		if l, _ := p.layerOrBias(p.values[c.x].producer); l != nil {
			c.layer = l.node
		}
	}
	return c.layer >= 0
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

func (p *planner) normInfo(nm *norm) fuse.NormInfo {
	info := fuse.NormInfo{Name: p.nodeName(nm.node), Kind: p.opName(nm.node), Eps: nm.eps, Index: nm.index}
	if nm.batch() {
		info.Channels = nm.affine.Channels()
	} else if nm.k != nil {
		info.Channels = len(nm.k.f)
	}
	return info
}

func (p *planner) layerInfo(n int32) fuse.LayerInfo {
	return fuse.LayerInfo{Name: p.nodeName(n), Kind: p.opName(n)}
}

// tryAfter folds a norm into the layer before it:
//
//	layer → (Identity | Dropout | Transpose | Reshape | …)* → norm
//
// Every tensor on the way has one reader, so that nobody else sees the layer's changed output. A norm
// that alone would overflow may stand on the way: together with this one it may not.
func (p *planner) tryAfter(c *candidate) bool {
	if c.refused != nil || c.steps != nil {
		return false
	}
	c.after = nil
	var shared *fuse.Refusal
	var path []int32
	waiting := 0
	at := c.x
	for {
		val := &p.values[at]
		n := val.producer
		if n < 0 || p.nodes[n].graph != p.nodes[c.node].graph {
			c.after = fuse.Refuse(fuse.ReasonNoLayer, "it reads %q", p.name(at))
			return false
		}
		if shared == nil {
			shared = p.sharedOutput(at)
		}
		if l, r := p.layerOrBias(n); l != nil {
			c.layer = l.node
			if r == nil {
				r = shared
			}
			if r != nil {
				c.after = r
				return false
			}
			return p.joinAfter(c, l, path)
		}
		if w := p.waiting(n); w != nil && waiting < maxWaiting {
			waiting++
			path = append(path, n)
			at = w.x
			continue
		}
		if !passes[p.op(n)] || len(path) > maxConstDepth || len(p.in(n)) == 0 || p.in(n)[0] < 0 || p.out(n)[0] != at {
			c.after = fuse.Refuse(fuse.ReasonNoLayer, "it reads %q, the output of %s", p.name(at), p.opName(n))
			return false
		}
		path = append(path, n)
		at = p.in(n)[0]
	}
}

// maxWaiting bounds how many norms that overflow alone are tried together.
const maxWaiting = 8

// waiting returns the norm that node n is, if it only stays because the layer would overflow, or
// because alone it is nothing but a bias.
func (p *planner) waiting(n int32) *candidate {
	w := p.byNode[n]
	if w == nil || w.steps != nil || !w.isBias && (w.after == nil || w.after.Reason != fuse.ReasonOverflow) {
		return nil
	}
	return w
}

// layerOrBias returns the layer that node n is, or whose bias it adds.
func (p *planner) layerOrBias(n int32) (*layer, *fuse.Refusal) {
	if l := p.adds[n]; l != nil {
		return l, nil
	}
	if l, r := p.layerAt(n); l != nil {
		return l, r
	}
	return p.addBias(n)
}

// sharedOutput refuses a tensor that anything but the one reader at hand can see.
func (m *model) sharedOutput(v int32) *fuse.Refusal {
	val := &m.values[v]
	switch {
	case val.flags&isOutput != 0:
		return fuse.Refuse(fuse.ReasonOutputShared, "%q is an output of the graph", m.name(v))
	case m.uses[v] != 1:
		return fuse.Refuse(fuse.ReasonOutputShared, "%q has %d readers", m.name(v), m.uses[v])
	}
	return m.shadowed(v)
}

// joinAfter folds the norm into l, whose output reaches it along path (the norm's end first), together
// with the norms that wait on the path.
func (p *planner) joinAfter(c *candidate, l *layer, path []int32) bool {
	if l.add == c.node || l.kind == "MatMul" && l.add < 0 && c.op == "Add" && !l.fold.After.HasShift() {
		// MatMul → Add is how a linear layer is written: there is nothing to fold.
		c.after = fuse.Refuse(fuse.ReasonNoLayer, "it is the layer's bias")
		c.isBias = true
		return false
	}
	joins := []*candidate{}
	maps := []fuse.Affine{}
	moved := make([]bool, 0, 1) // whether anything but norms stands before each
	ax, f, apart := l.out, l.fold, false
	r := p.shadowed(c.y)
	for _, n := range slices.Backward(append([]int32{c.node}, path...)) {
		if r != nil {
			break
		}
		w := p.byNode[n]
		if w == nil {
			ax, r = p.pass(n, ax)
			apart = true
			continue
		}
		var a fuse.Affine
		if a, r = w.on(ax); r != nil {
			break
		}
		if w == c {
			r = p.extend(l, &f, fuse.After, a)
		} else if err := f.Add(fuse.After, a); err != nil {
			r = refusal(err)
		}
		joins, maps, moved = append(joins, w), append(maps, a), append(moved, apart)
	}
	if r != nil {
		c.after = r
		return false
	}
	l.fold = f
	p.touched[l.node] = l
	for i, w := range joins {
		w.steps = []fuse.Step{{Norm: p.normInfo(w.norm), Layer: p.layerInfo(l.node), Direction: fuse.After, Affine: maps[i]}}
		w.after = nil
		if l.kind == "MatMul" && l.add < 0 && !moved[i] && f.After.HasShift() {
			p.becomeAdd(w, l)
		} else {
			p.takeName(w.norm)
		}
	}
	return true
}

// takeName removes a folded norm: the tensor that fed it takes the name of the one it gave.
func (p *planner) takeName(nm *norm) {
	from := p.values[nm.x].producer
	out := p.out(from)
	out[slices.Index(out, nm.x)] = nm.y
	p.dirty[from] = true
	p.values[nm.y].producer = from
	p.values[nm.x].producer = -1
	p.values[nm.x].flags |= isGone
	p.remove(nm.node)
}

// becomeAdd turns the norm into the Add of a MatMul that has none; its constant is the new bias.
func (p *planner) becomeAdd(c *candidate, l *layer) {
	in := p.in(c.node)
	for _, v := range in {
		if v != c.x {
			p.release(v)
		}
	}
	nd := &p.nodes[c.node]
	in[0], in[1] = c.x, -1
	p.links[nd.link+2] = c.y // the outputs follow the inputs
	nd.nIn, nd.nOut = 2, 1
	l.add, l.biasSlot = c.node, 1
	p.adds[c.node] = l
}

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

// checkBias refuses a fold that makes a finite bias infinite in its type.
func (l *layer) checkBias(f fuse.Fold, contracted []float64) *fuse.Refusal {
	probe := *l
	probe.fold = f
	b := probe.newBias(slices.Clone(contracted))
	n := l.out.channels
	for r := range l.rows() {
		old := l.biasRow(r)
		for o := range n {
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

// tryBefore folds a norm into the layers behind it:
//
//	norm → (Identity | Dropout)* → layer
//
// All readers of the norm must be such layers, or somebody would miss it.
func (p *planner) tryBefore(c *candidate) bool {
	if c.refused != nil || c.steps != nil {
		return false
	}
	c.before = nil
	if l, r := p.addBias(c.node); l != nil && r == nil {
		return false // it is the bias of the layer before it
	}
	targets, r := p.targets(c)
	if r == nil {
		r = p.shadowed(c.x)
	}
	if r != nil {
		c.before = r
		return false
	}
	type change struct {
		l *layer
		f fuse.Fold
		a fuse.Affine
	}
	var changes []change
	for _, l := range targets {
		if c.layer < 0 {
			c.layer = l.node
		}
		a, r := p.onInput(c.norm, l)
		f := l.fold
		if r == nil {
			r = p.extend(l, &f, fuse.Before, a)
		}
		if r != nil {
			c.before = r
			return false
		}
		changes = append(changes, change{l, f, a})
	}
	for _, ch := range changes {
		ch.l.fold = ch.f
		p.touched[ch.l.node] = ch.l
		c.steps = append(c.steps, fuse.Step{Norm: p.normInfo(c.norm), Layer: p.layerInfo(ch.l.node), Direction: fuse.Before, Affine: ch.a})
	}
	p.bypass(c.norm)
	return true
}

// bypass lets the readers of a norm read what it read.
func (p *planner) bypass(nm *norm) {
	users := p.readers(nm.x)
	for _, u := range p.readers(nm.y) {
		for i, v := range p.in(u) {
			if v == nm.y {
				p.in(u)[i] = nm.x
				p.dirty[u] = true
				p.uses[nm.x]++
				users = append(users, u)
			}
		}
	}
	p.newUser[nm.x] = users
	p.values[nm.y].producer = -1
	p.values[nm.y].flags |= isGone
	p.remove(nm.node)
}

// readers lists the live nodes that read v, each once, in graph order.
func (m *model) readers(v int32) []int32 {
	var out []int32
	for _, u := range m.users(v) {
		if !m.nodes[u].dead && slices.Contains(m.in(u), v) {
			out = append(out, u)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// maxTargets bounds how many layers one norm is folded into.
const maxTargets = 64

// targets lists the layers that read a norm's output, if nothing else does.
func (p *planner) targets(c *candidate) ([]*layer, *fuse.Refusal) {
	var out []*layer
	pending := []int32{c.y}
	for len(pending) > 0 {
		v := pending[0]
		pending = pending[1:]
		if r := p.shadowed(v); r != nil {
			return nil, r
		}
		if p.values[v].flags&isOutput != 0 {
			return nil, fuse.Refuse(fuse.ReasonNoLayer, "%q is an output of the graph", p.name(v))
		}
		users := p.readers(v)
		if len(users) == 0 || len(users) > maxTargets || len(out) > maxTargets {
			return nil, fuse.Refuse(fuse.ReasonNoLayer, "%q has %d readers", p.name(v), len(users))
		}
		for _, u := range users {
			if p.in(u)[0] != v || slices.Contains(p.in(u)[1:], v) || p.nodes[u].graph != p.nodes[c.node].graph {
				return nil, fuse.Refuse(fuse.ReasonNoLayer, "%s reads it otherwise than as a layer's input", p.opName(u))
			}
			if op := p.op(u); op == "Identity" || op == "Dropout" {
				if r := p.inference(u); r != nil {
					return nil, r
				}
				if out := p.out(u); len(out) > 0 && out[0] >= 0 {
					pending = append(pending, out[0])
					continue
				}
			}
			l, r := p.layerAt(u)
			if l == nil {
				return nil, fuse.Refuse(fuse.ReasonNoLayer, "%s reads it", p.opName(u))
			}
			if r != nil {
				return nil, r
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// onInput is the norm's map over the input channels of a layer, if the fold is exact there.
func (p *planner) onInput(nm *norm, l *layer) (fuse.Affine, *fuse.Refusal) {
	if l.noView != nil {
		return fuse.Affine{}, l.noView
	}
	if l.moved {
		return fuse.Affine{}, fuse.Refuse(fuse.ReasonAxis, "transA moves the channels to the other axis")
	}
	a, r := nm.on(l.in)
	if r != nil {
		return a, r
	}
	if r := p.keepsShape(nm, l.in); r != nil {
		return a, r
	}
	if !a.HasShift() {
		return a, nil
	}
	switch {
	case l.layout == fuse.ConvTranspose:
		return a, fuse.Refuse(fuse.ReasonTranspose, "its shift would have to vary along the borders")
	case l.padded:
		return a, fuse.Refuse(fuse.ReasonPadding, "the padding is added after the norm and stays zero")
	case l.weight.perm != nil && len(l.weight.dims) > 2:
		return a, fuse.Refuse(fuse.ReasonWeight, "the weight is stored transposed")
	}
	if l.kind == "MatMul" && l.add < 0 {
		if users := p.readers(p.out(l.node)[0]); len(users) == 1 {
			p.addBias(users[0]) // finds the Add that follows, if there is one
		}
	}
	return a, nil
}

// keepsShape refuses a constant that broadcasting would spread x over: without the norm, x would keep
// fewer axes or a single channel.
func (p *planner) keepsShape(nm *norm, ax axis) *fuse.Refusal {
	if nm.batch() || nm.legacy {
		return nil
	}
	s := p.shape(nm.x)
	if len(nm.k.dims) > 0 && (ax.rank < 0 || len(nm.k.dims) >= ax.rank) && len(s.dims) < len(nm.k.dims) {
		return fuse.Refuse(fuse.ReasonBroadcast, "the constant %v may add axes to %q", nm.k.dims, p.name(nm.x))
	}
	if len(nm.k.f) != 1 && s.at(len(s.dims)-1-ax.fromEnd) != ax.channels {
		return fuse.Refuse(fuse.ReasonBroadcast, "%q may have a single channel", p.name(nm.x))
	}
	return nil
}

// minMax are the extremes of a scale.
func minMax(s []float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, x := range s {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}
