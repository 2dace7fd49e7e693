// Package fuse decides how a batch normalization is folded into the layer beside it.
//
// In: a norm's parameters and a layer's shape. Out: a per-channel affine map ([Norm.Affine]), the
// view under which a weight's memory is multiplied by it ([Layout.View]), the new bias ([Fold.Bias]),
// and, for a whole model, a [Plan] of steps to take and pairs to skip, each skip with its reason.
//
// At inference a norm computes, per channel,
//
//	y = γ·(x − μ)/√(σ² + ε) + β = s·x + t,   s = γ/√(σ² + ε),   t = β − μ·s
//
// and a layer before it (y = W·x + b) absorbs it as W' = s ⊙ W, b' = s·b + t; a layer behind it as
// W' = W ⊙ s, b' = b + Σ W·t.
//
// The bits are part of the contract: every operation here is float64, rounded to nearest even, in
// the order written, never contracted to a fused multiply-add; a weight is widened to float64,
// multiplied, and rounded once to its own type. So every [Engine] gives the same bytes.
//
// The package touches no file, no device and no goroutine. Packages host and cuda multiply; packages
// onnx, checkpoint and nn read and write.
package fuse
