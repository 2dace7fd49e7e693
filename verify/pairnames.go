package verify

import (
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
	siblings, place := modulesBeside(was), map[string]int{}
	for i, name := range was.Order {
		place[name] = i
	}
	sorted := sortedByWriter(was) // so it is not the order of definition
	var pairs []normPair
	for _, name := range was.Order {
		norm, ok := moduleOf(name, "running_mean")
		if !ok || was.Tensors[tensorOf(norm, "running_var")] == nil {
			continue
		}
		parent, _ := splitLast(norm)
		layer, inSequence := layerByName(norm, siblings[parent])
		weight := was.Tensors[tensorOf(layer, "weight")]
		if layer == "" || weight == nil || !inSequence && !sorted && place[weight.Name] > place[name] {
			continue
		}
		if kind := kindByShape(weight.Shape, was.Tensors[name].Shape, inSequence); kind != "" {
			pairs = append(pairs, normPair{layer: layer, norm: norm, kind: kind, groups: 1, eps: eps})
		}
	}
	return pairs, nil
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
