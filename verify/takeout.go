package verify

import "slices"

// takeNormsOut changes the graph of the fused checkpoint as the fold changed the network. Where a norm was,
// what it read and what it gave are one tensor; which of the two names it has tells the layer that took the
// norm, as in a fused ONNX model.
func (k *checkpoint) takeNormsOut(norms []*normNode) {
	byNode := map[*node]*normNode{}
	for _, n := range norms {
		byNode[n.a] = n
	}
	joinA, joinB := map[value]string{}, map[value]string{}
	outA, outB := map[*node]bool{}, map[*node]bool{}
	uses := k.a.uses()
	var shifts []*normNode
	held := map[*node]bool{} // layers whose bias is found: the norm next to them has it, those behind have zeros
	for _, n := range norms {
		if len(n.a.out) == 0 || n.fate == stays {
			continue
		}
		layer := k.layerBehind(n.a, byNode, uses)
		if n.fate == neutral && k.addsBias(n) {
			if layer != nil && !held[layer] {
				held[layer] = true
				shifts = append(shifts, n)
				continue
			}
			k.differ(tensorOf(n.module, "bias"), "the norm is neutral and holds no layer's bias, and it adds something")
		}
		n.behind = layer != nil && k.layerChanged(layer)
		join(joinB, n.b, n.behind)
		outB[n.b] = true
		if n.fate == never {
			join(joinA, n.a, n.behind)
			outA[n.a] = true
		}
	}
	for _, g := range k.b.allGraphs() {
		g.deadNames(outB)
	}
	k.b.joinTensors(joinB, outB)
	k.a.joinTensors(joinA, outA)
	for _, n := range shifts {
		n.b.shift = k.shiftOf(n)
		n.b.op, n.b.key = "", operator{"", "neutral BatchNormalization", ""}
	}
}

// deadNames finds the Identity nodes that only gave another name to tensors of norms that are gone.
func (g *graph) deadNames(out map[*node]bool) {
	dead := map[string]bool{}
	for _, n := range g.nodes {
		if n.op == "Identity" && len(n.in) == 1 && (dead[n.in[0]] || g.find(n.in[0]).g == nil) {
			out[n] = true
			dead[firstName(n.out)] = true
		}
	}
}

// join gives the input and the output of a node one name.
func join(names map[value]string, n *node, keepOutput bool) {
	x, y := n.g.find(n.in[0]), value{n.g, n.out[0]}
	switch {
	case x.g != n.g: // a name of a graph around this one stays
		names[y] = x.name
	case keepOutput:
		names[x] = y.name
	default:
		names[y] = x.name
	}
}

// joinTensors renames tensors and takes nodes out.
func (m *model) joinTensors(names map[value]string, out map[*node]bool) {
	if len(out) == 0 {
		return
	}
	renamed := func(g *graph, name string) string {
		for range len(names) {
			to, ok := names[g.find(name)]
			if !ok {
				break
			}
			name = to
		}
		return name
	}
	graphs := m.allGraphs()
	type change struct {
		to   *string
		name string
	}
	var changes []change // made at the end: a name is resolved in the graph as it was
	for _, g := range graphs {
		for _, n := range g.nodes {
			for i := range n.in {
				changes = append(changes, change{&n.in[i], renamed(g, n.in[i])})
			}
			for i := range n.out {
				changes = append(changes, change{&n.out[i], renamed(g, n.out[i])})
			}
		}
		for i := range g.outputs {
			changes = append(changes, change{&g.outputs[i].name, renamed(g, g.outputs[i].name)})
		}
	}
	for _, c := range changes {
		*c.to = c.name
	}
	for _, g := range graphs {
		g.nodes = slices.DeleteFunc(g.nodes, func(n *node) bool { return out[n] })
		clear(g.producer)
		for _, n := range g.nodes {
			for _, name := range n.out {
				g.producer[name] = n
			}
		}
	}
}
