package verify

import "fmt"

// untold replaces the differences by one, where norms are gone or neutral and nothing was passed that tells
// which layers took them: every layer that did is different then, and none of that says whether it is right.
func (k *checkpoint) untold() {
	if !k.relation.none || len(k.result.Differences) == 0 {
		return
	}
	modules := normModules(k.was)
	lost := 0
	for _, module := range modules {
		if k.is.Tensors[tensorOf(module, "running_mean")] == nil || k.meantNeutral(module) {
			lost++
		}
	}
	if lost == 0 {
		return // nothing was folded, and yet there are differences
	}
	k.result.Untold = true
	k.result.Differences = []Difference{{"the checkpoint", fmt.Sprintf("%d of its %s are gone or do nothing, and nothing tells which layers took them: "+
		"pass --graph MODEL.onnx, --pairs FILE, or --pairs names with --eps", lost, count(len(modules), "norm"))}}
}
