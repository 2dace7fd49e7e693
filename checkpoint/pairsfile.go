package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/goccy/go-yaml" // strict decoding, errors that show the line; YAML is not in the standard library

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/regular"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// pairLine is a pair as a pairs file has it: see docs/pairs.md.
type pairLine struct {
	Layer     string   `yaml:"layer" json:"layer"`
	Norm      string   `yaml:"norm" json:"norm"`
	Kind      string   `yaml:"kind" json:"kind"`
	Groups    *int     `yaml:"groups" json:"groups"`
	Eps       *float64 `yaml:"eps" json:"eps"`
	Direction string   `yaml:"direction" json:"direction"`
	Padded    bool     `yaml:"padded" json:"padded"`
	Flattened bool     `yaml:"flattened" json:"flattened"`
}

type pairsText struct {
	Pairs []pairLine `yaml:"pairs" json:"pairs"`
}

// Bounds of a pairs file: a line a norm is some 100 bytes, and the YAML decoder recurses into brackets.
const (
	maxPairsBytes   = 16 << 20
	maxPairsNesting = 1000
)

// ReadPairsFile reads a pairs file, JSON or YAML. eps is that of pairs which have none; 0 for unknown.
func ReadPairsFile(path string, eps float64) ([]Pair, error) {
	pairs, err := readPairsFile(path, eps)
	if err != nil {
		return nil, fmt.Errorf("pairs file %s: %w", path, err)
	}
	return pairs, nil
}

func readPairsFile(path string, eps float64) ([]Pair, error) {
	f, size, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxPairsBytes {
		return nil, fmt.Errorf("%d bytes, at most %d are read", size, maxPairsBytes)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	if err != nil {
		return nil, err
	}
	return parsePairs(text, eps)
}

func parsePairs(text []byte, eps float64) ([]Pair, error) {
	var file pairsText
	if err := decodePairs(text, &file); err != nil {
		return nil, err
	}
	if len(file.Pairs) == 0 {
		return nil, errors.New("it has no pairs")
	}
	var pairs []Pair
	flattened := map[side]string{} // a norm there
	for i, line := range file.Pairs {
		p, err := line.pair(eps)
		at := side{p.Layer, p.Direction}
		if p.Flattened {
			flattened[at] = p.Norm
		} else if other, ok := flattened[at]; ok && err == nil {
			err = fmt.Errorf("%q, listed before it, is flattened and it is not", other)
		}
		if err != nil {
			return nil, fmt.Errorf("pair %d (layer %q, norm %q): %w", i+1, line.Layer, line.Norm, err)
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// decodePairs reads JSON where the text begins as JSON does, else YAML. A field that is not known is an
// error in both.
func decodePairs(text []byte, into *pairsText) (err error) {
	switch text = bytes.TrimSpace(text); {
	case len(text) == 0:
		return errors.New("it is empty")
	case !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0:
		return errors.New("it is no text; an ONNX model is given by --graph")
	}
	if text[0] == '{' {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(into); err != nil {
			return err
		}
		if d.InputOffset() != int64(len(text)) {
			return errors.New("something follows the pairs")
		}
		return nil
	}
	if nesting(text) > maxPairsNesting {
		return errors.New("too many brackets are left open for a pairs file")
	}
	defer func() { // the decoder panics on some malformed tags
		if p := recover(); p != nil {
			err = fmt.Errorf("not YAML that can be read: %v", p)
		}
	}()
	return yaml.UnmarshalWithOptions(text, into, yaml.Strict())
}

// nesting is the largest number of brackets that are open at once, those in text counted too.
func nesting(text []byte) int {
	open, most := 0, 0
	for _, c := range text {
		switch c {
		case '[', '{':
			open++
			most = max(most, open)
		case ']', '}':
			open--
		}
	}
	return most
}

var kinds = map[string]fuse.Layout{"Conv": fuse.Conv, "ConvTranspose": fuse.ConvTranspose, "Linear": fuse.Linear, "MatMul": fuse.MatMul}

func (l pairLine) pair(eps float64) (Pair, error) {
	p := Pair{Layer: l.Layer, Norm: l.Norm, Groups: 1, Eps: eps, Padded: l.Padded, Flattened: l.Flattened}
	var ok bool
	switch p.Kind, ok = kinds[l.Kind]; {
	case l.Norm == "":
		return p, errors.New("the norm is missing")
	case l.Norm == l.Layer:
		return p, errors.New("layer and norm are the same")
	case !ok:
		return p, fmt.Errorf("kind %q: Conv, ConvTranspose, Linear or MatMul is wanted", l.Kind)
	case l.Groups != nil && *l.Groups < 1:
		return p, fmt.Errorf("groups %d: 1 or more is wanted", *l.Groups)
	case l.Groups != nil:
		p.Groups = *l.Groups
	}
	switch l.Direction {
	case "", "after":
	case "before":
		p.Direction = fuse.Before
	default:
		return p, fmt.Errorf("direction %q: after or before is wanted", l.Direction)
	}
	if p.Padded && p.Direction != fuse.Before {
		return p, errors.New("padded is about a norm before its layer")
	}
	if p.Flattened && p.Kind != fuse.Linear && p.Kind != fuse.MatMul {
		return p, errors.New("flattened is about a Linear or MatMul")
	}
	if l.Eps != nil {
		p.Eps = *l.Eps
	} else if !(eps > 0) {
		return p, ErrNoEps
	}
	if !(p.Eps >= 0) || math.IsInf(p.Eps, 0) {
		return p, fmt.Errorf("eps %v: a finite number of 0 or more is wanted", p.Eps)
	}
	return p, nil
}

// WritePairs writes a pairs file, as YAML.
func WritePairs(w io.Writer, pairs []Pair) error {
	var b bytes.Buffer
	b.WriteString("pairs:\n")
	for _, p := range pairs {
		fmt.Fprintf(&b, "  - {layer: %s, norm: %s, kind: %v", safetensors.AppendText(nil, p.Layer), safetensors.AppendText(nil, p.Norm), p.Kind)
		if p.Groups != 1 {
			fmt.Fprintf(&b, ", groups: %d", p.Groups)
		}
		fmt.Fprintf(&b, ", eps: %s", strconv.FormatFloat(p.Eps, 'g', -1, 64))
		if p.Direction == fuse.Before {
			b.WriteString(", direction: before")
		}
		if p.Padded {
			b.WriteString(", padded: true")
		}
		if p.Flattened {
			b.WriteString(", flattened: true")
		}
		b.WriteString("}\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}
