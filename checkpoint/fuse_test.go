package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/internal/atomicfile"
	"github.com/bnfuse/bnfuse/internal/elem"
	"github.com/bnfuse/bnfuse/internal/safetensors"
)

// fuseTo fuses a checkpoint into a new file and returns its path.
func fuseTo(t *testing.T, in string, o Options) string {
	t.Helper()
	out, _ := fuseAnd(t, in, o)
	return out
}

func fuseAnd(t *testing.T, in string, o Options) (string, *Result) {
	t.Helper()
	if o.Engine == nil {
		o.Engine = host.New()
	}
	out := filepath.Join(t.TempDir(), "out.safetensors")
	res, err := FuseFile(context.Background(), in, out, o)
	if err != nil {
		t.Fatal(err)
	}
	return out, res
}

// pairsOf writes a pairs file.
func pairsOf(t *testing.T, pairs ...Pair) string {
	t.Helper()
	var b bytes.Buffer
	if err := WritePairs(&b, pairs); err != nil {
		t.Fatal(err)
	}
	return write(t, "pairs.yaml", b.Bytes())
}

// normTensors are a norm's with random values.
func normTensors(name, dtype string, channels int) []made {
	r := rand.New(rand.NewPCG(1, uint64(len(name)+channels)))
	var list []made
	for _, p := range []struct {
		name     string
		min, max float64
	}{{"weight", -2, 2}, {"bias", -1, 1}, {"running_mean", -1, 1}, {"running_var", 0.5, 2}} {
		x := make([]float64, channels)
		for i := range x {
			x[i] = p.min + r.Float64()*(p.max-p.min)
		}
		list = append(list, floats(name+"."+p.name, dtype, []int{channels}, x...))
	}
	return append(list, made{name + ".num_batches_tracked", "I64", []int{}, make([]byte, 8)})
}

func layerTensor(name, dtype string, shape ...int) made {
	n, _ := fuse.NumElems(shape)
	r := rand.New(rand.NewPCG(2, uint64(n)))
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return floats(name, dtype, shape, x...)
}

// pairTensors are a convolution without bias and its norm.
func pairTensors(dtype string) []made {
	return append([]made{layerTensor("conv.weight", dtype, 4, 2, 3, 3)}, normTensors("bn", dtype, 4)...)
}

