package checkpoint

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

// TestNames: what the conventions find, and what they leave for being ambiguous.
func TestNames(t *testing.T) {
	layer := func(name string, shape ...int) made { return layerTensor(name, "F32", shape...) }
	// behind puts a norm of some channels before a layer: what it reads.
	behind := func(channels int, layers ...made) []made {
		return append(normTensors("input.0", "F32", channels), layers...)
	}
	for _, c := range []struct {
		name    string
		tensors []made // in the order of definition; nil shapes stand for the norm under test
		norm    string
		size    int
		first   bool // the norm is defined before the layer
		layer   string
		kind    fuse.Layout
		reason  fuse.Reason
	}{
		{"ResNet", behind(16, layer("layer1.0.conv1.weight", 64, 16, 3, 3)), "layer1.0.bn1", 64, false, "layer1.0.conv1", fuse.Conv, ""},
		{"GoogLeNet", behind(16, layer("inception3a.branch1.conv.weight", 64, 16, 1, 1)), "inception3a.branch1.bn", 64, false, "inception3a.branch1.conv", fuse.Conv, ""},
		{"a stem", []made{layer("conv_stem.weight", 32, 3, 3, 3)}, "bn_stem", 32, false, "conv_stem", fuse.Conv, ""},
		{"a shortcut", behind(128, layer("layer2.0.conv1.weight", 32, 64, 1, 1), layer("layer2.0.downsample.0.weight", 128, 64, 1, 1)), "layer2.0.downsample.1", 128, false, "layer2.0.downsample.0", fuse.Conv, ""},
		{"depthwise", []made{layer("features.1.conv.0.0.weight", 32, 1, 3, 3)}, "features.1.conv.0.1", 32, false, "features.1.conv.0.0", fuse.Conv, ""},
		{"a Sequential begins with its layer", []made{layer("0.weight", 8, 3, 3)}, "1", 8, false, "0", fuse.Conv, ""},
		{"Linear", []made{layer("head.0.weight", 5, 6)}, "head.1", 5, false, "head.0", fuse.Linear, ""},
		{"square Linear", []made{layer("head.0.weight", 5, 5)}, "head.1", 5, false, "head.0", fuse.Linear, ""},
		{"DCGAN", []made{layer("main.0.weight", 64, 48, 4, 4)}, "main.1", 48, false, "main.0", fuse.ConvTranspose, ""},
		{"square convolution", []made{layer("conv1.weight", 64, 64, 3, 3)}, "bn1", 64, false, "", 0, ReasonAmbiguous},
		{"pre-activation", []made{layer("conv1.weight", 64, 32, 3, 3)}, "bn1", 32, false, "", 0, ReasonAmbiguous},
		{"pre-activation, told by the order", []made{layer("conv1.weight", 64, 2, 3, 3)}, "bn1", 64, true, "", 0, ReasonAmbiguous},
		{"DenseNet", []made{layer("conv1.weight", 64, 2, 3, 3)}, "norm1", 64, false, "", 0, ReasonAmbiguous},
		{"a Conv or a ConvTranspose in groups", []made{layer("conv1.weight", 128, 64, 3, 3)}, "bn1", 128, false, "", 0, ReasonAmbiguous},
		{"in a Sequential", behind(128, layer("up.0.weight", 128, 64, 3, 3)), "up.1", 128, false, "", 0, ReasonAmbiguous},
		{"an input too narrow for groups", behind(32, layer("conv1.weight", 128, 64, 3, 3)), "bn1", 128, false, "", 0, ReasonAmbiguous},
		{"wider than its output", []made{layer("conv1.weight", 64, 128, 3, 3)}, "bn1", 64, false, "conv1", fuse.Conv, ""},
		{"a pointwise convolution between", []made{layer("conv1.weight", 6, 1, 3, 3), layer("pointwise.weight", 6, 6, 1, 1)}, "bn1", 6, false, "", 0, ReasonAmbiguous},
		{"a linear layer between, of other sizes", []made{layer("conv1.weight", 6, 1, 3, 3), layer("fc.weight", 10, 20)}, "bn1", 6, false, "conv1", fuse.Conv, ""},
		{"other channels", []made{layer("conv1.weight", 64, 32, 3, 3)}, "bn1", 7, false, "", 0, fuse.ReasonChannels},
		{"no layer there", []made{layer("fc1.weight", 64, 32)}, "bn1", 64, false, "", 0, fuse.ReasonNoLayer},
		{"the first of a Sequential", []made{layer("f.1.weight", 64, 32, 1, 1)}, "f.0", 64, true, "", 0, ReasonAmbiguous},
		{"a norm behind a norm", normTensors("f.0", "F32", 4), "f.1", 4, false, "", 0, fuse.ReasonNoLayer},
		{"a number with a zero", []made{layer("f.0.weight", 64, 32, 1, 1)}, "f.01", 64, false, "", 0, ReasonAmbiguous},
	} {
		tensors := append(c.tensors, normTensors(c.norm, "F32", c.size)...)
		if c.first {
			tensors = append(normTensors(c.norm, "F32", c.size), c.tensors...)
		}
		// The order is only believed where it is not that of the names.
		tensors = append(tensors, layer("aaa.last", 1))
		in, err := open(write(t, "in.safetensors", encode(nil, tensors...)))
		if err != nil {
			t.Fatal(err)
		}
		s := fromNames(in, 1e-5)
		in.close()
		if c.reason != "" {
			if got := s.skips[c.norm].Reason; got != c.reason {
				t.Errorf("%s: kept for %q, want %q: %+v", c.name, got, c.reason, s)
			}
			continue
		}
		want := Pair{Layer: c.layer, Norm: c.norm, Kind: c.kind, Groups: 1, Eps: 1e-5}
		if len(s.pairs) != 1 || s.pairs[0] != want {
			t.Errorf("%s: %+v, want %+v; %v", c.name, s.pairs, want, s.skips)
		}
	}
}

