package checkpoint

import (
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
)

// TestNames: what the conventions find, and what they leave for being ambiguous.
func TestNames(t *testing.T) {
	layer := func(name string, shape ...int) made { return layerTensor(name, "F32", shape...) }
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
		{"ResNet", []made{layer("layer1.0.conv1.weight", 64, 16, 3, 3)}, "layer1.0.bn1", 64, false, "layer1.0.conv1", fuse.Conv, ""},
		{"GoogLeNet", []made{layer("inception3a.branch1.conv.weight", 64, 16, 1, 1)}, "inception3a.branch1.bn", 64, false, "inception3a.branch1.conv", fuse.Conv, ""},
		{"a stem", []made{layer("conv_stem.weight", 32, 3, 3, 3)}, "bn_stem", 32, false, "conv_stem", fuse.Conv, ""},
		{"a shortcut", []made{layer("layer2.0.downsample.0.weight", 128, 64, 1, 1)}, "layer2.0.downsample.1", 128, false, "layer2.0.downsample.0", fuse.Conv, ""},
		{"depthwise", []made{layer("features.1.conv.0.0.weight", 32, 1, 3, 3)}, "features.1.conv.0.1", 32, false, "features.1.conv.0.0", fuse.Conv, ""},
		{"a Sequential begins with its layer", []made{layer("0.weight", 8, 3, 3)}, "1", 8, false, "0", fuse.Conv, ""},
		{"Linear", []made{layer("head.0.weight", 5, 6)}, "head.1", 5, false, "head.0", fuse.Linear, ""},
		{"square Linear", []made{layer("head.0.weight", 5, 5)}, "head.1", 5, false, "head.0", fuse.Linear, ""},
		{"DCGAN", []made{layer("main.0.weight", 64, 48, 4, 4)}, "main.1", 48, false, "main.0", fuse.ConvTranspose, ""},
		{"square convolution", []made{layer("conv1.weight", 64, 64, 3, 3)}, "bn1", 64, false, "", 0, ReasonAmbiguous},
		{"pre-activation", []made{layer("conv1.weight", 64, 32, 3, 3)}, "bn1", 32, false, "", 0, ReasonAmbiguous},
		{"pre-activation, told by the order", []made{layer("conv1.weight", 64, 2, 3, 3)}, "bn1", 64, true, "", 0, ReasonAmbiguous},
		{"DenseNet", []made{layer("conv1.weight", 64, 2, 3, 3)}, "norm1", 64, false, "", 0, ReasonAmbiguous},
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

// TestNamesNeedEps: nobody guesses the epsilon.
func TestNamesNeedEps(t *testing.T) {
	if _, err := newSource(t.Context(), nil, Options{Pairs: NamesPairs}); err != ErrNoEps {
		t.Errorf("%v", err)
	}
}
