package verify

import (
	"fmt"
	"slices"
)

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
	add := &node{g: g, op: "Add", key: operator{"", "Add", ""}, name: n.name, in: []string{product, bias}, out: n.out, place: n.place}
	if n.opset() < 7 {
		add.attrs = []*attribute{{name: "broadcast", i: 1}}
	}
	n.out = []string{product}
	g.nodes = append(g.nodes, add)
	g.producer[product], g.producer[add.out[0]] = n, add
}
