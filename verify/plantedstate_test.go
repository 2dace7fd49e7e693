package verify_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/checkpoint"
	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/verify"
)

// plantedState is a fold that is right until a test spoils the output.
type plantedState struct {
	in, out string
	o       verify.Options
	b       *stateFile // the output
}

func plant(t *testing.T, in string, o verify.Options, keepNorms bool) *plantedState {
	t.Helper()
	p := &plantedState{in: in, out: tempFile(t, "out.safetensors"), o: o}
	fuseState(t, in, p.out, o, keepNorms)
	p.b = readState(t, p.out)
	return p
}

// complaint is what verify says of a spoilt output, "" for nothing.
func (p *plantedState) complaint(t *testing.T, b *stateFile) string {
	t.Helper()
	b.write(t, p.out)
	return explain(verifiedState(t, p.in, p.out, p.o))
}

// wants wants a spoilt output to be complained of with all the words.
func (p *plantedState) wants(t *testing.T, what string, spoil func(*stateFile), words ...string) {
	t.Helper()
	b := p.b.clone()
	spoil(b)
	said := p.complaint(t, b)
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("%s: %q is not in: %s", what, w, said)
		}
	}
	if said == "" {
		t.Errorf("%s is not found", what)
	}
}

// looseBias reports whether a bit of a tensor's may be wrong: a bias in float64 is the sum of a few float64
// operations.
func looseBias(x *stateTensor) bool {
	return x.dtype == "F64" && (x.name == "l.bias" || strings.HasSuffix(x.name, ".bias"))
}

// TestPlantedStateBits: in every tensor of every fused case one wrong bit is found, and the tensor is named.
func TestPlantedStateBits(t *testing.T) {
	for _, c := range stateCases() {
		for _, dtype := range []string{"F64", "F32", "F16", "BF16"} {
			for _, keepNorms := range []bool{false, true} {
				in := layerAndNorms(dtype, c.shape, c.bias, c.norms).write(t, tempFile(t, "in.safetensors"))
				p := plant(t, in, verify.Options{Pairs: pairsFile(t, c.pairs...)}, keepNorms)
				few := 3
				if dtype == "F32" && !keepNorms { // the rest is the same arithmetic
					few = 1
				}
				p.everyBit(t, fmt.Sprint(c.name, " ", dtype, " ", keepNorms), few)
			}
		}
	}
}

// TestPlantedStateBitsOfModels: the same in a file of PyTorch whose graph is known, in a few elements of each.
func TestPlantedStateBitsOfModels(t *testing.T) {
	for _, name := range []string{"qsparse_net", "grouped_decoder"} {
		for _, keepNorms := range []bool{false, true} {
			plant(t, "../testdata/"+name+".pt", verify.Options{Graph: "../testdata/" + name + ".onnx"}, keepNorms).everyBit(t, name, 4)
		}
	}
}

// everyBit flips the lowest bit of elements of every tensor: all of them, or of every so many.
func (p *plantedState) everyBit(t *testing.T, title string, few int) {
	t.Helper()
	if said := p.complaint(t, p.b); said != "" {
		t.Fatalf("%s: %s", title, said)
	}
	for i := range p.b.tensors {
		x := &p.b.tensors[i]
		if looseBias(x) || len(x.data) == 0 {
			continue
		}
		size := map[string]int{"F64": 8, "F32": 4, "I64": 8}[x.dtype]
		if size == 0 {
			size = 2
		}
		step := size
		if few > 1 {
			step = max(size, len(x.data)/few/size*size)
		}
		for at := 0; at < len(x.data); at += step {
			x.data[at] ^= 1
			if said := p.complaint(t, p.b); !strings.Contains(said, x.name) {
				t.Errorf("%s: a wrong bit in element %d of %s: %q", title, at/size, x.name, said)
			}
			x.data[at] ^= 1
		}
	}
}

