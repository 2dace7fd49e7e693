package verify

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// pairGraphs compares what two graphs say of themselves and claims that their outputs are equal.
func (c *checker) pairGraphs(b, a *graph) {
	if c.partner[b] != nil {
		return
	}
	c.partner[b] = a
	c.graphs = append(c.graphs, b)
	c.sameRest(b.title, b.m, b.rest, a.m, a.rest)
	c.sameInterface(b, a, "inputs", b.trueInputs(), a.trueInputs())
	c.sameInterface(b, a, "outputs", b.outputs, a.outputs)
	for i := range min(len(b.outputs), len(a.outputs)) {
		c.claim(b.find(b.outputs[i].name), a.find(a.outputs[i].name))
	}
	c.pairSilent(b, a)
}

// pairSilent matches nodes without an output, which nothing leads to, in their order.
func (c *checker) pairSilent(b, a *graph) {
	silent := func(g *graph) (list []*node) {
		for _, n := range g.nodes {
			if firstName(n.out) == "" {
				list = append(list, n)
			}
		}
		return list
	}
	listB, listA := silent(b), silent(a)
	for i := range min(len(listB), len(listA)) {
		if nb, na := listB[i], listA[i]; c.sameNode(nb, na) {
			c.pairNodes(nb, na)
			c.claimInputs(nb, na, 0)
			c.claimGraphs(nb, na)
		}
	}
}

// trueInputs are the inputs; before IR 4 without the initializers, which had to be listed and come and go.
func (g *graph) trueInputs() []described {
	if g.m.ir >= 4 || g.parent != nil || g.isFunc {
		return g.inputs
	}
	return slices.DeleteFunc(slices.Clone(g.inputs), func(d described) bool { return g.inits[d.name] != nil })
}

func (c *checker) sameInterface(b, a *graph, what string, listB, listA []described) {
	same := len(listB) == len(listA)
	for i := 0; same && i < len(listB); i++ {
		same = listB[i].name == listA[i].name && c.sameSpans(b.m, []span{listB[i].at}, a.m, []span{listA[i].at})
	}
	if !same {
		c.differ(b.title, "its %s are not those of the original", what)
	}
}

// sameRest compares all fields of a message that are not compared elsewhere.
func (c *checker) sameRest(title string, mb *model, b map[protowire.Number][]span, ma *model, a map[protowire.Number][]span) {
	numbers := slices.Sorted(maps.Keys(a))
	for num := range b {
		if _, ok := a[num]; !ok {
			numbers = append(numbers, num)
		}
	}
	for _, num := range numbers {
		if !c.sameSpans(mb, b[num], ma, a[num]) {
			c.differ(title, "its field %d is not that of the original", num)
		}
	}
}

// leftNodes claims that nodes nobody has asked for, since no output needs them, are as they were. It
// reports whether it claimed anything. It leaves out what another of them reads: that is proven with its reader,
// and may have taken a norm.
func (c *checker) leftNodes() bool {
	any := false
	for _, b := range c.graphs {
		left := c.lastOfLeft(b)
		for _, nb := range slices.Backward(left) {
			c.explained[nb] = true
			if name := firstName(nb.out); c.partner[b].producer[name] == nil {
				c.differ(nb.String(), "the original has no such node")
			} else {
				any = true
				c.claim(b.find(name), c.partner[b].find(name))
			}
		}
	}
	return any
}

// lastOfLeft lists the nodes of a graph that nobody has asked for and that no other of them reads; the last of
// them all where they read each other in a circle.
func (c *checker) lastOfLeft(b *graph) (last []*node) {
	left := slices.DeleteFunc(slices.Clone(b.nodes), func(n *node) bool { return c.explained[n] })
	read := map[string]bool{}
	for _, n := range left {
		for _, in := range n.in {
			read[in] = true
		}
	}
	for _, n := range left {
		if !slices.ContainsFunc(n.out, func(name string) bool { return name != "" && read[name] }) {
			last = append(last, n)
		}
	}
	if len(last) == 0 && len(left) > 0 {
		last = left[len(left)-1:]
	}
	return last
}

