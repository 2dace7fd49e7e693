package report

import (
	"cmp"
	"slices"
)

// Zoo is the report on many models.
type Zoo struct {
	Input   string   `json:"input"`  // the folder; empty where single models were put together
	Output  string   `json:"output"` // empty when nothing was to be written
	Engine  string   `json:"engine"`
	Version string   `json:"version"`         // of bnfuse
	Shard   string   `json:"shard,omitempty"` // "2/8": the report covers this part of the folder
	Models  []*Model `json:"models"`          // sorted by Input

	// What concerns no single model: what was left out, or stays from an earlier run.
	Warnings []string `json:"warnings,omitempty"`

	Totals Totals `json:"totals"`
}

// Totals adds up the models of a zoo.
type Totals struct {
	Models   int     `json:"models"` // Fused + Copied + Failed
	Fused    int     `json:"fused"`
	Copied   int     `json:"copied"`
	Failed   int     `json:"failed"`
	Resumed  int     `json:"resumed"` // of the fused and copied: done by an earlier run
	Folded   int     `json:"folded"`  // norms
	Kept     int     `json:"kept"`    // norms
	Warnings int     `json:"warnings"`
	Files    int     `json:"files"` // files other than models, copied along
	BytesIn  int64   `json:"bytes_in"`
	BytesOut int64   `json:"bytes_out"`
	Seconds  float64 `json:"seconds"` // from the run's start to its end, not the sum over the models
}

// What may become of a model of a zoo.
const (
	ModelFused  = "fused"
	ModelCopied = "copied" // there was nothing to fold
	ModelFailed = "failed"
)

// ZooOf is a zoo of one model, which has no folder.
func ZooOf(m *Model, version string) *Zoo {
	one := *m // Sum gives it a status, which the report on a single model has not
	z := &Zoo{Engine: m.Engine, Version: version, Models: []*Model{&one}, Totals: Totals{Seconds: m.Seconds}}
	z.Sum()
	return z
}

// Sum sorts the models by Input and fills Totals from them, but for Files and Seconds, which only the run
// knows. A model without a status, as a report on it alone has none, is given one.
func (z *Zoo) Sum() {
	slices.SortStableFunc(z.Models, func(a, b *Model) int { return cmp.Compare(a.Input, b.Input) })
	t := Totals{Models: len(z.Models), Warnings: len(z.Warnings), Files: z.Totals.Files, Seconds: z.Totals.Seconds}
	for _, m := range z.Models {
		m.Status = m.outcome()
		if m.Norms == nil { // of a model that failed; in JSON it is [] and not null
			m.Norms = []Norm{}
		}
		switch m.Status {
		case ModelFused:
			t.Fused++
		case ModelCopied:
			t.Copied++
		case ModelFailed:
			t.Failed++
		}
		if m.Resumed {
			t.Resumed++
		}
		t.Folded += m.Folded
		t.Kept += m.Kept
		t.Warnings += len(m.Warnings)
		t.BytesIn += m.BytesIn
		t.BytesOut += m.BytesOut
	}
	z.Totals = t
}

// outcome is the model's status, also where none was set.
func (m *Model) outcome() string {
	switch {
	case m.Status != "":
		return m.Status
	case m.Error != "":
		return ModelFailed
	case m.Folded > 0:
		return ModelFused
	default:
		return ModelCopied
	}
}
