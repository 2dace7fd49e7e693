package checkpoint

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/regular"
	"github.com/bnfuse/bnfuse/onnx"
)

// GraphPairs lists the pairs of an ONNX model in the names of its modules, and how many norms have none.
func GraphPairs(ctx context.Context, path string, engine fuse.Engine) (pairs []Pair, left int, err error) {
	s, err := fromGraph(ctx, path, engine)
	if err != nil {
		return nil, 0, err
	}
	s.skipShared()
	return s.pairs, len(s.skips), nil
}

// skipShared keeps the norms of which something outside the pairs reads a tensor, or one of their layer's. With
// a checkpoint at hand the planner does so; here the first name that is a module's is taken for the tensor's.
func (s *source) skipShared() {
	shared := map[string]bool{}
	for _, names := range s.others {
		if i := slices.IndexFunc(names, func(name string) bool { return !strings.ContainsAny(name, ":/") }); i >= 0 {
			shared[names[i]] = true
		}
	}
	for _, p := range s.pairs {
		for _, name := range [...]string{
			dotted(p.Layer, "weight"), dotted(p.Layer, "bias"), dotted(p.Norm, "weight"), dotted(p.Norm, "bias"),
			dotted(p.Norm, "running_mean"), dotted(p.Norm, "running_var"),
		} {
			if shared[name] {
				s.skips[p.Norm] = fuse.Skip{Reason: fuse.ReasonLayerShared, Detail: name}
			}
		}
	}
	s.spread()
}

// notGraph is the error for a graph that is a checkpoint itself, nil for any other file.
func notGraph(path string) error {
	f, _, err := regular.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	head := make([]byte, sniffBytes)
	n, _ := io.ReadFull(f, head)
	if format := Format(path, head[:n]); format != "" {
		return fmt.Errorf("the graph must be an ONNX model, and %s is a checkpoint itself (%s)", path, format)
	}
	return nil
}

// fromGraph takes the pairs of an ONNX model. Its initializers have the names of the checkpoint's tensors.
func fromGraph(ctx context.Context, path string, engine fuse.Engine) (*source, error) {
	found, err := onnx.FindPairs(ctx, path, engine)
	if err != nil {
		return nil, cmp.Or(notGraph(path), err)
	}
	s := &source{skips: map[string]fuse.Skip{}, others: found.Others, read: map[string]bool{}, kinds: map[string]string{}, shapes: map[string][]int{}}
	for _, skip := range found.Skips {
		s.skip(skip.Skip, skip.Mean)
		s.sized(skip.Mean, skip.MeanShape)
		s.sized(skip.Weight, skip.WeightShape)
	}
	alike, named := runs{}, map[int]bool{}
	for _, p := range found.Pairs {
		if pair, r := modules(p); r == nil {
			alike.add(p.Node, pair)
			named[p.Node] = true
		}
	}
	type nodeSide struct {
		node int
		fuse.Direction
	}
	listed := map[Pair]bool{}         // a module may run more than once
	nameless := map[nodeSide]string{} // where a norm stays that has no module's name
	for _, p := range found.Pairs {
		at := nodeSide{p.Node, p.Direction}
		pair, r := modules(p)
		if r != nil {
			nameless[at] = p.Norm.Name
			s.others = append(s.others, readAsOthers(p, named[p.Node])...)
		} else {
			if !listed[pair] { // also one that stays: it stands between others and the layer
				s.pairs = append(s.pairs, pair)
			}
			listed[pair] = true
			s.note(pair, p)
			s.kinds[pair.Layer] = p.Layer.Kind
			s.shapes[dotted(pair.Layer, "weight")] = p.Shape
			s.shapes[dotted(pair.Norm, "running_mean")] = []int{p.Norm.Channels}
			if name := nameless[at]; name != "" {
				r = fuse.Refuse(ReasonBlocked, "%s stays between it and %s", name, pair.Layer)
			} else if !alike.same(pair.Layer) {
				r = fuse.Refuse(fuse.ReasonLayerShared, "%s runs more than once, with other norms", pair.Layer)
			}
		}
		if r != nil {
			s.skip(fuse.Skip{Norm: p.Norm, Layer: p.Layer, Reason: r.Reason, Detail: r.Detail}, p.Mean)
		}
	}
	s.spread()
	switch {
	case found.Gone:
		s.none = path + " has no norms left: export it after model.eval() with training=TrainingMode.PRESERVE, do_constant_folding=False and, from PyTorch 2.9 on, dynamo=False, or the exporter folds them"
	case len(s.pairs)+len(s.skips) == 0:
		s.none = path + " has no batch norms with names of modules"
	}
	return s, nil
}

// spread lets the norms that others keep from their layer stay too, and drops the pairs of all that stay: a
// norm goes into all its layers or into none.
func (s *source) spread() {
	for again := true; again; {
		again = false
		stays := map[side]string{}
		for _, p := range s.pairs {
			at := side{p.Layer, p.Direction}
			if _, ok := s.skips[p.Norm]; ok {
				stays[at] = p.Norm
			} else if name, ok := stays[at]; ok {
				s.skips[p.Norm] = fuse.Skip{Norm: fuse.NormInfo{Eps: p.Eps}, Layer: fuse.LayerInfo{Name: p.Layer, Kind: s.kinds[p.Layer]},
					Reason: ReasonBlocked, Detail: name + " stays between it and " + p.Layer}
				again = true
			}
		}
	}
	s.pairs = slices.DeleteFunc(s.pairs, func(p Pair) bool { _, ok := s.skips[p.Norm]; return ok })
}

