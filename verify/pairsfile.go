package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/goccy/go-yaml" // not in the standard library
)

// pairFields are a pair as docs/pairs.md describes it.
type pairFields struct {
	Layer     string   `json:"layer" yaml:"layer"`
	Norm      string   `json:"norm" yaml:"norm"`
	Kind      string   `json:"kind" yaml:"kind"`
	Direction string   `json:"direction" yaml:"direction"`
	Groups    int      `json:"groups" yaml:"groups"`
	Padded    bool     `json:"padded" yaml:"padded"`
	Flattened bool     `json:"flattened" yaml:"flattened"`
	Eps       *float64 `json:"eps" yaml:"eps"`
}

type pairList struct {
	Pairs []pairFields `json:"pairs" yaml:"pairs"`
}

// readPairs reads a pairs file. eps is that of pairs without one.
func readPairs(path string, eps float64) ([]normPair, error) {
	list, err := decodePairs(path)
	if err == nil && len(list.Pairs) == 0 {
		err = errors.New("there are no pairs in it")
	}
	if err != nil {
		return nil, fmt.Errorf("pairs file %s: %w", path, err)
	}
	type side struct {
		layer  string
		before bool
	}
	flat := map[side]bool{} // a norm there is flattened
	var pairs []normPair
	for i, f := range list.Pairs {
		p, err := f.pair(eps)
		at := side{p.layer, p.before}
		if flat[at] = flat[at] || p.flattened; err == nil && flat[at] && !p.flattened {
			err = fmt.Errorf("norm %q is not flattened, and one of its layer listed before it is", p.norm)
		}
		if err != nil {
			return nil, fmt.Errorf("pairs file %s: pair %d: %w", path, i+1, err)
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// decodePairs reads JSON, which begins with a brace, or YAML.
func decodePairs(path string) (list pairList, err error) {
	const most, deepest = 16 << 20, 1000
	f, err := os.Open(path)
	if err != nil {
		return list, bare(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return list, bare(err)
	}
	if len(text) > most {
		return list, fmt.Errorf("it has more than %d bytes", most)
	}
	if text = bytes.TrimSpace(text); bytes.HasPrefix(text, []byte("{")) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err = d.Decode(&list); err == nil && d.More() {
			err = errors.New("more than one value")
		}
		return list, err
	}
	if bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > deepest+bytes.Count(text, []byte("]"))+bytes.Count(text, []byte("}")) {
		return list, errors.New("its brackets do not close") // the decoder descends into each
	}
	defer func() {
		if p := recover(); p != nil { // as the decoder does on some malformed tags
			err = fmt.Errorf("it is no YAML: %v", p)
		}
	}()
	return list, yaml.UnmarshalWithOptions(text, &list, yaml.Strict())
}

func (f pairFields) pair(eps float64) (normPair, error) {
	p := normPair{layer: f.Layer, norm: f.Norm, kind: f.Kind, groups: max(f.Groups, 1), before: f.Direction == "before", padded: f.Padded, flattened: f.Flattened, eps: eps}
	if f.Eps != nil {
		p.eps = *f.Eps
	} else if !(eps > 0) {
		return p, errNoEps
	}
	switch {
	case f.Norm == "" || f.Norm == f.Layer || f.Groups < 0 || !(p.eps >= 0) || math.IsInf(p.eps, 0):
		return p, fmt.Errorf("layer %q, norm %q, groups %d, eps %v", f.Layer, f.Norm, f.Groups, p.eps)
	case !slices.Contains([]string{"Conv", "ConvTranspose", "Linear", "MatMul"}, f.Kind):
		return p, fmt.Errorf("kind %q: Conv, ConvTranspose, Linear or MatMul is wanted", f.Kind)
	case p.flattened && f.Kind != "Linear" && f.Kind != "MatMul":
		return p, errors.New("flattened is about a Linear or MatMul")
	case !p.before && f.Direction != "" && f.Direction != "after":
		return p, fmt.Errorf("direction %q: after or before is wanted", f.Direction)
	}
	return p, nil
}