// TestArithmetic: every layout, direction and type against the formulas, by an own loop over the axes.
func TestArithmetic(t *testing.T) {
	for _, dtype := range []string{"F64", "F32", "F16", "BF16"} {
		for _, c := range []struct {
			kind      fuse.Layout
			shape     []int
			groups    int
			direction fuse.Direction
			channels  int
			bias      bool
		}{
			{fuse.Conv, []int{6, 2, 3}, 3, fuse.After, 6, true},
			{fuse.Conv, []int{6, 2, 3}, 3, fuse.Before, 6, false},
			{fuse.ConvTranspose, []int{6, 2, 3, 2}, 3, fuse.After, 6, true},
			{fuse.ConvTranspose, []int{4, 5, 1, 2}, 1, fuse.After, 5, false},
			{fuse.Linear, []int{3, 5}, 1, fuse.After, 3, false},
			{fuse.Linear, []int{3, 5}, 1, fuse.Before, 5, true},
			{fuse.MatMul, []int{3, 5}, 1, fuse.After, 5, true},
			{fuse.MatMul, []int{3, 5}, 1, fuse.Before, 3, false},
			{fuse.Linear, []int{4, 12}, 1, fuse.Before, 3, true}, // flattened, four positions a channel
			{fuse.MatMul, []int{12, 5}, 1, fuse.Before, 3, false},
			{fuse.Linear, []int{12, 4}, 1, fuse.After, 3, true}, // reshaped, four outputs a channel
			{fuse.MatMul, []int{5, 12}, 1, fuse.After, 3, false},
		} {
			t.Run(fmt.Sprint(dtype, c.kind, c.direction, c.groups), func(t *testing.T) {
				view, err := c.kind.View(c.direction, c.shape, c.groups)
				if err != nil {
					t.Fatal(err)
				}
				outView, _ := c.kind.View(fuse.After, c.shape, c.groups)
				outputs := outView.NumChannels()
				w := layerTensor("l.weight", dtype, c.shape...)
				tensors := append([]made{w}, normTensors("n", dtype, c.channels)...)
				b := make([]float64, outputs)
				if c.bias {
					bias := layerTensor("l.bias", dtype, outputs)
					tensors = append(tensors, bias)
					b = bias.values(t)
				}
				pair := Pair{Layer: "l", Norm: "n", Kind: c.kind, Groups: c.groups, Eps: 1e-3, Direction: c.direction}
				positions := view.NumChannels() / c.channels
				pair.Flattened = positions > 1
				out, res := fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), Options{Pairs: pairsOf(t, pair)})
				if len(res.Plan.Steps) != 1 {
					t.Fatalf("%+v", res.Plan)
				}
				got := tensorsOf(t, out)
				if len(got) != 2 {
					t.Fatalf("%d tensors are left", len(got))
				}
				dt := safetensors.Floats[dtype]
				gamma, beta, mean, variance := tensors[1].values(t), tensors[2].values(t), tensors[3].values(t), tensors[4].values(t)
				old, sums := w.values(t), make([]float64, outputs)
				want := make([]float64, len(old))
				for i, x := range old {
					ch := view.Channel(i) / positions
					s := gamma[ch] / math.Sqrt(variance[ch]+1e-3)
					want[i] = x * s
					sums[outView.Channel(i)] += x * (beta[ch] - mean[ch]*s)
				}
				if !bytes.Equal(got["l.weight"].data, elem.Encode(dt, want)) {
					t.Error("the weight differs")
				}
				for o, x := range got["l.bias"].values(t) {
					wantBias := b[o] + sums[o]
					if c.direction == fuse.After {
						ch := o / positions
						s := gamma[ch] / math.Sqrt(variance[ch]+1e-3)
						wantBias = s*b[o] + (beta[ch] - mean[ch]*s)
					}
					unit := map[string]float64{"F64": 0x1p-47, "F32": 0x1p-23, "F16": 0x1p-10, "BF16": 0x1p-7}[dtype]
					if math.Abs(x-wantBias) > unit*math.Max(math.Abs(wantBias), 0.01) {
						t.Errorf("bias %d is %v, want %v", o, x, wantBias)
					}
				}
			})
		}
	}
}

// TestKept: what cannot be folded stays, with its reason, and the file with it.
func TestKept(t *testing.T) {
	conv := Pair{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5}
	with := func(change func(*Pair)) []Pair { p := conv; change(&p); return []Pair{p} }
	bad := func(name string, x float64) []made {
		list := pairTensors("F32")
		for i := range list {
			if list[i].name == name {
				list[i] = floats(name, "F32", []int{4}, 1, 1, x, 1)
			}
		}
		return list
	}
	for _, c := range []struct {
		name    string
		tensors []made
		pairs   []Pair
		want    fuse.Reason
	}{
		{"no layer", pairTensors("F32"), with(func(p *Pair) { p.Layer = "other" }), ReasonMissing},
		{"another kind", pairTensors("F32"), with(func(p *Pair) { p.Kind = fuse.ConvTranspose }), fuse.ReasonChannels},
		{"wrong rank", pairTensors("F32"), with(func(p *Pair) { p.Kind = fuse.Linear }), fuse.ReasonLayerShape},
		{"mean NaN", bad("bn.running_mean", math.NaN()), []Pair{conv}, fuse.ReasonNotFinite},
		{"variance negative", bad("bn.running_var", -1), []Pair{conv}, fuse.ReasonVariance},
		{"weight infinite in its type", bad("bn.weight", 3e38), []Pair{conv}, fuse.ReasonOverflow},
		{"bias infinite in its type", bad("bn.bias", 3.4e38), append([]Pair{conv}, Pair{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 2e-5}), fuse.ReasonUnsupportedOp},
		{"padded before", append(pairTensors("F32"), layerTensor("next.weight", "F32", 2, 4, 3)), with(func(p *Pair) { p.Layer, p.Direction, p.Padded = "next", fuse.Before, true }), fuse.ReasonPadding},
		{"before a ConvTranspose", append(pairTensors("F32"), layerTensor("next.weight", "F32", 4, 2, 3)), with(func(p *Pair) { p.Layer, p.Direction, p.Kind = "next", fuse.Before, fuse.ConvTranspose }), fuse.ReasonTranspose},
		{"integers", append([]made{{"conv.weight", "I8", []int{4, 1, 1}, make([]byte, 4)}}, normTensors("bn", "F32", 4)...), []Pair{conv}, fuse.ReasonDType},
		{"bias of another length", append(pairTensors("F32"), layerTensor("conv.bias", "F32", 3)), []Pair{conv}, fuse.ReasonBias},
	} {
		in := write(t, "in.safetensors", encode(nil, c.tensors...))
		before := readAll(t, in)
		o := Options{Engine: host.New(), Pairs: pairsOf(t, c.pairs...)}
		out, res := fuseAnd(t, in, o)
		if len(res.Plan.Steps) != 0 || len(res.Plan.Skips) == 0 || res.Plan.Skips[0].Reason != c.want {
			t.Errorf("%s: %+v, want %q", c.name, res.Plan, c.want)
		}
		if !bytes.Equal(readAll(t, out), before) {
			t.Errorf("%s: the output is no copy", c.name)
		}
		planned, err := Inspect(context.Background(), in, o)
		if err != nil || len(planned.Plan.Steps) != 0 || planned.Plan.Skips[0].Reason != c.want {
			t.Errorf("%s: inspected as %+v, %v", c.name, planned, err)
		}
	}
}