// runs are the pairs of each layer by the nodes that run it. A checkpoint has one weight for all of them.
type runs map[string]map[int][]Pair

func (r runs) add(node int, p Pair) {
	if r[p.Layer] == nil {
		r[p.Layer] = map[int][]Pair{}
	}
	r[p.Layer][node] = append(r[p.Layer][node], p)
}

// same reports whether all nodes of a layer have the same norms.
func (r runs) same(layer string) bool {
	var first []Pair
	for _, pairs := range r[layer] {
		if first == nil {
			first = pairs
		}
		if !slices.Equal(first, pairs) {
			return false
		}
	}
	return true
}

// note takes down which of the tensors that modules may be without the graph reads. An exporter stores equal tensors,
// as all ones and all zeros often are, once: under the name of any of them.
func (s *source) note(pair Pair, p onnx.Pair) {
	for name, reads := range map[string]bool{
		dotted(pair.Norm, "weight"): !p.PlainGamma || ofModule(p.Gamma),
		dotted(pair.Norm, "bias"):   !p.PlainBeta || ofModule(p.Beta),
		dotted(pair.Layer, "bias"):  p.Bias != nil,
	} {
		if before, noted := s.read[name]; !noted || before {
			s.read[name] = reads
		}
	}
}

// ofModule reports whether any of a tensor's names is one of a module.
func ofModule(names []string) bool {
	for _, tensor := range [...]string{"weight", "bias", "running_mean", "running_var"} {
		if _, ok := firstModule(names, tensor); ok {
			return true
		}
	}
	return false
}

// unread refuses a tensor that the checkpoint has and the graph does not read, or the other way round: the model
// then does something else with it.
func (s *source) unread(name string, t *tensor) *fuse.Refusal {
	switch reads, noted := s.read[name]; {
	case !noted || reads == (t != nil):
		return nil
	case reads:
		return fuse.Refuse(ReasonMissing, "%q, which the graph reads", name)
	}
	return fuse.Refuse(ReasonUnread, "%q", name)
}

// skip notes that a norm stays.
func (s *source) skip(skip fuse.Skip, mean []string) {
	for _, name := range mean {
		if module, ok := moduleOf(name, "running_mean"); ok {
			s.skips[module] = skip
			return
		}
	}
}

// sized takes down the shape of a tensor that goes by several names, one of which the checkpoint may have.
func (s *source) sized(names []string, shape []int) {
	for _, name := range names {
		if shape != nil {
			s.shapes[name] = shape
		}
	}
}

// modules names the layer and the norm of a graph's pair as PyTorch's modules do.
func modules(p onnx.Pair) (Pair, *fuse.Refusal) {
	refuse := func(what string, names []string) (Pair, *fuse.Refusal) {
		if slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, "::") }) {
			return Pair{}, fuse.Refuse(ReasonMissing, "the exporter computed the %s %q: export with do_constant_folding=False", what, names)
		}
		return Pair{}, fuse.Refuse(fuse.ReasonName, "the %s is stored as %q, not as a module's", what, names)
	}
	norm, ok := firstModule(p.Mean, "running_mean")
	if !ok {
		return refuse("mean", p.Mean)
	}
	layer, ok := firstModule(p.Weight, "weight")
	if !ok {
		return refuse("layer's weight", p.Weight)
	}
	for _, t := range []struct {
		what  string
		names []string
		name  string
		plain bool
	}{
		{"variance", p.Var, dotted(norm, "running_var"), false},
		{"norm's weight", p.Gamma, dotted(norm, "weight"), p.PlainGamma},
		{"norm's bias", p.Beta, dotted(norm, "bias"), p.PlainBeta},
		{"layer's bias", p.Bias, dotted(layer, "bias"), p.Bias == nil},
	} {
		if !t.plain && !slices.Contains(t.names, t.name) {
			return refuse(t.what, t.names)
		}
	}
	return Pair{Layer: layer, Norm: norm, Kind: p.Layout, Groups: p.Groups, Eps: p.Norm.Eps, Direction: p.Direction, Padded: p.NoShift && p.Layout != fuse.ConvTranspose, Flattened: p.Flattened}, nil
}

// readAsOthers are the tensors that a pair without modules' names goes on reading: the norm's, and the layer's,
// unless other pairs name the layer and these are its own.
func readAsOthers(p onnx.Pair, named bool) [][]string {
	read := p.Varying()
	layer, ok := firstModule(p.Weight, "weight")
	if !ok || !named {
		read = append(read, p.Weight)
	}
	if !ok || !named || !slices.Contains(p.Bias, dotted(layer, "bias")) {
		read = append(read, p.Bias)
	}
	return slices.DeleteFunc(read, func(names []string) bool { return names == nil })
}

func firstModule(names []string, tensor string) (string, bool) {
	for _, name := range names {
		if module, ok := moduleOf(name, tensor); ok {
			return module, true
		}
	}
	return "", false
}

// moduleOf is the module whose tensor has the given name.
func moduleOf(name, tensor string) (string, bool) {
	if name == tensor {
		return "", true
	}
	return strings.CutSuffix(name, "."+tensor)
}
