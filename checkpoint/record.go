package checkpoint

import (
	"encoding/json"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// recordKey is the entry of a header's metadata that lists what was folded, as JSON.
const recordKey = "bnfuse.folded"

// record is one fold.
type record struct {
	Norm      string  `json:"norm"`
	Layer     string  `json:"layer"`
	Direction string  `json:"direction,omitempty"` // "before"; after is not written
	Eps       float64 `json:"eps"`
}

// foldedBefore lists the folds of earlier runs. Metadata that are not ours to read list none.
func foldedBefore(metadata []safetensors.Metadatum) []record {
	var list []record
	for _, m := range metadata {
		if m.Key == recordKey && json.Unmarshal([]byte(m.Value), &list) != nil {
			return nil
		}
	}
	return list
}

// foldedNorms are the norms that earlier runs folded.
func (c *container) foldedNorms() map[string]bool {
	norms := map[string]bool{}
	for _, p := range c.parts {
		for _, r := range foldedBefore(p.metadata) {
			norms[r.Norm] = true
		}
	}
	return norms
}

// withRecord adds the plan's folds into the layers of a part to its metadata.
func withRecord(p *part, plan *fuse.Plan) []safetensors.Metadatum {
	mine := map[string]bool{}
	for _, t := range p.tensors {
		mine[t.name] = true
	}
	list := foldedBefore(p.metadata)
	for _, s := range plan.Steps {
		if !mine[dotted(s.Layer.Name, "weight")] {
			continue
		}
		r := record{Norm: s.Norm.Name, Layer: s.Layer.Name, Eps: s.Norm.Eps}
		if s.Direction == fuse.Before {
			r.Direction = s.Direction.String()
		}
		list = append(list, r)
	}
	if len(list) == 0 {
		return p.metadata
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic("checkpoint: an epsilon that is not finite was folded") // Norm.Affine refuses it
	}
	out := slices.Clone(p.metadata)
	i := slices.IndexFunc(out, func(m safetensors.Metadatum) bool { return m.Key == recordKey })
	if i < 0 {
		return append(out, safetensors.Metadatum{Key: recordKey, Value: string(text)})
	}
	out[i].Value = string(text)
	return out
}