// firstName is the first that is one: an output that is not wanted has none.
func firstName(names []string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return ""
}

// names wants no two nodes of one name in a graph, which runtimes refuse, unless the original has two, too.
func (c *checker) names() {
	twice := func(g *graph) map[string]bool {
		seen, names := map[string]bool{}, map[string]bool{}
		for _, n := range g.nodes {
			names[n.name] = names[n.name] || n.name != "" && seen[n.name]
			seen[n.name] = true
		}
		return names
	}
	for _, b := range c.graphs {
		was, is := twice(c.partner[b]), twice(b)
		for _, name := range slices.Sorted(maps.Keys(is)) {
			if is[name] && !was[name] {
				c.differ(name, "two nodes have this name")
			}
		}
	}
}

// order wants every node behind those whose outputs it reads, unless the original has its nodes in no such order.
func (c *checker) order() {
	early := func(g *graph) (names []string) {
		for _, n := range g.nodes {
			for _, name := range n.in {
				if p := g.find(name).producer(); p != nil && p.place >= n.place {
					names = append(names, name)
				}
			}
		}
		return names
	}
	for _, b := range c.graphs {
		if len(early(c.partner[b])) > 0 {
			continue
		}
		for _, name := range early(b) {
			c.differ(name, "it is read before it is computed")
		}
	}
}

// lost reports what the original has and the fused model has not, and tensors and descriptions that
// nothing was said about yet.
func (c *checker) lost() {
	for _, b := range c.graphs {
		a := c.partner[b]
		c.lostNodes(a)
		c.lostTensors(b, a)
		c.described(b, a)
	}
}

func (c *checker) lostNodes(a *graph) {
	for _, na := range a.nodes {
		if !c.explained[na] {
			c.differ(na.String(), "it is gone, and it was no norm")
		}
	}
}

// lostTensors compares the tensors that no node reads, or only nodes that are gone.
func (c *checker) lostTensors(b, a *graph) {
	described := c.onlyDescribed(b, a)
	for _, name := range a.order {
		if b.inits[name] == nil && !c.accounted[value{a, name}] && !described[name] {
			c.differ(name, "the tensor is gone, and no norm needed it")
		}
	}
	for _, name := range b.order {
		if c.accounted[value{b, name}] {
			continue
		}
		if a.inits[name] == nil {
			c.differ(name, "nothing uses the tensor, and the original has none of the name")
			continue
		}
		if !c.same(b.inits[name], a.inits[name]) {
			c.differ(name, "the tensor changed, and no norm explains it")
		}
	}
}

// onlyDescribed are the scales and zero points of annotations that are gone.
func (c *checker) onlyDescribed(b, a *graph) map[string]bool {
	only := map[string]bool{}
	for tensor, at := range a.quant {
		if _, stays := b.quant[tensor]; stays {
			continue
		}
		err := a.m.fields(at, func(fd field) error {
			if fd.num != 2 || fd.typ != protowire.BytesType {
				return nil
			}
			return a.m.fields(fd.body, func(fd field) error { // StringStringEntryProto: a key and a value
				if fd.num != 2 {
					return nil
				}
				name, err := a.m.text(fd)
				only[name] = true
				return err
			})
		})
		if err != nil {
			c.failed(err)
		}
	}
	return only
}

// described compares what the graphs say of tensors' types and of their quantization. A tensor that is
// gone needs no description, and one that changed no annotation.
func (c *checker) described(b, a *graph) {
	c.describedAs(b, a, "description", b.infos, a.infos)
	c.describedAs(b, a, "quantization", b.quant, a.quant)
}

func (c *checker) describedAs(b, a *graph, what string, is, was map[string]span) {
	for _, name := range slices.Sorted(maps.Keys(is)) {
		old, ok := was[name]
		if !ok || !c.sameSpans(b.m, []span{is[name]}, a.m, []span{old}) {
			c.differ(name, "its %s is not the original's", what)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, ok := is[name]; !ok && what == "description" && b.defines(name) {
			c.differ(name, "its %s is gone", what)
		}
	}
}
