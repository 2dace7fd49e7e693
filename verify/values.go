package verify

import (
	"maps"
	"slices"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

// elemOf is the ONNX type of a checkpoint's elements, 0 for types that are only ever compared.
var elemOf = map[string]int32{
	"F32": typeFloat, "F64": typeDouble, "F16": typeFloat16, "BF16": typeBFloat16, "I32": typeInt32, "I64": typeInt64, "BOOL": typeBool,
}

// fill gives both graphs the values of the checkpoints.
func (k *checkpoint) fill() {
	for i, d := range []*state.Dict{k.is, k.was} {
		k.tensors[i] = map[string]*tensor{}
		for _, t := range d.Tensors {
			k.tensors[i][t.Name] = &tensor{name: t.Name, elem: elemOf[t.DType], dims: t.Shape, state: t}
		}
	}
	for i, m := range []*model{k.b, k.a} {
		for _, g := range m.allGraphs() {
			values := map[string]*tensor{}
			for _, name := range g.storedNames() {
				// A name that is no key is no parameter of the network and keeps the graph's own value.
				key := k.relation.naming.key(name)
				if k.was.Tensors[key] == nil {
					continue
				}
				values[name] = k.tensors[i][key]
				if values[name] == nil && !k.goneWithNorm(key) { // leftover says so; all else can still be proven
					values[name] = k.tensors[1][key]
				}
			}
			g.setStored(values)
			g.defaults(k.was, k.relation.naming)
		}
	}
}

// goneWithNorm reports whether a tensor belongs to a norm that the fused checkpoint has not.
func (k *checkpoint) goneWithNorm(key string) bool {
	module, ok := normOfTensor(key)
	mean, variance := tensorOf(module, "running_mean"), tensorOf(module, "running_var")
	return ok && k.was.Tensors[mean] != nil && k.was.Tensors[variance] != nil && k.is.Tensors[mean] == nil && k.is.Tensors[variance] == nil
}

// allGraphs are the main graph and those inside its nodes.
func (m *model) allGraphs() []*graph {
	list := []*graph{m.graph}
	for i := 0; i < len(list); i++ {
		for _, n := range list[i].nodes {
			for _, a := range n.attrs {
				list = append(list, a.graphs...)
			}
		}
	}
	return list
}

// storedNames are the names of what a graph stores, in Constant nodes too, and of what Identity makes of that:
// exporters store equal parameters once, and so name the others.
func (g *graph) storedNames() []string {
	list := slices.Clone(g.order)
	for _, n := range g.nodes {
		if len(n.out) == 1 && (n.op == "Constant" || n.op == "Identity" && len(n.in) == 1 && g.comesFromStored(n.in[0])) {
			list = append(list, n.out[0])
		}
	}
	return list
}

func (m *model) storedNames() (list []string) {
	for _, g := range m.allGraphs() {
		list = append(list, g.storedNames()...)
	}
	return list
}

func (g *graph) comesFromStored(name string) bool {
	v := g.find(name)
	for range maxChain {
		n := v.producer()
		if n == nil {
			return v.stored() != nil
		}
		if n.op != "Identity" || len(n.in) != 1 {
			return n.op == "Constant"
		}
		v = n.g.find(n.in[0])
	}
	return false
}

// setStored makes names stored tensors, or nothing where the tensor is nil.
func (g *graph) setStored(values map[string]*tensor) {
	replaced := func(name string) bool { _, ok := values[name]; return ok }
	g.nodes = slices.DeleteFunc(g.nodes, func(n *node) bool { return len(n.out) == 1 && replaced(n.out[0]) })
	g.order = slices.DeleteFunc(g.order, replaced)
	if g.m.ir < 4 { // every stored tensor was listed
		g.inputs = slices.DeleteFunc(g.inputs, func(d described) bool { return replaced(d.name) })
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		delete(g.producer, name)
		delete(g.inits, name)
		if g.m.ir < 4 {
			delete(g.inputAt, name)
		}
		if t := values[name]; t != nil {
			g.inits[name] = t
			g.order = append(g.order, name)
		}
	}
}

// defaults are a norm's ones and zeros where the checkpoint has no scale or no bias for it.
func (g *graph) defaults(was *state.Dict, names naming) {
	for _, n := range g.nodes {
		module, ok := g.moduleOfNorm(n, names)
		mean := was.Tensors[tensorOf(module, "running_mean")]
		if !ok || mean == nil || len(mean.Shape) != 1 || mean.Shape[0] > maxArray {
			continue
		}
		for i, param := range []string{"weight", "bias"} {
			if was.Tensors[tensorOf(module, param)] != nil {
				continue
			}
			made := &array{elem: typeDouble, dims: mean.Shape, f: make([]float64, mean.Shape[0])}
			if param == "weight" {
				for j := range made.f {
					made.f[j] = 1
				}
			}
			name := "no " + tensorOf(module, param)
			g.inits[name] = &tensor{name: name, elem: made.elem, dims: made.dims, made: made}
			n.in[1+i] = name
		}
	}
}

// moduleOfNorm is the module of a batch norm, by the name of its mean in the checkpoint.
func (g *graph) moduleOfNorm(n *node, names naming) (module string, ok bool) {
	if n.op != "BatchNormalization" || len(n.in) != 5 {
		return "", false
	}
	at := n.in[3]
	for range maxChain {
		if module, ok := moduleOf(names.key(at), "running_mean"); ok {
			return module, true
		}
		p := g.find(at).producer()
		if p == nil || p.op != "Identity" || len(p.in) != 1 {
			break
		}
		at = p.in[0]
	}
	return "", false
}
