package onnxtest

import (
	"strings"
	"testing"
)

// Each promise of Sound, broken once.
func TestSoundSees(t *testing.T) {
	model := func() *Model {
		return build(13, func(n *net) {
			y := n.node("Conv", "conv", in(n.input("x", 1, 3, 6, 6), n.param("w", 4, 3, 3, 3)), Int("group", 1))
			n.describe(y, 1, 4, 4, 4)
			n.output(n.node("Relu", "relu", in(y)), 1, 4, 4, 4)
			n.model.Metadata = []Entry{{"author", "nobody"}}
		})
	}
	if err := Sound(model(), model()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want   string
		change func(m *Model)
	}{
		{"before it is defined", func(m *Model) { m.Graph.Nodes[1].In[0] = "nothing" }},
		{"before it is defined", func(m *Model) { g := m.Graph; g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0] }},
		{"defined twice", func(m *Model) { m.Graph.Nodes[1].Out[0] = "conv_out" }},
		{"nothing uses", func(m *Model) { m.Graph.Init = append(m.Graph.Init, NewTensor("left", Float32, nil, 1)) }},
		{"described and is gone", func(m *Model) { m.Graph.ValueInfo[0].Name = "gone" }},
		{"outputs", func(m *Model) { m.Graph.Outputs[0].Dims = nil }},
		{"inputs", func(m *Model) { m.Graph.Inputs = append(m.Graph.Inputs, Val("z", Float32)) }},
		{"metadata", func(m *Model) { m.Metadata = nil }},
		{"unknown fields", func(m *Model) { m.Graph.Unknown = UnknownField(1999, "new") }},
		{"other attributes", func(m *Model) { m.Graph.Nodes[0].Attrs[0].I = 2 }},
		{"lost what was said", func(m *Model) { m.Graph.Nodes[0].Doc = "new" }},
		{"hides", func(m *Model) {
			branch := Graph{Nodes: []Node{{Op: "Neg", Name: "n", In: in("x"), Out: in("conv_out")}}, Outputs: []Value{{Name: "conv_out"}}}
			m.Graph.Nodes = append(m.Graph.Nodes, Node{Op: "If", Name: "if", In: in("x"), Attrs: []Attr{GraphAttr("then_branch", branch)}})
		}},
	} {
		after := model()
		c.change(after)
		if err := Sound(model(), after); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Sound says %v, want %q", err, c.want)
		}
	}
}

// A difference in a value or in a shape is one, as far as the type can tell.
func TestCompareSees(t *testing.T) {
	model := func(elem ElemType, w float64, channels int64) *Model {
		return build(13, func(n *net) {
			n.elem = elem
			y := n.node("Conv", "conv", in(n.input("x", 1, 1, 2, 2), n.between("w", w, w, shape(channels, 1, 1, 1))))
			n.output(y, 1, int(channels), 2, 2)
		})
	}
	for _, c := range []struct {
		why           string
		before, after *Model
		equal         bool
	}{
		{"the same", model(Float32, 0.5, 2), model(Float32, 0.5, 2), true},
		{"one unit in the last place of float32", model(Float32, 0.5, 2), model(Float32, 0.5+1.0/(1<<24), 2), true},
		{"a thousandth of float32", model(Float32, 0.5, 2), model(Float32, 0.5005, 2), false},
		{"a thousandth of float16", model(Float16, 0.5, 2), model(Float16, 0.5005, 2), true},
		{"a tenth of float16", model(Float16, 0.5, 2), model(Float16, 0.55, 2), false},
		{"another number of channels", model(Float32, 0.5, 2), model(Float32, 0.5, 3), false},
	} {
		if err := Compare(c.before, c.after, nil); (err == nil) != c.equal {
			t.Errorf("%s: %v", c.why, err)
		}
	}
}
