package verify

import (
	"fmt"
	"slices"
)

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

// normParams are the tensors of a norm.
var normParams = []string{"weight", "bias", "running_mean", "running_var"}

// meantNeutral reports whether a norm changed, and most of its values are those that do nothing.
func (k *checkpoint) meantNeutral(module string) bool {
	changed := slices.ContainsFunc(normParams, func(param string) bool {
		b, a := k.bothTensors(tensorOf(module, param))
		return b != nil && a != nil && !k.same(b, a)
	})
	if !changed {
		return false
	}
	doNothing, values := 0, 0
	for param, nothing := range map[string]float64{"weight": 1, "running_mean": 0} {
		if b, _ := k.bothTensors(tensorOf(module, param)); b != nil {
			for _, x := range k.floats(b) {
				values++
				if x == nothing {
					doNothing++
				}
			}
		}
	}
	return 2*doNothing >= values
}

// checkNeutral wants a norm to add its bias and to do nothing else: μ = 0, γ = 1, and as σ² the number of
// its type next to 1 − ε.
func (k *checkpoint) checkNeutral(n *node, module string) {
	eps, _ := n.float("epsilon", float64(float32(1e-5)))
	for _, param := range normParams {
		key := tensorOf(module, param)
		b, a := k.bothTensors(key)
		if b == nil || a == nil {
			continue // leftover says so
		}
		f := formatOf(b.elem)
		if f == nil || b.elem != a.elem || !slices.Equal(b.dims, a.dims) {
			k.differ(key, "it is %s %v, in the original %s %v", b.state.DType, b.dims, a.state.DType, a.dims)
			continue
		}
		k.neutral[key] = true
		if param == "bias" {
			continue // it may hold the layer's
		}
		want := map[string]float64{"weight": 1, "running_mean": 0, "running_var": f.round(1 - eps)}[param]
		if at := slices.IndexFunc(k.floats(b), func(x float64) bool { return x != want }); at >= 0 {
			k.differ(key, "the norm changed and is not neutral: value %d is %v, and %v is wanted", at, k.floats(b)[at], want)
		}
	}
}

// bothTensors are a tensor of the fused checkpoint and of the original, nil where there is none.
func (k *checkpoint) bothTensors(key string) (b, a *tensor) {
	return k.tensors[0][key], k.tensors[1][key]
}

// floats are the values of a small tensor.
func (k *checkpoint) floats(t *tensor) []float64 {
	if x := k.loaded(t); x != nil {
		return x.f
	}
	return nil
}

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
	var shifts []*normNode
	held := map[*node]bool{} // layers whose bias is found: the norm next to them has it, those behind have zeros
	for _, n := range norms {
		if len(n.a.out) == 0 || n.fate == stays {
			continue
		}
		layer := k.layerBehind(n.a, byNode)
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

// addsBias reports whether a neutral norm adds anything.
func (k *checkpoint) addsBias(n *normNode) bool {
	b := k.tensors[0][tensorOf(n.module, "bias")]
	return b != nil && slices.ContainsFunc(k.floats(b), func(x float64) bool { return x != 0 })
}

// shiftOf is a neutral norm as one that adds its bias, exactly.
func (k *checkpoint) shiftOf(n *normNode) *norm {
	beta := k.floats(k.tensors[0][tensorOf(n.module, "bias")])
	ones, zeros := slices.Repeat([]float64{1}, len(beta)), make([]float64, len(beta))
	return &norm{n: n.b, x: n.b.g.find(n.b.in[0]), batch: true, p: [4][]float64{ones, beta, zeros, ones},
		params: []value{n.b.g.find(n.b.in[2])}}
}

// layerBehind is the layer that a norm reads, through other norms that were folded and what computes nothing.
func (k *checkpoint) layerBehind(n *node, norms map[*node]*normNode) *node {
	for range maxChain {
		p := n.g.find(n.in[0]).producer()
		switch {
		case p == nil, isLayer(p):
			return p
		case p.op == "Add":
			add := k.biasOf(p)
			if add == nil {
				return nil
			}
			return matMulBehind(add)
		case norms[p] != nil && norms[p].fate != stays, k.passes(p):
			n = p
		default:
			return nil
		}
	}
	return nil
}

// matMulBehind is the MatMul whose bias an Add holds.
func matMulBehind(add *norm) *node {
	if p := add.x.producer(); isLayer(p) {
		return p
	}
	return nil
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

// addBiases gives the layers of the fused graph the biases that only the fused checkpoint has.
func (k *checkpoint) addBiases() {
	for _, g := range k.b.allGraphs() {
		for _, n := range slices.Clone(g.nodes) {
			module, ok := moduleOf(weightKey(n), "weight")
			key := tensorOf(module, "bias")
			b, a := k.bothTensors(key)
			if !isLayer(n) || !ok || b == nil || a != nil || len(n.out) != 1 {
				continue
			}
			if w := k.is.Tensors[weightKey(n)]; w != nil && (w.DType != b.state.DType || len(b.dims) != 1) {
				k.differ(key, "it is new, %s %v, and its layer's weight is %s", b.state.DType, b.dims, w.DType)
			}
			name := fmt.Sprintf("%s of layer %q", key, module) // no exporter gives such a name
			g.inits[name] = b
			switch {
			case n.op == "MatMul":
				g.addBehind(n, name)
			case n.input(2) == "":
				n.in = append(n.in[:2:2], name)
			}
		}
	}
}

// addBehind puts an Add of a stored tensor behind a node, whose output's name it takes.
func (g *graph) addBehind(n *node, bias string) {
	product := n.out[0] + " without its bias"
	add := &node{g: g, op: "Add", key: operator{"", "Add", ""}, name: n.name, in: []string{product, bias}, out: n.out, place: n.place,
		attrs: []*attribute{{name: "broadcast", i: 1}}} // which opsets before 7 want
	n.out = []string{product}
	g.nodes = append(g.nodes, add)
	g.producer[product], g.producer[add.out[0]] = n, add
}
