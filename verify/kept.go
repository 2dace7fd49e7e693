package verify

import (
	"fmt"
	"slices"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

// countNorms notes how many batch norms are still there. If the original has fewer, the likeliest mistake is in
// the order of the arguments.
func (c *checker) countNorms(is, was int) {
	c.result.Kept = is
	if is > was && !c.result.OK() {
		c.result.Hint = fmt.Sprintf("it has %s, and the original %d: %s", count(is, "norm"), was, wrongOrder)
	}
}

const wrongOrder = "are the two in the wrong order? The original comes first"

// batchNorms counts the nodes of all graphs and functions.
func (m *model) batchNorms() (n int) {
	for _, g := range append(m.allGraphs(), m.functions...) {
		for _, x := range g.nodes {
			if x.op == "BatchNormalization" {
				n++
			}
		}
	}
	return n
}

// normModules are the modules of a checkpoint that have a norm's mean, in its order.
func normModules(d *state.Dict) (modules []string) {
	for _, name := range d.Order {
		if module, ok := moduleOf(name, "running_mean"); ok {
			modules = append(modules, module)
		}
	}
	return modules
}

// keptNorms are the norms of the fused checkpoint that a fold has not made neutral.
func (k *checkpoint) keptNorms() []string {
	return slices.DeleteFunc(normModules(k.is), func(module string) bool { return k.fates[module] == neutral })
}
