package checkpoint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/fuse"
)

// Pair says which norm follows, or feeds, which layer, by the names of their modules: the layer's tensors
// are Layer.weight and Layer.bias, the norm's Norm.weight, Norm.bias, Norm.running_mean, Norm.running_var.
type Pair struct {
	Layer, Norm string
	Kind        fuse.Layout
	Groups      int
	Eps         float64
	Direction   fuse.Direction
	Padded      bool // a norm before a padded layer: exact only where it shifts nothing
	Flattened   bool // a Linear's outputs are reshaped before the norm, or the norm's before the Linear: each channel of the norm is a run of them
}

// source is what a checkpoint's pairs come from.
type source struct {
	pairs  []Pair
	skips  map[string]fuse.Skip // of norms known to stay, by module
	others [][]string           // names of what something outside the pairs reads; the first in the checkpoint is meant
	read   map[string]bool      // of the graph, by name: whether it reads the layers' biases and the norms' weights and biases
	kinds  map[string]string    // what the graph calls a layer, by module; nil for pairs of no graph
	shapes map[string][]int     // of tensors in the graph, by name: the layers' weights and the norms' means
	other  *fuse.Refusal        // the graph is of another network than the checkpoint
	none   string               // why there are no pairs at all, and what to do
}

// howToPair is what to do where the pairs are unknown.
const howToPair = "pass --graph MODEL.onnx, --pairs FILE, or --pairs names with --eps"

// newSource finds the pairs that the options name, those of a graph through a function that reads it.
func newSource(c *container, o Options, graph func() (*source, error)) (*source, error) {
	switch {
	case o.Graph != "" && o.Pairs != "":
		return nil, fmt.Errorf("the pairs come from a graph or from %s, not from both", o.Pairs)
	case o.Graph != "":
		s, err := graph()
		if err != nil {
			return nil, err
		}
		s.fit(c)
		s.compare(c)
		return s, nil
	case o.Pairs == NamesPairs:
		if !(o.Eps > 0) {
			return nil, ErrNoEps
		}
		return fromNames(c, o.Eps), nil
	case o.Pairs != "":
		pairs, err := ReadPairsFile(o.Pairs, o.Eps)
		if err != nil {
			return nil, err
		}
		s := &source{pairs: pairs}
		s.fit(c)
		return s, nil
	}
	return &source{none: "a checkpoint has no graph: " + howToPair}, nil
}

// finder tells which norms the checkpoint has, or had before they were folded.
func (c *container) finder() func(name string) bool {
	before := c.foldedNorms()
	return func(name string) bool {
		return before[name] || c.byName[dotted(name, "running_mean")] != nil && c.byName[dotted(name, "running_var")] != nil
	}
}

// suits reports whether the pairs can be of the network that the checkpoint is of: whether they, or what stays,
// name any of its norms. Without pairs nothing speaks against it.
func (s *source) suits(c *container) bool {
	found := c.finder()
	return len(s.pairs) == 0 || len(normModules(c)) == 0 && len(c.foldedNorms()) == 0 ||
		slices.ContainsFunc(s.pairs, func(p Pair) bool { return found(p.Norm) }) ||
		slices.ContainsFunc(slices.Collect(maps.Keys(s.skips)), found)
}

// fit gives the modules of the pairs the prefix that they have in the checkpoint: a graph exported from a
// wrapper begins every name with "model.", a checkpoint of a parallel run with "module.".
func (s *source) fit(c *container) {
	if len(s.pairs) == 0 {
		return
	}
	found := c.finder()
	if slices.ContainsFunc(s.pairs, func(p Pair) bool { return found(p.Norm) }) {
		return
	}
	common := commonPrefix(s.pairs)
	for cut := 0; cut <= len(common); cut++ {
		old := strings.Join(append(common[:cut:cut], ""), ".")
		layer := strings.TrimPrefix(s.pairs[0].Layer, old)
		for _, t := range c.tensors() {
			prefix, ok := strings.CutSuffix(t.name, dotted(layer, "weight"))
			if !ok || prefix != "" && !strings.HasSuffix(prefix, ".") {
				continue
			}
			all := !slices.ContainsFunc(s.pairs, func(p Pair) bool {
				return !found(prefix+strings.TrimPrefix(p.Norm, old)) || c.byName[prefix+strings.TrimPrefix(p.Layer, old)+".weight"] == nil
			})
			if all {
				s.rename(func(name string) string { return prefix + strings.TrimPrefix(name, old) })
				return
			}
		}
	}
}

// compare looks for what tells that the graph is of another network: a layer or a norm of another shape. Then where
// its norms stand says nothing about those of the checkpoint, though names and other shapes may agree.
func (s *source) compare(c *container) {
	for _, t := range c.tensors() {
		if shape, ok := s.shapes[t.name]; ok && !slices.Equal(shape, t.shape) {
			s.other = fuse.Refuse(ReasonOther, "%q is %v in it and %v in the checkpoint", t.name, shape, t.shape)
			return
		}
	}
}

// commonPrefix are the leading components that all modules of the pairs have in common.
func commonPrefix(pairs []Pair) []string {
	common := strings.Split(pairs[0].Layer, ".")
	common = common[:len(common)-1]
	for _, p := range pairs {
		for _, name := range [...]string{p.Layer, p.Norm} {
			parts := strings.Split(name, ".")
			n := 0
			for n < len(common) && n < len(parts)-1 && common[n] == parts[n] {
				n++
			}
			common = common[:n]
		}
	}
	return common
}

// rename gives every name another one.
func (s *source) rename(to func(string) string) {
	for i := range s.pairs {
		s.pairs[i].Layer, s.pairs[i].Norm = to(s.pairs[i].Layer), to(s.pairs[i].Norm)
	}
	s.skips, s.kinds, s.read, s.shapes = renamed(s.skips, to), renamed(s.kinds, to), renamed(s.read, to), renamed(s.shapes, to)
	for _, names := range s.others {
		for i := range names {
			names[i] = to(names[i])
		}
	}
}

func renamed[V any](by map[string]V, to func(string) string) map[string]V {
	if by == nil {
		return nil
	}
	out := make(map[string]V, len(by))
	for name, v := range by {
		out[to(name)] = v
	}
	return out
}

// shared are the checkpoint's tensors that something outside the pairs reads.
func (s *source) shared(c *container) map[string]bool {
	shared := map[string]bool{}
	for _, names := range s.others {
		if i := slices.IndexFunc(names, func(name string) bool { return c.byName[name] != nil }); i >= 0 {
			shared[names[i]] = true
		}
	}
	return shared
}

// dotted is the name of a module's tensor.
func dotted(module, tensor string) string {
	if module == "" {
		return tensor
	}
	return module + "." + tensor
}
