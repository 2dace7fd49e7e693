package onnx_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bnfuse/bnfuse/fuse"
	"github.com/bnfuse/bnfuse/host"
	"github.com/bnfuse/bnfuse/onnx"
	"github.com/bnfuse/bnfuse/onnx/onnxtest"
)

func findPairs(t *testing.T, path string) *onnx.Pairs {
	t.Helper()
	list, err := onnx.FindPairs(context.Background(), path, host.New())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestFindPairs: layouts, groups and names of real exports, through Transpose and Identity.
func TestFindPairs(t *testing.T) {
	type pair struct {
		weight, mean string
		layout       fuse.Layout
		groups       int
		direction    fuse.Direction
		noShift      bool
	}
	for name, want := range map[string][]pair{
		"grouped_decoder": {
			{"up1.weight", "bn1.running_mean", fuse.ConvTranspose, 3, fuse.After, false},
			{"up2.weight", "bn2.running_mean", fuse.ConvTranspose, 36, fuse.After, false},
			{"up3.weight", "bn3.running_mean", fuse.ConvTranspose, 4, fuse.After, false},
		},
		"default_norms": { // equal parameters are stored once, and each module's name remains
			{"body.0.0.weight", "body.0.1.running_mean", fuse.Conv, 1, fuse.After, false},
			{"body.1.0.weight", "body.1.1.running_mean", fuse.Conv, 1, fuse.After, false},
			{"body.2.0.weight", "body.2.1.running_mean", fuse.Conv, 1, fuse.After, false},
			{"head.1.weight", "head.2.running_mean", fuse.Linear, 1, fuse.After, false}, // Transpose → MatMul in the graph
		},
		"norm_first": {
			{"fc.weight", "norm4.running_mean", fuse.Linear, 1, fuse.Before, false},
			{"conv2.weight", "norm2.running_mean", fuse.Conv, 2, fuse.Before, false},
			{"conv1.weight", "norm1.running_mean", fuse.Conv, 1, fuse.Before, false},
		},
	} {
		list := findPairs(t, filepath.Join("../testdata", name+".onnx"))
		var got []pair
		for _, p := range list.Pairs {
			got = append(got, pair{p.Weight[0], p.Mean[0], p.Layout, p.Groups, p.Direction, p.NoShift})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if len(list.Others) > 0 || list.Gone {
			t.Errorf("%s: others %v, gone %v", name, list.Others, list.Gone)
		}
	}
	if p := findPairs(t, "../testdata/default_norms.onnx").Pairs[3]; !slices.Equal(p.Var, []string{"head.2.running_var", "body.0.1.weight"}) {
		t.Errorf("the variance is called %q", p.Var)
	}
	if p := findPairs(t, "../testdata/grouped_decoder.onnx").Pairs; !p[2].PlainGamma || !p[2].PlainBeta || p[0].Gamma[0] != "bn1.weight" || p[0].Bias[0] != "up1.bias" || p[1].Bias != nil {
		t.Errorf("%+v", p)
	}
}

// TestFindPairsSkips: a norm that stays is listed with its reason and its name.
func TestFindPairsSkips(t *testing.T) {
	list := findPairs(t, "../testdata/two_heads.onnx")
	if len(list.Pairs) != 2 || len(list.Skips) != 1 || list.Skips[0].Reason != fuse.ReasonOutputShared || len(list.Skips[0].Mean) == 0 {
		t.Errorf("%+v", list)
	}
}

// conv2 is a graph of two convolutions of the same weight; a norm, behind a Mul where scaled is set, follows
// the first.
func conv2(scaled bool) onnxtest.Model {
	vector := func(name string, x float64) onnxtest.Tensor {
		return onnxtest.NewTensor(name, onnxtest.Float32, []int64{2}, x, x)
	}
	g := &onnxtest.Graph{
		Name: "g",
		Init: []onnxtest.Tensor{
			onnxtest.NewTensor("conv.weight", onnxtest.Float32, []int64{2, 2, 1, 1}, 1, 2, 3, 4),
			vector("bn.weight", 2), vector("bn.bias", 1), vector("bn.running_mean", 1), vector("bn.running_var", 1),
		},
		Inputs:  []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 2, 4, 4)},
		Outputs: []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, 2, 4, 4)},
	}
	between := "a"
	g.Nodes = append(g.Nodes, onnxtest.Node{Op: "Conv", Name: "one", In: []string{"x", "conv.weight"}, Out: []string{"a"}})
	if scaled {
		g.Init = append(g.Init, onnxtest.NewTensor("c", onnxtest.Float32, nil, 3))
		g.Nodes = append(g.Nodes, onnxtest.Node{Op: "Mul", In: []string{"a", "c"}, Out: []string{"b"}})
		between = "b"
	}
	g.Nodes = append(g.Nodes, onnxtest.Node{Op: "BatchNormalization", Name: "bn", In: []string{between, "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"}, Out: []string{"n"}})
	last := onnxtest.Node{Op: "Conv", Name: "two", In: []string{"n", "conv.weight"}, Out: []string{"y"}}
	if scaled {
		last = onnxtest.Node{Op: "Relu", In: []string{"n"}, Out: []string{"y"}}
	}
	g.Nodes = append(g.Nodes, last)
	return onnxtest.Model{IR: 8, Opsets: []onnxtest.Opset{{Version: 14}}, Graph: g}
}

// TestFindPairsOthers: a weight that another layer reads too is said to be; in a graph it can be copied, in a
// checkpoint not.
func TestFindPairsOthers(t *testing.T) {
	for scaled, want := range map[bool]struct{ pairs, skips, others int }{false: {1, 0, 1}, true: {0, 1, 0}} {
		m := conv2(scaled)
		path := filepath.Join(t.TempDir(), "m.onnx")
		if err := os.WriteFile(path, m.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		list := findPairs(t, path)
		if len(list.Pairs) != want.pairs || len(list.Skips) != want.skips || len(list.Others) != want.others {
			t.Errorf("scaled %v: %+v", scaled, list)
		}
	}
}

// TestFindPairsSharedWay: a layer that reads the same Transpose of a weight as a pair's layer reads the weight.
func TestFindPairsSharedWay(t *testing.T) {
	for _, c := range onnxtest.Cases() {
		if c.Name != "matmul/shared Transpose" {
			continue
		}
		path := filepath.Join(t.TempDir(), "m.onnx")
		if err := os.WriteFile(path, c.Model.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		list := findPairs(t, path)
		if len(list.Pairs) != 1 || len(list.Others) != 1 || list.Others[0][0] != list.Pairs[0].Weight[0] {
			t.Errorf("%+v", list)
		}
		return
	}
	t.Fatal("the case is gone")
}