// guessed writes a checkpoint and finds its pairs.
func guessed(t *testing.T, sorted bool, tensors ...made) (pairs map[string]string, skips map[string]fuse.Skip) {
	t.Helper()
	if sorted { // as the reference implementation does
		slices.SortFunc(tensors, func(a, b made) int {
			return cmp.Or(strings.Compare(b.dtype, a.dtype), strings.Compare(a.name, b.name)) // I64 before F32
		})
	}
	c, err := open(write(t, "in.safetensors", encode(nil, tensors...)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	s := fromNames(c, 1e-5)
	pairs = map[string]string{}
	for _, p := range s.pairs {
		pairs[p.Norm] = p.Layer
	}
	return pairs, s.skips
}

// TestBlocks: timm's blocks number their norms and call their layers after what they do.
func TestBlocks(t *testing.T) {
	conv := func(name string, shape ...int) made { return layerTensor(name+".weight", "F32", shape...) }
	norm := func(name string, channels int) []made { return normTensors(name, "F32", channels) }
	network := slices.Concat(
		[]made{conv("conv_stem", 32, 3, 3, 3)}, norm("bn1", 32),
		[]made{conv("blocks.0.0.conv_dw", 32, 1, 3, 3)}, norm("blocks.0.0.bn1", 32),
		[]made{conv("blocks.0.0.se.conv_reduce", 8, 32, 1, 1), conv("blocks.0.0.conv_pw", 16, 32, 1, 1)}, norm("blocks.0.0.bn2", 16),
		[]made{conv("blocks.1.0.conv_pw", 96, 16, 1, 1)}, norm("blocks.1.0.bn1", 96),
		[]made{conv("blocks.1.0.conv_dw", 96, 1, 3, 3)}, norm("blocks.1.0.bn2", 96),
		[]made{conv("blocks.1.0.conv_pwl", 24, 96, 1, 1)}, norm("blocks.1.0.bn3", 24),
		[]made{conv("blocks.2.0.conv_s2d", 40, 24, 2, 2)}, norm("blocks.2.0.bn_s2d", 40),
		[]made{conv("blocks.2.0.conv_exp", 120, 40, 3, 3)}, norm("blocks.2.0.bn1", 120),
		[]made{conv("blocks.2.0.conv_pwl", 48, 120, 1, 1)}, norm("blocks.2.0.bn2", 48),
		[]made{conv("blocks.3.0.conv", 64, 48, 3, 3)}, norm("blocks.3.0.bn1", 64),
		[]made{conv("conv_head", 128, 64, 1, 1)}, norm("bn2", 128),
	)
	want := map[string]string{
		"bn1": "conv_stem", "bn2": "conv_head", "blocks.0.0.bn1": "blocks.0.0.conv_dw", "blocks.0.0.bn2": "blocks.0.0.conv_pw",
		"blocks.1.0.bn1": "blocks.1.0.conv_pw", "blocks.1.0.bn2": "blocks.1.0.conv_dw", "blocks.1.0.bn3": "blocks.1.0.conv_pwl",
		"blocks.2.0.bn_s2d": "blocks.2.0.conv_s2d", "blocks.2.0.bn1": "blocks.2.0.conv_exp", "blocks.2.0.bn2": "blocks.2.0.conv_pwl",
		"blocks.3.0.bn1": "blocks.3.0.conv",
	}
	for _, sorted := range []bool{false, true} {
		if sorted { // bn1 does not stand behind bn_s2d, nor bn2 behind blocks.3: what these read is not known
			delete(want, "blocks.2.0.bn1")
			delete(want, "bn2")
		}
		if got, skips := guessed(t, sorted, slices.Clone(network)...); !maps.Equal(got, want) {
			t.Errorf("sorted %v: %v, %v", sorted, got, skips)
		}
	}
	// One name more and it is another block, of which nothing is known.
	other := append(slices.Clone(network), conv("blocks.1.0.conv_new", 7, 5, 1, 1))
	if got, _ := guessed(t, false, other...); got["blocks.1.0.bn1"] != "" || got["blocks.0.0.bn1"] == "" {
		t.Errorf("%v", got)
	}
}

// TestNormFirst: in a DPN each norm stands before its convolution. The order of definition tells, and where names
// are sorted, the norms whose channels are not those of the output.
func TestNormFirst(t *testing.T) {
	var dpn []made
	for _, c := range []struct {
		name           string
		out, in, norms int
	}{{"a.c1x1", 96, 64, 64}, {"a.c3x3", 96, 3, 96}, {"a.c1x1_c", 256, 96, 96}} {
		dpn = append(dpn, normTensors(c.name+".bn", "F32", c.norms)...)
		dpn = append(dpn, layerTensor(c.name+".conv.weight", "F32", c.out, c.in, 1, 1))
	}
	dpn = append(dpn, layerTensor("a.b.weight", "F32", 1, 1)) // in the order of definition, which is not the names'
	for _, sorted := range []bool{false, true} {
		if got, _ := guessed(t, sorted, slices.Clone(dpn)...); len(got) > 0 {
			t.Errorf("sorted %v: %v", sorted, got)
		}
	}
}

// TestDoubtfulModules: one norm that does not fit its layer tells against all of its module, and of no other.
func TestDoubtfulModules(t *testing.T) {
	conv := func(name string, shape ...int) made { return layerTensor(name+".weight", "F32", shape...) }
	norm := func(name string, channels int) []made { return normTensors(name, "F32", channels) }
	other := slices.Concat([]made{conv("other.conv1", 8, 3, 3, 3)}, norm("other.bn1", 8))
	for name, tensors := range map[string][]made{
		"the first layer has no norm": slices.Concat([]made{conv("d.conv1", 8, 3, 4, 4), conv("d.conv2", 8, 2, 4, 4)}, norm("d.bn1", 8),
			[]made{conv("d.conv3", 12, 8, 1, 1)}, norm("d.bn2", 12)),
		"all layers, then all norms": slices.Concat([]made{conv("d.conv1", 8, 3, 4, 4), conv("d.conv2", 8, 3, 4, 4), conv("d.conv3", 12, 8, 1, 1)},
			norm("d.bn1", 8), norm("d.bn2", 12)),
		"layers before the norms that they follow": slices.Concat([]made{conv("d.conv1", 12, 3, 1, 1)}, norm("d.bn1", 3),
			[]made{conv("d.conv2", 12, 4, 3, 3)}, norm("d.bn2", 12)),
		"two norms of a layer": slices.Concat([]made{conv("d.conv1", 8, 3, 3, 3)}, norm("d.bn1", 8), norm("d.bn1_aux", 8)),
	} {
		for _, sorted := range []bool{false, true} {
			got, skips := guessed(t, sorted, append(slices.Clone(tensors), other...)...)
			if want := map[string]string{"other.bn1": "other.conv1"}; !maps.Equal(got, want) {
				t.Errorf("%s, sorted %v: %v, %v", name, sorted, got, skips)
			}
		}
	}
}

// TestNamesNeedEps: nobody guesses the epsilon.
func TestNamesNeedEps(t *testing.T) {
	if _, err := newSource(nil, Options{Pairs: NamesPairs}, nil); err != ErrNoEps {
		t.Errorf("%v", err)
	}
}
