package verify

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/bnfuse/bnfuse/verify/internal/state"
)

var errNoEps = errors.New("the pairs have no epsilon: pass --eps")

// pairsByName lists the pairs that the conventions of docs/pairs.md give:
//
//	conv1 | bn1     in one module
//	3 | 4           in a Sequential
//
// and those of timm's blocks, where the shapes allow one reading only.
func pairsByName(was *state.Dict, eps float64) ([]normPair, error) {
	if !(eps > 0) {
		return nil, errNoEps
	}
	n := namesOf(was)
	var pairs []normPair
	for i, norm := range n.norms {
		layer, inSequence := n.layerOf(norm)
		weight, mean := n.weight(layer), was.Tensors[tensorOf(norm, "running_mean")]
		if weight == nil || !inSequence && (!n.sorted && n.place[weight.Name] > n.place[mean.Name] || n.contradicted(norm, weight, mean.Shape)) {
			continue
		}
		kind := kindByShape(weight.Shape, mean.Shape, inSequence)
		if kind == "" || kind == "Conv" && n.grouped(weight.Shape) && !n.readsAsMany(i, layer, weight.Shape[1], inSequence) {
			continue
		}
		pairs = append(pairs, normPair{layer: layer, norm: norm, kind: kind, groups: 1, eps: eps})
	}
	return pairs, nil
}

// moduleNames are the modules of a checkpoint, as far as names and shapes tell.
type moduleNames struct {
	was      *state.Dict
	sorted   bool                // the tensors are in the order of their names, not of their definition
	place    map[string]int      // of a tensor in that order
	siblings map[string][]string // see modulesBeside
	norms    []string            // in order, numbers in their names by their size
	normed   map[string]bool     // layers that a norm has by its name
	misfits  map[string]bool     // modules with a norm that its layer does not fit
}

func namesOf(was *state.Dict) *moduleNames {
	n := &moduleNames{was: was, sorted: sortedByWriter(was), place: map[string]int{}, siblings: modulesBeside(was), normed: map[string]bool{}, misfits: map[string]bool{}}
	for i, name := range was.Order {
		n.place[name] = i
		if norm, ok := moduleOf(name, "running_mean"); ok && was.Tensors[tensorOf(norm, "running_var")] != nil {
			n.norms = append(n.norms, norm)
		}
	}
	if n.sorted {
		slices.SortStableFunc(n.norms, byComponents)
	}
	for _, norm := range n.norms {
		layer, inSequence := n.layerOf(norm)
		n.normed[layer] = true
		parent, last := splitLast(norm)
		if inSequence || !strings.HasPrefix(last, "bn") {
			continue
		}
		mean := was.Tensors[tensorOf(norm, "running_mean")]
		if w := n.weight(layer); w == nil || len(mean.Shape) != 1 || w.Shape[0] != mean.Shape[0] {
			n.misfits[parent] = true
		}
	}
	return n
}

// byComponents orders 2.bn before 10.bn.
func byComponents(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		if errX != nil || errY != nil || x == y {
			return strings.Compare(a, b)
		}
		return cmp.Compare(x, y)
	})
}

func (n *moduleNames) layerOf(norm string) (layer string, inSequence bool) {
	parent, _ := splitLast(norm)
	return layerByName(norm, n.siblings[parent])
}

// weight is a layer's, nil for what is none.
func (n *moduleNames) weight(layer string) *state.Tensor {
	if w := n.was.Tensors[tensorOf(layer, "weight")]; layer != "" && w != nil && len(w.Shape) > 1 {
		return w
	}
	return nil
}

// contradicted reports whether something else in the module of a norm speaks against its layer: another norm that does
// not fit its own, or another layer of as many channels, before the norm and without one.
func (n *moduleNames) contradicted(norm string, weight *state.Tensor, mean []int) bool {
	parent, _ := splitLast(norm)
	if n.misfits[parent] {
		return true
	}
	for _, child := range n.siblings[parent] {
		other := n.weight(tensorOf(parent, child))
		if other == nil || n.normed[tensorOf(parent, child)] || len(mean) != 1 || !slices.Contains(other.Shape[:2], mean[0]) {
			continue
		}
		at := n.place[other.Name]
		if n.sorted || n.place[weight.Name] < at && at < n.place[tensorOf(norm, "running_mean")] {
			return true
		}
	}
	return false
}

