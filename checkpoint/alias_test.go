package checkpoint

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
)

// aliased is a state dict of two layers and a norm that has two names, n1 and n2.
func aliased() []byte {
	list := []made{layerTensor("conv1.weight", "F32", 4, 2), layerTensor("conv2.weight", "F32", 4, 4)}
	return encode(nil, slices.Concat(list, normTensors("n1", "F32", 4), normTensors("n2", "F32", 4))...)
}

func linear(layer, norm string) Pair {
	return Pair{Layer: layer, Norm: norm, Kind: fuse.Linear, Groups: 1, Eps: 1e-5}
}

// reasons are why norms stay, by name.
func reasons(res *Result) map[string]fuse.Reason {
	why := map[string]fuse.Reason{}
	for _, s := range res.Plan.Skips {
		why[s.Norm.Name] = s.Reason
	}
	return why
}

// A norm that the checkpoint has under a name that no pair knows stays: under that one it would be done again.
func TestAliasedNorm(t *testing.T) {
	in := write(t, "in.safetensors", aliased())
	for _, c := range []struct {
		name  string
		pairs []Pair
		keep  bool
		want  map[string]fuse.Reason
	}{
		{"one name in two pairs", []Pair{linear("conv1", "n1"), linear("conv2", "n1")}, false,
			map[string]fuse.Reason{"n1": fuse.ReasonLayerShared, "n2": ReasonNoPairs}},
		{"a pair for each name", []Pair{linear("conv1", "n1"), linear("conv2", "n2")}, false, map[string]fuse.Reason{}},
		{"a pair for each name, norms kept", []Pair{linear("conv1", "n1"), linear("conv2", "n2")}, true,
			map[string]fuse.Reason{"n1": fuse.ReasonLayerShared, "n2": fuse.ReasonLayerShared}},
	} {
		_, res := fuseAnd(t, in, Options{Pairs: pairsOf(t, c.pairs...), KeepNorms: c.keep})
		got := reasons(res)
		for norm, reason := range c.want {
			if got[norm] != reason {
				t.Errorf("%s: %s stays by %q, want %q", c.name, norm, got[norm], reason)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v stay, want %v", c.name, got, c.want)
		}
	}
}

// Norms that were never trained have the same values, and are not one for that.
func TestFreshNorms(t *testing.T) {
	list := []made{layerTensor("conv1.weight", "F32", 2, 2)}
	for _, n := range []string{"n1", "n2"} {
		list = append(list, floats(n+".weight", "F32", []int{2}, 1, 1), floats(n+".bias", "F32", []int{2}, 0, 0),
			floats(n+".running_mean", "F32", []int{2}, 0, 0), floats(n+".running_var", "F32", []int{2}, 1, 1))
	}
	_, res := fuseAnd(t, write(t, "in.safetensors", encode(nil, list...)), Options{Pairs: pairsOf(t, linear("conv1", "n1"))})
	if got := reasons(res); len(got) != 1 || got["n2"] != ReasonNoPairs {
		t.Errorf("%v stay", got)
	}
}

// A pickle says which tensors are one.
func TestSharedNormParameters(t *testing.T) {
	var data []byte
	for _, x := range []float32{1, 2, 3, 4, 5, 6, 7, 8, 0.5, 0.25, 9, 10} {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	at := func(name string, offset byte) string {
		return text(name) + aTensor + storageRef("FloatStorage", "K\x0c") + "K" + string(offset) + "K\x02\x85" + "K\x01\x85" + noHooks + "Rs"
	}
	weight := text("l.weight") + aTensor + storageRef("FloatStorage", "K\x0c") + "K\x00" + "K\x02K\x01\x86" + "K\x01K\x01\x86" + noHooks + "Rs"
	for _, c := range []struct {
		name   string
		others string
		keep   bool
		folded bool
	}{
		{"statistics of two names", at("m.running_mean", 6) + at("m.running_var", 8), false, false},
		{"a weight of two norms", at("m.weight", 2) + at("m.running_mean", 10) + at("m.running_var", 10), false, true},
		{"a weight of two norms, which stay", at("m.weight", 2) + at("m.running_mean", 10) + at("m.running_var", 10), true, false},
	} {
		p := mkDict + weight + at("n.weight", 2) + at("n.bias", 4) + at("n.running_mean", 6) + at("n.running_var", 8) + c.others + "."
		in := write(t, "in.pt", archive(t, "m/data.pkl", p, "m/data/0", string(data)))
		_, res := fuseAnd(t, in, Options{Pairs: pairsOf(t, linear("l", "n")), KeepNorms: c.keep})
		if why, kept := reasons(res)["n"]; kept == c.folded || kept && why != fuse.ReasonLayerShared {
			t.Errorf("%s: kept %v, %q", c.name, kept, why)
		}
	}
}

// A norm that an earlier run left there, neutral but for its bias, stands between the layer and the next one.
func TestNeutralNormStandsBetween(t *testing.T) {
	list := append([]made{layerTensor("l.weight", "F32", 4, 2)}, normTensors("n", "F32", 4)...)
	in := write(t, "in.safetensors", encode(nil, append(list, normTensors("later", "F32", 4)...)...))
	first := fuseTo(t, in, Options{Pairs: pairsOf(t, linear("l", "n")), KeepNorms: true})
	_, res := fuseAnd(t, first, Options{Pairs: pairsOf(t, linear("l", "n"), linear("l", "later")), KeepNorms: true})
	if why := reasons(res)["later"]; why != ReasonBlocked {
		t.Errorf("the second norm is folded past the first, or stays by %q", why)
	}
}

// A weight without elements, whatever its shape, is nothing to fold into.
func TestEmptyWeight(t *testing.T) {
	for _, shape := range [][]int{{1 << 50, 0}, {0, 1 << 50}} {
		for _, flattened := range []bool{false, true} {
			p := linear("l", "n")
			p.Flattened, p.Direction = flattened, fuse.Before
			in := write(t, "in.safetensors", encode(nil, append([]made{{"l.weight", "F32", shape, nil}}, normTensors("n", "F32", 1)...)...))
			res, err := Inspect(context.Background(), in, Options{Engine: host.New(), Pairs: pairsOf(t, p)})
			if err != nil || reasons(res)["n"] != fuse.ReasonLayerShape {
				t.Errorf("%v: %v, %v", shape, res, err)
			}
		}
	}
}

// A tensor with the name of safetensors' own entry is refused, as its file could not be read.
func TestMetadataName(t *testing.T) {
	p := mkDict + text("__metadata__") + aTensor + storageRef("FloatStorage", "K\x02") + "K\x00" + "K\x02\x85" + "K\x01\x85" + noHooks + "Rs."
	in := write(t, "in.pt", archive(t, "m/data.pkl", p, "m/data/0", "12345678"))
	out := in + ".safetensors"
	if _, err := FuseFile(context.Background(), in, out, Options{Engine: host.New()}); err == nil || !strings.Contains(err.Error(), "__metadata__") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("there is an output")
	}
}
