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
// where the shapes allow one reading only.
func pairsByName(was *state.Dict, eps float64) ([]normPair, error) {
	if !(eps > 0) {
		return nil, errNoEps
	}
	place := map[string]int{}
	for i, name := range was.Order {
		place[name] = i
	}
	sorted := slices.IsSorted(was.Order) // by the writer, so it is not the order of definition
	var pairs []normPair
	for _, name := range was.Order {
		norm, ok := moduleOf(name, "running_mean")
		if !ok || was.Tensors[tensorOf(norm, "running_var")] == nil {
			continue
		}
		layer, inSequence := layerByName(norm)
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

// layerByName is the module that a norm of the given name follows, "" for none.
func layerByName(norm string) (layer string, inSequence bool) {
	dot := strings.LastIndexByte(norm, '.') + 1
	parent, last := norm[:dot], norm[dot:]
	if suffix, ok := strings.CutPrefix(last, "bn"); ok {
		return parent + "conv" + suffix, false
	}
	n, err := strconv.ParseUint(last, 10, 31)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != last {
		return "", false
	}
	return parent + strconv.FormatUint(n-1, 10), true
}

// kindByShape tells the layer's kind where the norm's channels are those of one axis; "" where they do not tell.
func kindByShape(weight, mean []int, inSequence bool) string {
	if len(weight) < 2 || len(mean) != 1 {
		return ""
	}
	first, second := weight[0] == mean[0], weight[1] == mean[0]
	switch {
	case len(weight) == 2 && first:
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