// TestPlantedState: whole mistakes, by what they should be called.
func TestPlantedState(t *testing.T) {
	for _, in := range []string{"../testdata/resnet.pt", "../testdata/resnet.safetensors"} {
		o := verify.Options{Graph: "../testdata/resnet.onnx"}
		p := plant(t, in, o, false)
		a := readState(t, in)
		layer, norm := firstFold(t, p.b)
		p.wants(t, "a bias that is missing", func(b *stateFile) { b.remove(layer + ".bias") }, "there is no bias")
		p.wants(t, "a norm that is gone and not folded", func(b *stateFile) { *b.tensor(layer + ".weight") = *a.tensor(layer + ".weight") }, layer+".weight")
		p.wants(t, "a norm folded and still there", func(b *stateFile) {
			for _, x := range a.tensors {
				if strings.HasPrefix(x.name, norm+".") {
					b.tensors = append(b.tensors, x)
				}
			}
		}, layer, "the original's")
		p.wants(t, "a tensor of a norm that is gone", func(b *stateFile) { b.tensors = append(b.tensors, *a.tensor(norm + ".weight")) },
			norm+".weight", "its norm is gone")
		p.wants(t, "a counter of a norm that is gone", func(b *stateFile) {
			b.tensors = append(b.tensors, *a.tensor(norm + ".num_batches_tracked"))
		}, norm+".num_batches_tracked", "its norm is gone")
		p.wants(t, "half of a norm that is gone", func(b *stateFile) { b.tensors = append(b.tensors, *a.tensor(norm + ".running_var")) },
			norm+".running_mean")
		p.wants(t, "a tensor too many", func(b *stateFile) {
			b.tensors = append(b.tensors, stateTensor{"more", "F32", []int{1}, make([]byte, 4)})
		}, "more", "no such tensor")
		p.wants(t, "a tensor that is missing", func(b *stateFile) { b.remove("fc.weight") }, "fc.weight", "the tensor is gone")
		p.wants(t, "a weight that is missing", func(b *stateFile) { b.remove(layer + ".weight") }, layer+".weight")
		p.wants(t, "another shape", func(b *stateFile) {
			x := b.tensor("fc.weight")
			x.shape = []int{len(x.data) / 4}
		}, "fc.weight")
		p.wants(t, "another shape of a folded weight", func(b *stateFile) {
			x := b.tensor(layer + ".weight")
			x.shape = append([]int{1}, x.shape...)
		}, layer+".weight")
		p.wants(t, "another type", func(b *stateFile) { b.tensor("fc.weight").dtype = "I32" }, "fc.weight", "I32")
		p.wants(t, "metadata that are new", func(b *stateFile) { b.metadata["more"] = "x" }, "metadata", "more")
		p.wants(t, "a record of what was not folded", func(b *stateFile) {
			b.metadata["bnfuse.folded"] = `[{"norm":"fc","layer":"fc"}]`
		}, "metadata", `"fc"`)
		p.wants(t, "a record that is none", func(b *stateFile) { b.metadata["bnfuse.folded"] = `x` }, "metadata")
		p.wants(t, "one channel's bias of another", func(b *stateFile) {
			d := b.tensor(layer + ".bias").data
			d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7] = d[4], d[5], d[6], d[7], d[0], d[1], d[2], d[3]
		}, layer+".bias")
	}
	p := plant(t, "../testdata/resnet.safetensors", verify.Options{Graph: "../testdata/resnet.onnx"}, false)
	delete(p.b.metadata, "bnfuse.folded")
	if said := p.complaint(t, p.b); said != "" {
		t.Errorf("the record is believed: without it %s", said)
	}
}

// firstFold is the first fold that an output lists of itself.
func firstFold(t *testing.T, b *stateFile) (layer, norm string) {
	t.Helper()
	var list []struct{ Layer, Norm string }
	if err := json.Unmarshal([]byte(b.metadata["bnfuse.folded"]), &list); err != nil || len(list) == 0 {
		t.Fatal(err, b.metadata)
	}
	return list[0].Layer, list[0].Norm
}

