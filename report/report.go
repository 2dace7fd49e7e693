// Package report says what became of a model's norms: as JSON for machines ([Model.WriteJSON]), as a
// one-line summary with the kept norms and their reasons ([Model.Summary], [Model.WriteKept]), as a
// table ([Model.WriteTable]), and as a page for a browser ([Model.WriteHTML]). The reports on many models
// make a [Zoo], which is written as JSON or as a page too. [ReadFile] reads what was written as JSON, and
// [Merge] joins the reports of a zoo's shards.
//
// In: a [fuse.Plan] and a few facts about the run. Everything is in graph order, and the same plan gives
// the same bytes; only Seconds differs from run to run.
package report

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/bnfuse/bnfuse/fuse"
)

// Model is the report on one model.
type Model struct {
	Input    string   `json:"input"`
	Output   string   `json:"output"` // empty when nothing was to be written
	Engine   string   `json:"engine"`
	Format   string   `json:"format"`
	Status   string   `json:"status,omitempty"`  // of a model in a zoo: ModelFused, ModelCopied or ModelFailed
	Error    string   `json:"error,omitempty"`   // why it failed
	Resumed  bool     `json:"resumed,omitempty"` // an earlier run did it
	Seconds  float64  `json:"seconds"`
	BytesIn  int64    `json:"bytes_in"`
	BytesOut int64    `json:"bytes_out"`
	Folded   int      `json:"folded"` // norms, not pairs: one that went into two layers counts once
	Kept     int      `json:"kept"`
	Norms    []Norm   `json:"norms"`              // in graph order
	Warnings []string `json:"warnings,omitempty"` // folds that lose something
	Note     string   `json:"note,omitempty"`     // why there may be no norms
}

// Norm is one norm of a model: where it went, or why it stays.
type Norm struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Channels  int    `json:"channels"`
	Eps       Number `json:"eps"`
	Layer     string `json:"layer"` // several are joined by ", "
	LayerKind string `json:"layer_kind"`
	Direction string `json:"direction"` // "after" or "before" the layer; empty for a kept norm
	Status    string `json:"status"`    // Folded or Kept
	Reason    string `json:"reason"`    // why it stays: a fuse.Reason, ": " and the detail
	MinScale  Number `json:"min_scale"` // the extremes of γ/√(σ²+ε); NaN for a kept norm
	MaxScale  Number `json:"max_scale"`

	Scales *Histogram `json:"scales,omitempty"` // nil for a kept norm
}

// What may become of a norm.
const (
	Folded = "folded"
	Kept   = "kept"
)

// Number is a float64 whose JSON is null when it is not finite.
type Number float64

// MarshalJSON writes what is not finite as null.
func (x Number) MarshalJSON() ([]byte, error) {
	if f := float64(x); !math.IsNaN(f) && !math.IsInf(f, 0) {
		return json.Marshal(f)
	}
	return []byte("null"), nil
}

// UnmarshalJSON reads null as NaN.
func (x *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*x = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(x))
}

// New reports a plan. The caller fills in the facts about the run.
func New(p *fuse.Plan) *Model {
	m := &Model{Norms: []Norm{}}
	steps, skips := p.Steps, p.Skips
	for len(steps) > 0 || len(skips) > 0 {
		if len(steps) == 0 || len(skips) > 0 && skips[0].Norm.Index < steps[0].Norm.Index {
			m.Norms = append(m.Norms, kept(skips[0]))
			m.Kept++
			skips = skips[1:]
			continue
		}
		n := 1
		for n < len(steps) && steps[n].Norm == steps[0].Norm {
			n++
		}
		m.Norms = append(m.Norms, folded(steps[:n]))
		m.Folded++
		steps = steps[n:]
	}
	return m
}

// folded describes the norm that the steps fold, each into another layer.
func folded(steps []fuse.Step) Norm {
	s := steps[0]
	n := Norm{
		Name:      s.Norm.Name,
		Kind:      s.Norm.Kind,
		Channels:  s.Norm.Channels,
		Eps:       Number(s.Norm.Eps),
		Direction: s.Direction.String(),
		Status:    Folded,
		MinScale:  Number(math.NaN()),
		MaxScale:  Number(math.NaN()),
	}
	if len(s.Affine.Scale) > 0 {
		n.MinScale, n.MaxScale = Number(slices.Min(s.Affine.Scale)), Number(slices.Max(s.Affine.Scale))
		n.Scales = newHistogram(s.Affine.Scale)
	}
	var layers, kinds []string
	for _, s := range steps {
		layers = append(layers, s.Layer.Name)
		kinds = append(kinds, s.Layer.Kind)
	}
	n.Layer = strings.Join(layers, ", ")
	n.LayerKind = strings.Join(slices.Compact(kinds), ", ")
	return n
}

func kept(s fuse.Skip) Norm {
	n := Norm{
		Name:      s.Norm.Name,
		Kind:      s.Norm.Kind,
		Channels:  s.Norm.Channels,
		Eps:       Number(s.Norm.Eps),
		Layer:     s.Layer.Name,
		LayerKind: s.Layer.Kind,
		Status:    Kept,
		Reason:    string(s.Reason),
		MinScale:  Number(math.NaN()),
		MaxScale:  Number(math.NaN()),
	}
	if s.Detail != "" {
		n.Reason += ": " + s.Detail
	}
	return n
}
