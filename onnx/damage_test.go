package onnx

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
	"google.golang.org/protobuf/encoding/protowire"
)

// small is a model with a fold: Conv → BatchNormalization, with value_info, metadata and a bias.
func small() *onnxtest.Model {
	w := onnxtest.NewTensor("w", onnxtest.Float32, []int64{2, 1, 1, 1}, 1, 2)
	b := onnxtest.NewTensor("b", onnxtest.Float32, []int64{2}, 0.5, -0.5)
	m := &onnxtest.Model{
		IR: 8, Opsets: []onnxtest.Opset{{Version: 13}},
		Graph: &onnxtest.Graph{
			Name: "g",
			Nodes: []onnxtest.Node{
				{Op: "Conv", Name: "conv", In: []string{"x", "w", "b"}, Out: []string{"c"}},
				{Op: "BatchNormalization", Name: "bn", In: []string{"c", "gamma", "beta", "mean", "var"}, Out: []string{"y"}},
			},
			Init:      []onnxtest.Tensor{w, b},
			Inputs:    []onnxtest.Value{onnxtest.Val("x", onnxtest.Float32, 1, 1, 2, 2)},
			Outputs:   []onnxtest.Value{onnxtest.Val("y", onnxtest.Float32, 1, 2, 2, 2)},
			ValueInfo: []onnxtest.Value{onnxtest.Val("c", onnxtest.Float32, 1, 2, 2, 2)},
		},
		Metadata: []onnxtest.Entry{{Key: "author", Value: "nobody"}},
	}
	for _, name := range []string{"gamma", "beta", "mean", "var"} {
		m.Graph.Init = append(m.Graph.Init, onnxtest.NewTensor(name, onnxtest.Float32, []int64{2}, 1, 3))
	}
	return m
}

// TestTruncated cuts a model at every byte. A prefix that ends between two fields of the model and
// holds its graph and opsets is a model of its own; every other one is an error.
func TestTruncated(t *testing.T) {
	model := small().Bytes()
	complete := map[int]bool{}
	hasGraph, hasOpset := false, false
	for at := 0; at < len(model); {
		num, _, n := protowire.ConsumeField(model[at:])
		at += n
		hasGraph = hasGraph || num == 7
		hasOpset = hasOpset || num == 8
		complete[at] = hasGraph && hasOpset
	}
	if !complete[len(model)] {
		t.Fatal("the whole model does not count as complete")
	}
	for n := range len(model) {
		_, _, err := fuseBytes(t, testEngine, model[:n])
		if (err == nil) != complete[n] {
			t.Errorf("the first %d of %d bytes: error %v, complete %v", n, len(model), err, complete[n])
		}
	}
}

