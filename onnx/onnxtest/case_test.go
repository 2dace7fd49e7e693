package onnxtest

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Every row has a name, a reason and something to look for: a row without is a mistake in the table.
func TestCasesAreComplete(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range Cases() {
		if c.Name == "" || c.Why == "" || seen[c.Name] {
			t.Errorf("case %q: no name, no reason, or a name that was there before", c.Name)
		}
		seen[c.Name] = true
		nodes := make(map[string]bool)
		c.Model.EachNode(func(n *Node) {
			if n.Name == "" || nodes[n.Name] && !sharedName[n.Name] {
				t.Errorf("case %s: node name %q is empty or not unique", c.Name, n.Name)
			}
			nodes[n.Name] = true
		})
		for _, name := range slices.Concat(c.WantFolded, c.Either, sortedKeys(c.WantKept)) {
			if !nodes[name] {
				t.Errorf("case %s: no node %q", c.Name, name)
			}
		}
	}
	t.Logf("%d cases", len(seen))
}

// sharedName are nodes that no case looks for.
var sharedName = map[string]bool{"neg": true}

// Every norm of a case is accounted for.
func TestCasesNameEveryNorm(t *testing.T) {
	for _, c := range Cases() {
		c.Model.EachNode(func(n *Node) {
			named := slices.Contains(c.WantFolded, n.Name) || slices.Contains(c.Either, n.Name)
			if _, ok := c.WantKept[n.Name]; n.Op == "BatchNormalization" && !ok && !named {
				t.Errorf("case %s: nothing is said of norm %q", c.Name, n.Name)
			}
		})
	}
}

// A model is the same in whatever form it is written, and nothing of it is lost in reading: what was
// parsed gives the same bytes when it is written in the usual form.
func TestParseOfEveryForm(t *testing.T) {
	for _, c := range Cases() {
		m := *c.Model
		m.Wire = Wire{}
		want := m.Bytes()
		for _, m.Wire = range []Wire{
			{}, {Order: Descending}, {Order: Interleaved}, {SplitGraph: true}, {SplitTensor: true},
			{Order: Descending, SplitGraph: true, SplitTensor: true},
		} {
			got, err := Parse(m.Bytes())
			if err != nil {
				t.Errorf("case %s, %+v: %v", c.Name, m.Wire, err)
			} else if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("case %s, %+v: read and written again, the model is another", c.Name, m.Wire)
			}
		}
	}
}

// Every case computes something, of the dims it declares, and finite unless it says so.
func TestCasesEvaluate(t *testing.T) {
	for _, c := range Cases() {
		if c.NoEval != "" {
			continue
		}
		m := c.loaded(t)
		inputs := c.Inputs
		if inputs == nil {
			inputs = RandomInputs(m, 1)
		}
		outputs, err := Eval(m, inputs)
		if err != nil {
			t.Errorf("case %s: %v", c.Name, err)
			continue
		}
		for _, v := range m.Graph.Outputs {
			out := outputs[v.Name]
			if out.Elem != v.Elem || !v.Unranked && !dimsFit(out.Dims, v.Dims) {
				t.Errorf("case %s: output %s is %v of type %d, declared %+v", c.Name, v.Name, out.Dims, out.Elem, v)
			}
			if finite := !slices.ContainsFunc(out.Data, func(x float64) bool { return !isFinite(x) }); finite == c.NonFinite {
				t.Errorf("case %s: output %s: finite is %v", c.Name, v.Name, finite)
			}
		}
	}
}

func dimsFit(got []int, want []Dim) bool {
	return slices.EqualFunc(got, want, func(n int, d Dim) bool { return d.Any || d.Name != "" || int64(n) == d.Size })
}

func (c Case) loaded(t *testing.T) *Model {
	t.Helper()
	m, err := Parse(c.Model.Bytes())
	if err == nil {
		err = m.Load(c.Model.Files())
	}
	if err != nil {
		t.Fatalf("case %s: %v", c.Name, err)
	}
	return m
}

// A model passes its own Check when nothing had to be folded, and does not when something had.
func TestCheckOfUnchanged(t *testing.T) {
	for _, c := range Cases() {
		err := c.Check(c.Model.Bytes(), c.Model.Files())
		if c.NoEval != "" {
			continue // such a model may not even parse
		}
		if want := len(c.WantFolded) > 0; (err != nil) != want {
			t.Errorf("case %s: Check of the model itself: %v", c.Name, err)
		}
	}
}

// A norm that is dropped and not folded must show in what the model computes: else the case proves
// nothing.
func TestDroppedNormsShow(t *testing.T) {
	for _, c := range Cases() {
		if c.NoEval != "" || c.NonFinite {
			continue
		}
		for _, name := range slices.Concat(c.WantFolded, slices.Collect(maps.Keys(c.WantKept))) {
			before, after := c.loaded(t), c.loaded(t)
			after.EachNode(func(n *Node) {
				if n.Name == name {
					drop(n)
				}
			})
			if Compare(before, after, c.Inputs) == nil && !harmless[c.Name] {
				t.Errorf("case %s: without norm %q the outputs are the same", c.Name, name)
			}
		}
	}
}

// drop makes the node give what it got.
func drop(n *Node) {
	isActivation := func(name string) bool { return name == "x" || strings.HasSuffix(name, "_out") }
	kept := n.In[0]
	if !isActivation(kept) {
		kept = n.In[1] // the first is the constant
	}
	n.Op, n.Domain, n.Attrs, n.In = "Identity", "", nil, []string{kept}
}

// harmless are the cases whose output cannot depend on the norm.
var harmless = map[string]bool{
	"shape/empty batch":                 true,
	"number/weight vanishes in float16": true,
}