// TestOtherNetwork: pairs that name none of the checkpoint's norms were not meant for it. A checkpoint without norms
// may be of any network.
func TestOtherNetwork(t *testing.T) {
	o := Options{Engine: host.New(), Pairs: pairsOf(t, Pair{Layer: "conv", Norm: "other", Kind: fuse.Conv, Groups: 1, Eps: 1e-5})}
	in := write(t, "in.safetensors", encode(nil, pairTensors("F32")...))
	out := filepath.Join(t.TempDir(), "out.safetensors")
	_, err := FuseFile(context.Background(), in, out, o)
	if _, statErr := os.Stat(out); !errors.Is(err, ErrOtherNetwork) || !strings.Contains(err.Error(), o.Pairs) || statErr == nil {
		t.Errorf("fused: %v", err)
	}
	if _, err := Inspect(context.Background(), in, o); !errors.Is(err, ErrOtherNetwork) {
		t.Errorf("inspected: %v", err)
	}
	if _, res := fuseAnd(t, write(t, "plain.safetensors", encode(nil, layerTensor("conv.weight", "F32", 4, 1, 1))), o); len(res.Plan.Steps) != 0 {
		t.Errorf("%+v", res)
	}
	o.AnyNetwork = true // one of many, whose graph may be a guess
	p, err := Prepare(context.Background(), in, out, o)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

// TestOtherNorms: norms that only the pairs have are said to be missing, and not counted.
func TestOtherNorms(t *testing.T) {
	pairs := []Pair{{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5}, {Layer: "conv2", Norm: "bn2", Kind: fuse.Conv, Groups: 1, Eps: 1e-5}}
	o := Options{Engine: host.New(), Pairs: pairsOf(t, pairs...)}
	in := write(t, "in.safetensors", encode(nil, pairTensors("F32")...))
	out, res := fuseAnd(t, in, o)
	if len(res.Plan.Steps) != 1 || len(res.Plan.Skips) != 0 || len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], "has not, 1: ") || !strings.Contains(res.Warnings[0], `"bn2"`) {
		t.Errorf("%+v", res)
	}
	for _, path := range []string{in, out} { // a norm that an earlier run folded is not missing
		res, err := Inspect(context.Background(), path, o)
		if err != nil || len(res.Plan.Skips) != 0 || len(res.Warnings) != 1 || strings.Contains(res.Warnings[0], `"bn"`) {
			t.Errorf("%+v, %v", res, err)
		}
	}
}

