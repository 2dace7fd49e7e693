package verify_test

import (
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/verify"
)

// TestOtherEpsilon: a fold by the epsilon of a model's code is wrong by that of its graph, which is a float32,
// and the other way round. The message says that nothing else is. Any other epsilon gets no such word, and
// neither does a wrong weight.
func TestOtherEpsilon(t *testing.T) {
	const code, graph = 1e-5, float64(float32(1e-5))
	in := layerAndNorms("F64", []int{4, 4, 3}, 0, map[string]int{"m": 4, "n": 4}).write(t, tempFile(t, "in.safetensors"))
	told := func(eps float64) verify.Options {
		return verify.Options{Pairs: pairsFile(t,
			checkpoint.Pair{Layer: "l", Norm: "m", Kind: fuse.Conv, Direction: fuse.Before, Groups: 1, Eps: eps},
			checkpoint.Pair{Layer: "l", Norm: "n", Kind: fuse.Conv, Groups: 1, Eps: eps})}
	}
	for _, c := range []struct {
		folded, told float64
		keepNorms    bool
		says         string // "" for not a word of epsilon
	}{
		{code, graph, false, "with epsilon 1e-05 in place of 9.999999747378752e-06 it is right"},
		{graph, code, false, "with epsilon 9.999999747378752e-06 in place of 1e-05 it is right"},
		{code, graph, true, "with epsilon 1e-05"},
		{1.0001e-5, code, false, ""},
		{1e-3, code, false, ""},
	} {
		p := plant(t, in, told(c.folded), c.keepNorms)
		p.o = told(c.told)
		said := p.complaint(t, p.b)
		if said == "" || strings.Contains(said, "epsilon") != (c.says != "") || !strings.Contains(said, c.says) {
			t.Errorf("folded by %v, verified by %v: %q is wanted: %s", c.folded, c.told, c.says, said)
		}
		p.b.tensor("l.weight").data[2] ^= 1
		if said := p.complaint(t, p.b); said == "" || strings.Contains(said, "it is right") {
			t.Errorf("folded by %v, verified by %v, a bit wrong: %s", c.folded, c.told, said)
		}
	}
}
