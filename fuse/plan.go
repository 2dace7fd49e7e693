package fuse

// Plan says what becomes of every norm of a model: steps to take and norms to skip, both in graph
// order. It is data: it can be printed, compared and tested before a weight is read.
type Plan struct {
	Steps []Step
	Skips []Skip
}

// NormInfo describes a norm for people.
type NormInfo struct {
	Name     string  // the node's or module's name
	Kind     string  // as the model calls it: "BatchNormalization", "Mul", "BatchNorm2d"
	Channels int     // 0 where unknown
	Eps      float64 // 0 for a norm written out as Mul and Add
	Index    int     // position in graph order
}

// LayerInfo describes a layer for people.
type LayerInfo struct {
	Name string
	Kind string // as the model calls it: "Conv", "Gemm", "Linear"
}

// Step is a pair to fold: a norm and the layer that takes it in.
type Step struct {
	Norm      NormInfo
	Layer     LayerInfo
	Direction Direction
	Affine    Affine // the norm's own map, before composition with others
}

// Skip is a norm that stays, and why.
type Skip struct {
	Norm   NormInfo
	Layer  LayerInfo // the layer it might have joined; zero where there is none
	Reason Reason
	Detail string // the fact behind the reason, with names and numbers
}