// TestChain: norms behind each other fold together; one that stays keeps those behind it.
func TestChain(t *testing.T) {
	tensors := append(pairTensors("F32"), normTensors("second", "F32", 4)...)
	pairs := []Pair{{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5}, {Layer: "conv", Norm: "second", Kind: fuse.Conv, Groups: 1, Eps: 1e-3}}
	_, res := fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), Options{Pairs: pairsOf(t, pairs...)})
	if len(res.Plan.Steps) != 2 {
		t.Errorf("%+v", res.Plan)
	}
	for i := range tensors {
		if tensors[i].name == "bn.running_var" {
			tensors[i] = floats("bn.running_var", "F32", []int{4}, 1, 1, -1, 1)
		}
	}
	_, res = fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), Options{Pairs: pairsOf(t, pairs...)})
	if len(res.Plan.Steps) != 0 || res.Plan.Skips[1].Reason != ReasonBlocked {
		t.Errorf("%+v", res.Plan)
	}
}

// TestAllOrNone: a norm before two layers goes into both, or stays for both.
func TestAllOrNone(t *testing.T) {
	tensors := append(normTensors("n", "F32", 5), layerTensor("a.weight", "F32", 3, 5), layerTensor("b.weight", "F32", 2, 5))
	a := Pair{Layer: "a", Norm: "n", Kind: fuse.Linear, Groups: 1, Eps: 1e-5, Direction: fuse.Before}
	b := a
	b.Layer = "b"
	out, res := fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), Options{Pairs: pairsOf(t, a, b)})
	if got := tensorsOf(t, out); len(res.Plan.Steps) != 2 || len(got) != 4 {
		t.Errorf("%+v leaves %d tensors", res.Plan, len(got))
	}
	b.Kind = fuse.MatMul
	_, res = fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), Options{Pairs: pairsOf(t, a, b)})
	if len(res.Plan.Steps) != 0 || len(res.Plan.Skips) != 1 {
		t.Errorf("%+v", res.Plan)
	}
}

// TestKeepNorms: the norms stay and do nothing, the tensors keep names, shapes and types, and a second run
// leaves all as it is.
func TestKeepNorms(t *testing.T) {
	tensors := append(pairTensors("F32"), layerTensor("conv.bias", "F32", 4))
	in := write(t, "in.safetensors", encode(nil, tensors...))
	o := Options{Pairs: pairsOf(t, Pair{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5})}
	folded := tensorsOf(t, fuseTo(t, in, o))
	o.KeepNorms = true
	out := fuseTo(t, in, o)
	got := tensorsOf(t, out)
	for _, want := range tensors {
		if g := got[want.name]; g.dtype != want.dtype || !slices.Equal(g.shape, want.shape) {
			t.Errorf("%s is %s %v", want.name, g.dtype, g.shape)
		}
	}
	v := float64(float32(1 - 1e-5))
	for name, want := range map[string][]float64{
		"bn.weight": {1, 1, 1, 1}, "bn.running_mean": {0, 0, 0, 0}, "bn.running_var": {v, v, v, v}, "conv.bias": {0, 0, 0, 0},
		"bn.bias": folded["conv.bias"].values(t), "conv.weight": folded["conv.weight"].values(t),
	} {
		if !slices.Equal(got[name].values(t), want) {
			t.Errorf("%s is %v, want %v", name, got[name].values(t), want)
		}
	}
	again, res := fuseAnd(t, out, o)
	if !bytes.Equal(readAll(t, again), readAll(t, out)) || res.Plan.Skips[0].Reason != ReasonNeutral {
		t.Errorf("a second run: %+v", res.Plan)
	}
}

// TestKeepNormsWithoutAnyBias: where nothing of the unchanged class could hold the shift, the norm stays.
func TestKeepNormsWithoutAnyBias(t *testing.T) {
	tensors := slices.DeleteFunc(pairTensors("F32"), func(m made) bool { return m.name == "bn.bias" || m.name == "bn.weight" })
	pair := Pair{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5}
	_, res := fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), Options{KeepNorms: true, Pairs: pairsOf(t, pair)})
	if len(res.Plan.Steps) != 0 || res.Plan.Skips[0].Reason != ReasonNoBias {
		t.Errorf("%+v", res.Plan)
	}
}