// TestDamaged gives each kind of damage once; the error says what is wrong.
func TestDamaged(t *testing.T) {
	huge := protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.BytesType), 1<<62)
	nest := func(depth int) *onnxtest.Model {
		m := small()
		for range depth {
			inner := *m.Graph
			inner.Inputs = nil
			m.Graph = &onnxtest.Graph{Name: "g", Nodes: []onnxtest.Node{{Op: "If", Name: "if", In: []string{"x"}, Out: []string{"y"},
				Attrs: []onnxtest.Attr{onnxtest.GraphAttr("then_branch", inner)}}}}
		}
		return m
	}
	edit := func(change func(*onnxtest.Model)) []byte {
		m := small()
		change(m)
		return m.Bytes()
	}
	for _, c := range []struct {
		name  string
		model []byte
		want  string
	}{
		{"empty file", nil, "no graph"},
		{"text", []byte("not a model at all"), ""},
		{"no graph", edit(func(m *onnxtest.Model) { m.Graph = nil }), "no graph"},
		{"no opset", edit(func(m *onnxtest.Model) { m.Opsets = nil }), "no opset_import"},
		{"length past the end", append([]byte{8, 8}, huge...), "bytes long, but"},
		{"two versions of one opset", edit(func(m *onnxtest.Model) {
			m.Opsets = append(m.Opsets, onnxtest.Opset{Domain: "ai.onnx", Version: 7})
		}), "versions 13 and 7"},
		{"dims overflow", edit(func(m *onnxtest.Model) { m.Graph.Init[0].Dims = []int64{1 << 40, 1 << 40, 1, 1} }), `tensor "w": dims`},
		{"negative dims", edit(func(m *onnxtest.Model) { m.Graph.Init[0].Dims = []int64{-1, 1, 1, 1} }), `tensor "w": dims`},
		{"dims disagree with raw_data", edit(func(m *onnxtest.Model) { m.Graph.Init[0].Dims = []int64{3, 1, 1, 1} }), "need 12 bytes, found 8"},
		{"dims disagree with float_data", edit(func(m *onnxtest.Model) {
			m.Graph.Init[0].Dims = []int64{3, 1, 1, 1}
			m.Graph.Init[0].Encoding = onnxtest.Packed
		}), "need 3 values, found 2"},
		{"an initializer twice", edit(func(m *onnxtest.Model) { m.Graph.Init[1].Name = "w" }), `"w" is defined twice`},
		{"an output twice", edit(func(m *onnxtest.Model) { m.Graph.Nodes[1].Out[0] = "c" }), `"c" is defined twice`},
		{"an output named as an input", edit(func(m *onnxtest.Model) { m.Graph.Nodes[0].Out[0] = "x" }), `"x" is defined twice`},
		{"a cycle", edit(func(m *onnxtest.Model) { m.Graph.Nodes[0].In[0] = "y" }), "cycle"},
		{"graphs in graphs", nest(maxDepth + 1).Bytes(), "deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := fuseBytes(t, testEngine, c.model)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
	if _, _, err := fuseBytes(t, testEngine, nest(maxDepth).Bytes()); err != nil {
		t.Errorf("the deepest nesting allowed: %v", err)
	}
}

// TestExternalEscapes refuses every way out of the model's folder, and damage in the files.
func TestExternalEscapes(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, make([]byte, 64), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, location, offset, want string }{
		{"absolute", outside, "0", "leaves the model's folder"},
		{"parent", "../secret", "0", "leaves the model's folder"},
		{"parent inside", "sub/../../secret", "0", "leaves the model's folder"},
		{"link", "link", "0", "a link leads out"},
		{"missing", "nowhere", "0", "no such file"},
		{"folder", "sub", "0", "not a regular file"},
		{"short", "short", "0", "unexpected EOF"},
		{"offset past the end", "data", "60", "unexpected EOF"},
		{"negative offset", "data", "-1", "not a byte count"},
		{"offset overflows", "data", "9223372036854775807", "overflow"},
		{"no location", "", "0", "without a location"},
		{"fits", "data", "0", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, n := range map[string]int{"short": 7, "data": 64} {
				if err := os.WriteFile(filepath.Join(dir, name), make([]byte, n), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o700), os.Symlink(outside, filepath.Join(dir, "link"))); err != nil {
				t.Fatal(err)
			}
			m := small()
			m.Graph.Init[0].Encoding = onnxtest.InFile
			m.Graph.Init[0].External.Entries = []onnxtest.Entry{{Key: "location", Value: c.location}, {Key: "offset", Value: c.offset}}
			in, out := filepath.Join(dir, "in.onnx"), filepath.Join(dir, "out.onnx")
			if err := os.WriteFile(in, m.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := FuseFile(context.Background(), in, out, Options{Engine: testEngine})
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*out*")); len(left) > 0 {
				t.Errorf("an error left %v", left)
			}
		})
	}
}

// TestBodyOfIdentity: an Identity with a body, which the standard's has not, is not deleted around what is folded in it.
func TestBodyOfIdentity(t *testing.T) {
	m := small()
	inner := onnxtest.Graph{Name: "inner", Outputs: []onnxtest.Value{onnxtest.Val("yi", onnxtest.Float32, 1, 2, 2, 2)}}
	for _, n := range m.Graph.Nodes {
		in := []string{n.In[0], "w", "b"} // x is the outer graph's
		if n.Op == "BatchNormalization" {
			in = []string{"ci", "gamma", "beta", "mean", "var"}
		}
		inner.Nodes = append(inner.Nodes, onnxtest.Node{Op: n.Op, Name: n.Name + "i", In: in, Out: []string{n.Out[0] + "i"}})
	}
	identity := onnxtest.Node{Op: "Identity", In: []string{"c"}, Out: []string{"same"}, Attrs: []onnxtest.Attr{onnxtest.GraphAttr("body", inner)}}
	m.Graph.Nodes[1].In[0] = "same"
	m.Graph.Nodes = []onnxtest.Node{m.Graph.Nodes[0], identity, m.Graph.Nodes[1]}
	_, plan, err := fuseBytes(t, testEngine, m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Steps) != 1 || len(plan.Skips) != 1 {
		t.Errorf("%d norms are folded and %d are kept, want the inner one folded and the outer one kept", len(plan.Steps), len(plan.Skips))
	}
}
