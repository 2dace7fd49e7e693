package verify

import "slices"

// fate is what became of a norm of the graph.
type fate int

const (
	stays   fate = iota
	gone         // its tensors are not in the fused checkpoint
	neutral      // it is still there, and only adds its bias
	never        // the original has no such norm: it was folded before
)

// normNode is a norm of the graph, as a node of both models.
type normNode struct {
	b, a   *node
	module string
	fate   fate
	behind bool // it went into the layer before it, whose output takes its place
}

// findNorms pairs the nodes of both graphs, names them as the checkpoint's modules, and looks what became of
// each norm.
func (k *checkpoint) findNorms() []*normNode {
	var norms []*normNode
	graphsB := k.b.allGraphs()
	for i, ga := range k.a.allGraphs() {
		for j, na := range ga.nodes {
			nb := graphsB[i].nodes[j] // until now, both are as they were read
			if isLayer(na) {
				if module, ok := moduleOf(weightKey(na), "weight"); ok {
					na.name, nb.name = module, module
				}
			}
			module, ok := ga.moduleOfNorm(na, k.relation.naming)
			if !ok {
				continue
			}
			na.name, nb.name = module, module
			n := &normNode{b: nb, a: na, module: module, fate: k.fateOf(na, module)}
			k.fates[module] = n.fate
			norms = append(norms, n)
		}
	}
	return norms
}

// weightKey is what the checkpoint calls the weight of a layer, "" if it is not of the checkpoint.
func weightKey(n *node) string {
	if len(n.in) < 2 {
		return ""
	}
	v := n.g.find(n.in[1])
	for range maxChain {
		if t := v.stored(); t != nil && t.state != nil {
			return t.state.Name
		}
		p := v.producer()
		if p == nil || len(p.in) == 0 || p.op != "Identity" && p.op != "Transpose" && !keepsOrder[p.op] {
			break
		}
		v = p.g.find(p.in[0])
	}
	return ""
}

func (k *checkpoint) fateOf(n *node, module string) fate {
	mean, variance := tensorOf(module, "running_mean"), tensorOf(module, "running_var")
	switch {
	case k.was.Tensors[mean] == nil && k.was.Tensors[variance] == nil:
		if k.is.Tensors[mean] == nil {
			return never
		}
	case k.is.Tensors[mean] == nil && k.is.Tensors[variance] == nil:
		return gone
	case k.meantNeutral(module):
		k.checkNeutral(n, module)
		return neutral
	}
	return stays
}

// layerBehind is the layer that a norm reads and could have gone into: through other norms that were folded
// and nodes that compute nothing, which leave the channels in place, and where nothing else reads what is
// between.
func (k *checkpoint) layerBehind(n *node, norms map[*node]*normNode, uses map[value]int) *node {
	var between []*node
	for at := n; len(between) < maxChain; {
		x := at.g.find(at.in[0])
		p := x.producer()
		if p != nil && p.op == "Add" {
			if add := k.biasOf(p); add != nil && uses[x] == 1 {
				x = add.x
				p = x.producer()
			}
		}
		switch {
		case p == nil || uses[x] > 1:
			return nil
		case isLayer(p):
			if !k.reaches(p, between, n) {
				return nil
			}
			return p
		case norms[p] != nil && norms[p].fate != stays:
		case k.passes(p):
			between = append(between, p)
		default:
			return nil
		}
		at = p
	}
	return nil
}

// reaches reports whether the channels of a layer are those of a norm, with nodes in between.
func (k *checkpoint) reaches(layer *node, between []*node, n *node) bool {
	l, err := k.layerOf(layer)
	norm := k.normOf(n)
	if err != nil || norm == nil {
		return true // it can be in no layer, and whoever looks for it there will say so
	}
	ax := k.outAxis(l)
	for _, p := range slices.Backward(between) {
		var ok bool
		if ax, ok = k.through(p, ax); !ok {
			return false
		}
	}
	_, err = norm.on(ax)
	return err == nil
}

// uses counts who reads the values of each tensor; the model's caller reads its outputs.
func (m *model) uses() map[value]int {
	uses := map[value]int{}
	for _, g := range m.allGraphs() {
		for _, n := range g.nodes {
			if readsShape(n) {
				continue // the shape does not change
			}
			for _, name := range n.in {
				uses[g.find(name)]++
			}
		}
		for _, d := range g.outputs {
			uses[g.find(d.name)]++
		}
	}
	return uses
}

// layerChanged reports whether a layer's weight or bias is not what it was.
func (k *checkpoint) layerChanged(n *node) bool {
	weight := weightKey(n)
	keys := []string{weight}
	if module, ok := moduleOf(weight, "weight"); ok {
		keys = append(keys, tensorOf(module, "bias"))
	}
	for _, key := range keys {
		b, a := k.bothTensors(key)
		if (b == nil) != (a == nil) || b != nil && !k.same(b, a) {
			return true
		}
	}
	return false
}