// TestKeepNormsShared: a norm behind two layers cannot hold the biases of both. Each layer's own bias does, and
// where one has none, the norm stays for both.
func TestKeepNormsShared(t *testing.T) {
	tensors := append(normTensors("n", "F32", 3), layerTensor("a.weight", "F32", 3, 5), layerTensor("a.bias", "F32", 3), layerTensor("b.weight", "F32", 3, 4))
	pair := Pair{Layer: "a", Norm: "n", Kind: fuse.Linear, Groups: 1, Eps: 1e-5}
	other := pair
	other.Layer = "b"
	o := Options{KeepNorms: true, Pairs: pairsOf(t, pair, other)}
	_, res := fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), o)
	if len(res.Plan.Steps) != 0 || len(res.Plan.Skips) != 1 || res.Plan.Skips[0].Reason != ReasonNoBias {
		t.Errorf("%+v", res.Plan)
	}
	tensors = append(tensors, layerTensor("b.bias", "F32", 3))
	out, res := fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), o)
	got := tensorsOf(t, out)
	if len(res.Plan.Steps) != 2 || !slices.Equal(got["n.bias"].values(t), []float64{0, 0, 0}) {
		t.Errorf("%+v", res.Plan)
	}
}

// TestKeepNormsOverflow: a norm of a narrower type than the layer's takes the bias only if it can hold it.
func TestKeepNormsOverflow(t *testing.T) {
	tensors := append(normTensors("after", "F16", 3), normTensors("before", "F32", 5)...)
	for i := range tensors {
		if tensors[i].name == "before.bias" {
			tensors[i] = floats("before.bias", "F32", []int{5}, 1e9, 1e9, 1e9, 1e9, 1e9)
		}
	}
	tensors = append(tensors, layerTensor("l.weight", "F32", 3, 5), layerTensor("l.bias", "F32", 3))
	after := Pair{Layer: "l", Norm: "after", Kind: fuse.Linear, Groups: 1, Eps: 1e-5}
	before := after
	before.Norm, before.Direction = "before", fuse.Before
	for _, pairs := range [][]Pair{{after, before}, {before, after}} {
		_, res := fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), Options{KeepNorms: true, Pairs: pairsOf(t, pairs...)})
		if len(res.Plan.Steps) != 1 || len(res.Plan.Skips) != 1 || res.Plan.Skips[0].Reason != fuse.ReasonOverflow || res.Plan.Skips[0].Norm.Name != pairs[1].Norm {
			t.Errorf("%+v", res.Plan)
		}
	}
}

// TestVanished: a channel that becomes zero in its type is folded and warned about.
func TestVanished(t *testing.T) {
	tensors := append([]made{floats("conv.weight", "F16", []int{1, 1, 1}, 0x1p-24)}, normTensors("bn", "F32", 1)...)
	tensors[1] = floats("bn.weight", "F32", []int{1}, 1e-3)
	pair := Pair{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5}
	_, res := fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), Options{Pairs: pairsOf(t, pair)})
	if len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], "conv: 1 channels became zero") {
		t.Errorf("%q", res.Warnings)
	}
}

// TestTarget: the names an output can have, and what stands in its way.
func TestTarget(t *testing.T) {
	in := write(t, "in.safetensors", encode(nil, pairTensors("F32")...))
	engine := host.New()
	for out, want := range map[string]error{"out.pt": ErrOutputName, "in.safetensors": atomicfile.ErrExists, "missing/out.safetensors": os.ErrNotExist} {
		_, err := FuseFile(context.Background(), in, filepath.Join(filepath.Dir(in), out), Options{Engine: engine})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", out, err, want)
		}
	}
	o := Options{Engine: engine, Force: true, Pairs: pairsOf(t, Pair{Layer: "conv", Norm: "bn", Kind: fuse.Conv, Groups: 1, Eps: 1e-5})}
	want := readAll(t, fuseTo(t, in, o))
	for range 2 {
		if _, err := FuseFile(context.Background(), in, in, o); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(readAll(t, in), want) {
			t.Error("in place, the output is another")
		}
	}
	if list, _ := os.ReadDir(filepath.Dir(in)); len(list) != 1 {
		t.Errorf("%d files are left", len(list))
	}
}

