package verify

import (
	"bytes"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

// normPair says that a norm stands behind a layer, or before it.
type normPair struct {
	layer, norm string // modules
	kind        string // Conv, ConvTranspose, Linear or MatMul: how the weight is stored
	groups      int
	eps         float64
	before      bool
	padded      bool // a layer that pads its input with zeros
	flattened   bool // each channel of the norm is a run of the layer's outputs, or before it, of its inputs
}

// chains builds the graph that pairs describe: for each layer an input, the norms before it, the layer, the
// norms behind it, an output.
//
//	in → norm → (Flatten) → layer → norm → (Reshape) → norm → out
func chains(pairs []normPair, was *state.Dict) *model {
	m := &model{source: &source{ReaderAt: bytes.NewReader(nil)}, ir: 8, opsets: map[string]int64{"": 17}, local: map[operator]bool{},
		rest: map[protowire.Number][]span{}}
	m.graph = newGraph(m, nil, "the pairs")
	var layers []string
	of := map[string][]normPair{}
	for _, p := range pairs {
		if of[p.layer] == nil {
			layers = append(layers, p.layer)
		}
		if !slices.Contains(of[p.layer], p) {
			of[p.layer] = append(of[p.layer], p)
		}
	}
	for i, layer := range layers {
		m.graph.chain(fmt.Sprintf("chain %d", i+1), of[layer], was)
	}
	return m
}

// chain adds one layer with its norms, which are listed from the layer outwards.
func (g *graph) chain(title string, pairs []normPair, was *state.Dict) {
	at := title + ": input"
	g.inputAt[at] = len(g.inputs)
	g.inputs = append(g.inputs, described{name: at})
	step := func(n *node) {
		g.m.nodes++
		n.g, n.place, n.key = g, g.m.nodes, operator{name: n.op}
		n.in = slices.Insert(n.in, 0, at)
		at = fmt.Sprintf("%s: node %d", title, n.place)
		n.out = []string{at}
		g.nodes, g.producer[at] = append(g.nodes, n), n
	}
	flatten := false // is to come
	for _, p := range slices.Backward(pairs) {
		if !p.before {
			continue
		}
		if flatten && !p.flattened {
			step(&node{op: "Flatten"})
		}
		flatten = p.flattened
		step(g.normOfPair(p))
	}
	if flatten {
		step(&node{op: "Flatten"})
	}
	step(g.layerOfPairs(pairs, was.Tensors[tensorOf(pairs[0].layer, "bias")] != nil))
	for _, p := range pairs {
		if p.before {
			continue
		}
		if p.flattened {
			step(&node{op: "Reshape", attrs: []*attribute{{name: "shape", ints: p.reshaped(was)}}})
		}
		step(g.normOfPair(p))
	}
	g.outputs = append(g.outputs, described{name: at})
}

// reshaped are the sizes, [N, C, …], in which the norm sees the layer's outputs.
func (p normPair) reshaped(was *state.Dict) []int64 {
	outputs, channels := int64(0), int64(0)
	if w := was.Tensors[tensorOf(p.layer, "weight")]; w != nil && len(w.Shape) == 2 {
		outputs = int64(w.Shape[map[string]int{"Linear": 0, "MatMul": 1}[p.kind]])
	}
	if mean := was.Tensors[tensorOf(p.norm, "running_mean")]; mean != nil && len(mean.Shape) == 1 {
		channels = int64(mean.Shape[0])
	}
	return []int64{0, channels, outputs / max(channels, 1)}
}

func (g *graph) normOfPair(p normPair) *node {
	n := &node{op: "BatchNormalization", attrs: []*attribute{{name: "epsilon", f: p.eps}}}
	for _, param := range normParams {
		n.in = append(n.in, g.storedAs(tensorOf(p.norm, param)))
	}
	return n
}

func (g *graph) layerOfPairs(pairs []normPair, hasBias bool) *node {
	p := pairs[0]
	n := &node{op: p.kind, in: []string{g.storedAs(tensorOf(p.layer, "weight"))}}
	if hasBias {
		n.in = append(n.in, g.storedAs(tensorOf(p.layer, "bias")))
	}
	switch p.kind {
	case "Linear":
		n.op, n.attrs = "Gemm", []*attribute{{name: "transB", i: 1}}
	case "MatMul":
		n.op = "Gemm"
	default:
		n.attrs = []*attribute{{name: "group", i: int64(p.groups)}}
	}
	if slices.ContainsFunc(pairs, func(p normPair) bool { return p.padded }) {
		n.attrs = append(n.attrs, &attribute{name: "pads", ints: []int64{1}})
	}
	return n
}

// storedAs names a tensor whose value the checkpoint has.
func (g *graph) storedAs(name string) string {
	if g.inits[name] == nil {
		g.inits[name] = &tensor{m: g.m, name: name}
		g.order = append(g.order, name)
	}
	return name
}
