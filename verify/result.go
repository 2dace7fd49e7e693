package verify

// Result is what a comparison found.
type Result struct {
	Original    string       `json:"original"`
	Fused       string       `json:"fused"`
	Folded      int          `json:"folded"`      // norms that are gone
	Kept        int          `json:"kept"`        // batch norms that are still there, without those that a fold left neutral
	Layers      []Layer      `json:"layers"`      // those that norms were folded into
	Differences []Difference `json:"differences"` // what nothing explains

	// Untold is set for a checkpoint that has lost norms while nothing tells which layers took them: whether it
	// is right cannot be said, and of the differences only this one is listed.
	Untold bool `json:"untold,omitempty"`

	Hint string `json:"hint,omitempty"` // what may be the reason of it all
}

// Layer is a layer that took norms.
type Layer struct {
	Name     string    `json:"name"`
	Op       string    `json:"op"`
	Norms    []string  `json:"norms"` // in the order of the graph
	Weight   Deviation `json:"weight"`
	Bias     Deviation `json:"bias"`
	Problems []string  `json:"problems"` // none: the fold is right

	place int // in the file
}

// Deviation is how far a tensor is from what it should be.
type Deviation struct {
	Tensor  string  `json:"tensor"`  // "" where there is none
	Values  int     `json:"values"`  // how many there are
	Worst   float64 `json:"worst"`   // the largest, in units in the last place of the stored type
	Rounded int     `json:"rounded"` // how many are the nearest to the exact value
}

// Difference is a tensor, a node or another part that is not as it was, without a norm to explain it.
type Difference struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

// OK reports whether every fold is right and nothing else changed.
func (r *Result) OK() bool { return len(r.Differences) == 0 && r.Wrong() == 0 }

// Wrong is the number of layers with a wrong fold.
func (r *Result) Wrong() int {
	n := 0
	for _, l := range r.Layers {
		if len(l.Problems) > 0 {
			n++
		}
	}
	return n
}