// TestOrder: norms of a layer are listed from the layer outwards. A list that contradicts itself folds nothing
// wrong: of Z before A, and Z and Y before B, Y must be there first.
func TestOrder(t *testing.T) {
	tensors := append(normTensors("y", "F32", 5), normTensors("z", "F32", 5)...)
	tensors = append(tensors, layerTensor("a.weight", "F32", 3, 5), layerTensor("b.weight", "F32", 2, 5))
	pair := func(layer, norm string) Pair {
		return Pair{Layer: layer, Norm: norm, Kind: fuse.Linear, Groups: 1, Eps: 1e-5, Direction: fuse.Before}
	}
	for _, c := range []struct {
		pairs  []Pair
		folded int
	}{
		{[]Pair{pair("b", "y"), pair("b", "z"), pair("a", "z")}, 3},
		{[]Pair{pair("a", "z"), pair("b", "y"), pair("b", "z")}, 1},
	} {
		_, res := fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), Options{Pairs: pairsOf(t, c.pairs...)})
		if len(res.Plan.Steps) != c.folded {
			t.Errorf("%+v", res.Plan)
		}
	}
}

// TestBothWays: of a norm between two layers, a file that lists both would fold it twice.
func TestBothWays(t *testing.T) {
	tensors := append(normTensors("n", "F32", 5), layerTensor("a.weight", "F32", 5, 3), layerTensor("b.weight", "F32", 2, 5))
	after := Pair{Layer: "a", Norm: "n", Kind: fuse.Linear, Groups: 1, Eps: 1e-5}
	before := Pair{Layer: "b", Norm: "n", Kind: fuse.Linear, Groups: 1, Eps: 1e-5, Direction: fuse.Before}
	for _, pairs := range [][]Pair{{after, before}, {before, after}} {
		_, res := fuseAnd(t, write(t, "in.safetensors", encode(nil, tensors...)), Options{Pairs: pairsOf(t, pairs...)})
		if len(res.Plan.Steps) != 0 || len(res.Plan.Skips) != 1 || res.Plan.Skips[0].Reason != ReasonAmbiguous {
			t.Errorf("%+v", res.Plan)
		}
	}
}

// TestKeepsItsName: safetensors of any name stay what they are called; a name that says another format is
// refused to those that are called otherwise.
func TestKeepsItsName(t *testing.T) {
	in, engine := filepath.Join(t.TempDir(), "weights.bin"), host.New()
	defer engine.Close()
	if err := os.WriteFile(in, readAll(t, "../testdata/resnet.safetensors"), 0o666); err != nil {
		t.Fatal(err)
	}
	o := Options{Engine: engine, Graph: "../testdata/resnet.onnx"}
	dir := t.TempDir()
	if res, err := FuseFile(t.Context(), in, filepath.Join(dir, "weights.bin"), o); err != nil || len(res.Plan.Steps) != 9 {
		t.Errorf("%v", err)
	}
	if _, err := FuseFile(t.Context(), in, filepath.Join(dir, "other.bin"), o); !errors.Is(err, ErrOutputName) {
		t.Errorf("%v", err)
	}
}

// TestNoPairs: of a norm that no pair names the epsilon is unknown, which is not zero.
func TestNoPairs(t *testing.T) {
	in := write(t, "in.safetensors", encode(nil, pairTensors("F32")...))
	res, err := Inspect(t.Context(), in, Options{Engine: host.New()})
	if err != nil || len(res.Plan.Skips) != 1 {
		t.Fatalf("%v, %+v", err, res)
	}
	if s := res.Plan.Skips[0]; s.Reason != ReasonNoPairs || !math.IsNaN(s.Norm.Eps) {
		t.Errorf("%+v", s)
	}
}