// grouped reports whether a Conv's weight might be that of a ConvTranspose in groups.
func (n *moduleNames) grouped(shape []int) bool {
	return shape[1] > 1 && shape[1] < shape[0] && shape[0]%shape[1] == 0
}

// readsAsMany reports whether the input of norm i's layer seems to have so many channels: the norm before has, or the
// layer that begins the module around a Sequential reads as many.
func (n *moduleNames) readsAsMany(i int, layer string, channels int, inSequence bool) bool {
	if i > 0 && slices.Equal(n.was.Tensors[tensorOf(n.norms[i-1], "running_mean")].Shape, []int{channels}) {
		return true
	}
	sequential, _ := splitLast(layer)
	around, _ := splitLast(sequential)
	for _, child := range n.siblings[around] {
		if first := n.weight(tensorOf(around, child)); inSequence && first != nil {
			return first.Shape[1] == channels
		}
	}
	return false
}

// modulesBeside lists the layers and norms by the module that they are in. A module of very many is no block.
func modulesBeside(was *state.Dict) map[string][]string {
	const most = 64
	all := map[string][]string{}
	for _, name := range was.Order {
		module, _ := splitLast(name)
		parent, child := splitLast(module)
		if len(all[parent]) < most && !slices.Contains(all[parent], child) {
			all[parent] = append(all[parent], child)
		}
	}
	return all
}

// splitLast splits a name at its last dot.
func splitLast(name string) (parent, last string) {
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		return name[:dot], name[dot+1:]
	}
	return "", name
}

// sortedByWriter reports whether the tensors of each type are in the order of their names.
func sortedByWriter(was *state.Dict) bool {
	last := map[string]string{}
	for _, name := range was.Order {
		dtype := was.Tensors[name].DType
		if name < last[dtype] {
			return false
		}
		last[dtype] = name
	}
	return true
}

// timmBlocks are modules of timm whose norms are numbered and whose layers are not. A norm follows the layer
// before it.
var timmBlocks = []string{"conv_pw bn1 conv_dw bn2 conv_pwl bn3", "conv_dw bn1 conv_pw bn2", "conv_exp bn1 conv_pwl bn2",
	"conv bn1", "conv_stem bn1 conv_head bn2", "conv_stem bn1 conv_head"}

// layerByName is the module that a norm of the given name follows among its siblings, "" for none.
func layerByName(norm string, siblings []string) (layer string, inSequence bool) {
	parent, last := splitLast(norm)
	if n, err := strconv.ParseUint(last, 10, 31); err == nil && n > 0 && strconv.FormatUint(n, 10) == last {
		return tensorOf(parent, strconv.FormatUint(n-1, 10)), true
	}
	suffix, ok := strings.CutPrefix(last, "bn")
	if !ok {
		return "", false
	}
	for _, block := range timmBlocks {
		names := strings.Fields(block)
		if at := slices.Index(names, last); at > 0 && isBlock(siblings, names) {
			return tensorOf(parent, names[at-1]), false
		}
	}
	return tensorOf(parent, "conv"+suffix), false
}

// isBlock reports whether a module has the layers and norms of a block, and no others but such as are called
// alike.
func isBlock(siblings, block []string) bool {
	own := 0
	for _, name := range siblings {
		partner := "bn" + strings.TrimPrefix(name, "conv")
		if suffix, isNorm := strings.CutPrefix(name, "bn"); isNorm {
			partner = "conv" + suffix
		} else if !strings.HasPrefix(name, "conv") {
			continue
		}
		if slices.Contains(siblings, partner) {
			continue
		}
		if own++; !slices.Contains(block, name) {
			return false
		}
	}
	return own == len(block)
}

// kindByShape tells the layer's kind where the norm's channels are those of one axis; "" where they do not tell.
func kindByShape(weight, mean []int, inSequence bool) string {
	if len(weight) < 2 || len(mean) != 1 {
		return ""
	}
	first, second := weight[0] == mean[0], weight[1] == mean[0]
	switch {
	case len(weight) == 2 && first && inSequence:
		return "Linear"
	case len(weight) == 2, first && second && mean[0] > 1:
		return ""
	case first:
		return "Conv"
	case second && inSequence:
		return "ConvTranspose"
	}
	return ""
}
