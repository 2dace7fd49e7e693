package verify

import (
	"fmt"
	"slices"
)

// related reports whether most of the original's tensors, norms left out, are in the fused checkpoint.
// Otherwise it says so, and there is nothing to compare.
func (k *checkpoint) related() bool {
	has, all := 0, 0
	for _, name := range k.was.Order {
		if k.goneWithNorm(name) {
			continue
		}
		all++
		if k.is.Tensors[name] != nil {
			has++
		}
	}
	if 2*has < all {
		k.differ("the checkpoint", "it has %d of the %d tensors of the original that are no norm's: they are not of one network", has, all)
		return false
	}
	return true
}

// leftover compares all tensors that no fold accounts for.
func (k *checkpoint) leftover() {
	judgedB, judgedA := k.judged(k.b), k.judged(k.a)
	lost := k.lostModules(judgedA)
	for _, name := range k.was.Order {
		if k.ctx.Err() != nil {
			k.failed(k.ctx.Err())
		}
		if k.err != nil {
			return
		}
		b, a := k.bothTensors(name)
		module, inNorm := normOfTensor(name)
		took := inNorm && k.fates[module] == gone && k.normJudged(module, judgedA)
		switch {
		case b == nil && !took && !(inNorm && lost[module]):
			k.differ(name, "the tensor is gone, and it was no norm's that a layer took")
		case b != nil && took:
			k.differ(name, "its norm is gone, and the tensor is still there")
		case b != nil && judgedB[name] && otherForm(b, a):
			k.differ(name, "%s", whatChanged(b, a))
		case b != nil && judgedB[name]:
			if a.state.Shared && !k.same(b, a) {
				k.differ(name, "it changed, and in the original other names stand for the same memory")
			}
		case b != nil && !k.same(b, a):
			k.differ(name, "%s", whatChanged(b, a))
		}
	}
	for _, name := range k.is.Order {
		if k.was.Tensors[name] == nil && !judgedB[name] {
			k.differ(name, "the original has no such tensor, and no layer needed it")
		}
	}
}

// judged are the checkpoint's tensors that the comparison of the graphs accounts for.
func (k *checkpoint) judged(m *model) map[string]bool {
	keys := map[string]bool{}
	for key := range k.inNeutral {
		keys[key] = m == k.b
	}
	for _, g := range m.allGraphs() {
		for name, t := range g.inits {
			if t.state != nil && k.accounted[value{g, name}] {
				keys[t.state.Name] = true
			}
		}
	}
	return keys
}

// lostModules reports norms that are gone although nothing tells where to, each once, and lists them.
func (k *checkpoint) lostModules(judged map[string]bool) map[string]bool {
	lost := map[string]bool{}
	for _, name := range k.was.Order {
		module, ok := moduleOf(name, "running_mean")
		if !ok || !k.goneWithNorm(name) || k.normJudged(module, judged) {
			continue
		}
		lost[module] = true
		k.differ(module, "the norm is gone%s", k.relation.unknown)
	}
	return lost
}

// normJudged reports whether a norm that is gone was looked for in a layer.
func (k *checkpoint) normJudged(module string, judged map[string]bool) bool {
	return judged[tensorOf(module, "running_mean")]
}

// normOfTensor is the module whose norm a tensor would be of.
func normOfTensor(name string) (module string, ok bool) {
	for _, param := range append([]string{"num_batches_tracked"}, normParams...) {
		if module, ok := moduleOf(name, param); ok {
			return module, true
		}
	}
	return "", false
}

// whatChanged says how a tensor differs that should be as it was.
func whatChanged(b, a *tensor) string {
	if b.state != nil && a.state != nil && otherForm(b, a) {
		return fmt.Sprintf("it is %s %v, in the original %s %v", b.state.DType, b.dims, a.state.DType, a.dims)
	}
	return "the tensor changed, and no norm explains it"
}

// otherForm reports whether a tensor has another type or shape than it had.
func otherForm(b, a *tensor) bool {
	return b.state.DType != a.state.DType || !slices.Equal(b.dims, a.dims)
}