// TestPlantedNeutral: a norm that is kept must do nothing but add its bias.
func TestPlantedNeutral(t *testing.T) {
	p := plant(t, "../testdata/resnet.pt", verify.Options{Graph: "../testdata/resnet.onnx"}, true)
	layer, norm := firstFold(t, p.b)
	for _, c := range []struct {
		tensor string
		value  float32
		says   string
	}{
		{".weight", 1.0000001, "is not neutral"},
		{".weight", -1, "is not neutral"},
		{".running_mean", 1e-30, "is not neutral"},
		{".running_var", 1, "is not neutral"},
		{".bias", 5, "bias"},
	} {
		p.wants(t, fmt.Sprint(c.tensor, " is ", c.value), func(b *stateFile) {
			x := numbers("x", "F32", []int{1}, func() float64 { return float64(c.value) })
			copy(b.tensor(norm + c.tensor).data[4:], x.data)
		}, norm+c.tensor, c.says)
	}
	p.wants(t, "a norm that is neutral, and a layer as it was", func(b *stateFile) {
		*b.tensor(layer + ".weight") = *readState(t, "../testdata/resnet.pt").tensor(layer + ".weight")
	}, layer+".weight")
	p.wants(t, "a bias beside that of the norm", func(b *stateFile) {
		x := numbers(layer+".bias", "F32", b.tensor(norm+".bias").shape, func() float64 { return 1 })
		b.tensors = append(b.tensors, x)
	}, layer)
	p.wants(t, "a counter that changed", func(b *stateFile) { b.tensor(norm + ".num_batches_tracked").data[0]++ }, norm+".num_batches_tracked")
	p.wants(t, "a norm's tensor that is missing", func(b *stateFile) { b.remove(norm + ".weight") }, norm+".weight")
}

// TestPlantedRelation: folds that are right by themselves, along another axis, with another epsilon, into
// another layer or for another graph than they should be.
func TestPlantedRelation(t *testing.T) {
	pair := checkpoint.Pair{Layer: "l", Norm: "n", Kind: fuse.Conv, Groups: 1, Eps: 1e-3}
	in := layerAndNorms("F32", []int{4, 4, 3}, 0, map[string]int{"n": 4}).write(t, tempFile(t, "in.safetensors"))
	p := plant(t, in, verify.Options{Pairs: pairsFile(t, pair)}, false)
	for what, change := range map[string]func(*checkpoint.Pair){
		"axis":      func(p *checkpoint.Pair) { p.Kind = fuse.ConvTranspose },
		"epsilon":   func(p *checkpoint.Pair) { p.Eps = 1.001e-3 },
		"direction": func(p *checkpoint.Pair) { p.Direction = fuse.Before },
		"padding":   func(p *checkpoint.Pair) { p.Direction, p.Padded = fuse.Before, true },
		"layer":     func(p *checkpoint.Pair) { p.Layer = "other" },
		"norm":      func(p *checkpoint.Pair) { p.Norm = "m" },
	} {
		other := pair
		change(&other)
		r := verifiedState(t, in, p.out, verify.Options{Pairs: pairsFile(t, other)})
		if r.OK() {
			t.Errorf("another %s is not found", what)
		}
	}
	if r := verifiedState(t, in, p.out, verify.Options{Pairs: pairsFile(t, pair)}); !r.OK() {
		t.Error(explain(r))
	}
	resnet := plant(t, "../testdata/resnet.pt", verify.Options{Graph: "../testdata/resnet.onnx"}, false)
	if r := verifiedState(t, resnet.in, resnet.out, verify.Options{Graph: "../testdata/mobilenet_v2.onnx"}); r.OK() {
		t.Error("another network's graph is as good")
	}
}

// TestPlantedShared: a tensor that other names stand for, too, must not change alone.
func TestPlantedShared(t *testing.T) {
	in := "../checkpoint/testdata/tied.pt"
	a := readState(t, in)
	out := tempFile(t, "out.safetensors")
	a.metadata = nil
	a.write(t, out)
	if r := verifiedState(t, in, out, verify.Options{}); !r.OK() {
		t.Error(explain(r))
	}
	for i := range a.tensors {
		b := a.clone()
		b.tensors[i].data[0] ^= 1
		b.write(t, out)
		if r := verifiedState(t, in, out, verify.Options{}); r.OK() {
			t.Errorf("%s changed", a.tensors[i].name)
		}
	}
}

// TestShards: a checkpoint in several files.
func TestShards(t *testing.T) {
	whole := readState(t, "../testdata/resnet.safetensors")
	dir := t.TempDir()
	weights := map[string]string{}
	half := len(whole.tensors) / 2
	for i, part := range [][]stateTensor{whole.tensors[:half], whole.tensors[half:]} {
		name := fmt.Sprintf("m-%d.safetensors", i)
		(&stateFile{metadata: map[string]string{"part": name}, tensors: part}).write(t, filepath.Join(dir, name))
		for _, x := range part {
			weights[x.name] = name
		}
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1, "by": "a test"}, "weight_map": weights, "more": []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(dir, "m.safetensors.index.json")
	if err := os.WriteFile(in, index, 0o666); err != nil {
		t.Fatal(err)
	}
	o := verify.Options{Graph: "../testdata/resnet.onnx"}
	out := tempFile(t, "n.safetensors.index.json")
	if norms := fuseState(t, in, out, o, false); len(norms) != 9 {
		t.Fatal(norms)
	}
	if r := verifiedState(t, in, out, o); !r.OK() || r.Folded != 9 {
		t.Error(explain(r))
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{`"a test"`, `"another"`}, {`"total_size": `, `"total_size": 1`}, {`"more"`, `"less"`}} {
		changed := strings.Replace(string(text), c[0], c[1], 1)
		if changed == string(text) {
			t.Fatalf("no %s in %s", c[0], text)
		}
		if err := os.WriteFile(out, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		if r := verifiedState(t, in, out, o); r.OK() || !strings.Contains(explain(r), "the index") {
			t.Errorf("%s for %s: %q", c[1], c[0], explain(r))
		}
	}
	if err := os.WriteFile(out, text, 0o666); err != nil {
		t.Fatal(err)
	}
	shard := filepath.Join(filepath.Dir(out), "n-0.safetensors")
	f := readState(t, shard)
	f.metadata["part"] = "another"
	f.write(t, shard)
	if r := verifiedState(t, in, out, o); r.OK() || !strings.Contains(explain(r), "metadata") {
		t.Error(explain(r))
	}
}

// TestRefusedOptions: what is no way to tell the pairs is an error.
func TestRefusedOptions(t *testing.T) {
	in := "../testdata/resnet.safetensors"
	for _, c := range []struct {
		o    verify.Options
		says string
	}{
		{verify.Options{Graph: "x", Pairs: "y"}, "not from both"},
		{verify.Options{Pairs: verify.NamesPairs}, "epsilon"},
		{verify.Options{Pairs: "missing.yaml"}, "missing.yaml"},
		{verify.Options{Graph: "missing.onnx"}, "missing.onnx"},
		{verify.Options{Pairs: textFile(t, "pairs: [")}, "pairs file"},
		{verify.Options{Pairs: textFile(t, "pairs: []")}, "no pairs"},
		{verify.Options{Pairs: textFile(t, `{"pairs": [{"layer": "a", "norm": "b", "kind": "Conv"}]}`)}, "pass --eps"},
		{verify.Options{Eps: 1, Pairs: textFile(t, `{"pairs": [{"layer": "a", "norm": "b", "kind": "LSTM"}]}`)}, "LSTM"},
		{verify.Options{Eps: 1, Pairs: textFile(t, `{"pairs": [{"layer": "a", "norm": "b", "kind": "Conv", "x": 1}]}`)}, "x"},
		{verify.Options{Eps: 1, Pairs: textFile(t, `{"pairs": [{"layer": "a", "norm": "b", "kind": "Conv", "direction": "up"}]}`)}, "up"},
		{verify.Options{Eps: 1, Pairs: textFile(t, `{"pairs": [{"layer": "a", "norm": "b", "kind": "Conv", "flattened": true}]}`)}, "flattened"},
		{verify.Options{Eps: 1, Pairs: textFile(t, `{"pairs": [{"layer": "a", "norm": "b", "kind": "Linear", "flattened": true}, {"layer": "a", "norm": "c", "kind": "Linear"}]}`)}, "not flattened"},
		{verify.Options{Eps: math.Inf(1), Pairs: textFile(t, `{"pairs": [{"layer": "a", "norm": "b", "kind": "Conv"}]}`)}, "eps"},
		{verify.Options{Pairs: textFile(t, strings.Repeat("[", 5000))}, "brackets"},
	} {
		if _, err := verify.Checkpoints(t.Context(), in, in, c.o); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.says)
		}
	}
}

func textFile(t *testing.T, text string) string {
	t.Helper()
	path := tempFile(t, "pairs")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}
