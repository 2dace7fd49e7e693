package verify_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bnfuse/bnfuse/onnx/onnxtest"
	"github.com/bnfuse/bnfuse/verify"
)

// pairOf is a case and what package onnx makes of it, both as values that a test may spoil.
type pairOf struct {
	c          onnxtest.Case
	a, b       *onnxtest.Model
	dirA, dirB string
}

// reload gives the pair anew, so that one mistake does not meet the next.
func (p *pairOf) reload(t *testing.T) {
	t.Helper()
	in := writeCase(t, p.c)
	out, _ := fuseFile(t, in)
	p.a, p.b = parseFile(t, in), parseFile(t, out)
}

func parseFile(t *testing.T, path string) *onnxtest.Model {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnxtest.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	dir := filepath.Dir(path)
	err = filepath.WalkDir(dir, func(at string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, at)
		if err == nil {
			files[filepath.ToSlash(rel)], err = os.ReadFile(at)
		}
		return err
	})
	if err == nil {
		err = m.Load(files)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (p *pairOf) verify(t *testing.T) *verify.Result {
	t.Helper()
	r, err := p.files(t)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (p *pairOf) files(t *testing.T) (*verify.Result, error) {
	t.Helper()
	if p.dirA == "" {
		p.dirA, p.dirB = t.TempDir(), t.TempDir()
	}
	return verify.Files(context.Background(), writeModel(t, p.dirA, p.a), writeModel(t, p.dirB, p.b))
}

// find gives a pair by the name of its case.
func find(t *testing.T, name string) *pairOf {
	t.Helper()
	for _, c := range onnxtest.Cases() {
		if c.Name == name {
			p := &pairOf{c: c}
			p.reload(t)
			return p
		}
	}
	t.Fatalf("there is no case %q", name)
	return nil
}

// flip changes the lowest bit of an element.
func flip(t *onnxtest.Tensor, i int) {
	raw, size := t.RawBytes(), t.Elem.Size()
	t.Bits = make([]uint64, t.NumElem())
	for k := range t.Bits {
		var b [8]byte
		copy(b[:], raw[k*size:(k+1)*size])
		t.Bits[k] = binary.LittleEndian.Uint64(b[:])
	}
	t.Bits[i] ^= 1
	t.Data = nil
}

// TestPlantedBits: in every tensor of every fused case, folded or not, one wrong bit is found, and the
// tensor is named.
func TestPlantedBits(t *testing.T) {
	for _, c := range onnxtest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			p := &pairOf{c: c}
			p.reload(t)
			count := 0
			p.b.EachTensor(func(x *onnxtest.Tensor) { count++ })
			for k := range count {
				var name string
				var kept onnxtest.Tensor
				at := -1
				var spoiled *onnxtest.Tensor
				p.b.EachTensor(func(x *onnxtest.Tensor) {
					if at++; at == k && x.Elem.Size() > 0 && x.NumElem() > 0 && x.External.Entries == nil {
						kept, spoiled, name = *x, x, x.Name
						flip(x, x.NumElem()/2)
					}
				})
				if spoiled == nil {
					continue
				}
				if loose(spoiled) {
					*spoiled = kept
					continue
				}
				r, err := p.files(t)
				if err == nil && (r.OK() || !strings.Contains(explain(r), name)) {
					t.Errorf("one wrong bit in %q: %q", name, explain(r))
				}
				*spoiled = kept
			}
		})
	}
}

// loose reports a bias that is not determined to the bit: the sum of a few operations in float64, stored
// as float64. See the bound in docs/verify.md.
func loose(t *onnxtest.Tensor) bool {
	return t.Elem == onnxtest.Float64 && len(t.Dims) == 1
}

// TestPlantedBitsInEveryWeight: all values of one weight and one bias, in every type.
func TestPlantedBitsInEveryWeight(t *testing.T) {
	for _, name := range []string{"encoding/float32 in float_data, packed", "encoding/float16 in int32_data, packed",
		"encoding/bfloat16 in int32_data, packed", "encoding/float64 in double_data, packed"} {
		p := find(t, name)
		for _, tensor := range []string{"conv_w", "conv_b"} {
			x := initializer(p.b, tensor)
			if loose(x) {
				continue
			}
			for i := range x.NumElem() {
				kept := *x
				flip(x, i)
				if r := p.verify(t); r.OK() || !strings.Contains(explain(r), tensor) {
					t.Errorf("%s: one wrong bit in %s[%d] is not found", name, tensor, i)
				}
				*x = kept
			}
		}
	}
}

func initializer(m *onnxtest.Model, name string) *onnxtest.Tensor {
	i := slices.IndexFunc(m.Graph.Init, func(x onnxtest.Tensor) bool { return x.Name == name })
	if i < 0 {
		panic("no initializer " + name)
	}
	return &m.Graph.Init[i]
}

func node(m *onnxtest.Model, name string) *onnxtest.Node {
	var found *onnxtest.Node
	m.EachNode(func(n *onnxtest.Node) {
		if n.Name == name {
			found = n
		}
	})
	if found == nil {
		panic("no node " + name)
	}
	return found
}

// TestWrongEps: a fold with another epsilon than the norm's is found for every norm of the table whose
// epsilon can be told from 1e-3 more than it is.
func TestWrongEps(t *testing.T) {
	for _, c := range onnxtest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			for _, name := range c.WantFolded {
				p := &pairOf{c: c}
				p.reload(t)
				n := node(p.a, name)
				if n.Op != "BatchNormalization" {
					continue
				}
				eps := float32(1e-5)
				n.Attrs = slices.DeleteFunc(n.Attrs, func(a onnxtest.Attr) bool {
					if a.Name == "epsilon" {
						eps = a.F
					}
					return a.Name == "epsilon"
				})
				n.Attrs = append(n.Attrs, onnxtest.Float("epsilon", eps*100+1e-3))
				if r := p.verify(t); r.OK() {
					t.Errorf("%s: the fold of another epsilon is not found", name)
				}
			}
		})
	}
}

// TestRemovedNode: whichever node of a fused model is left out, it is missed.
func TestRemovedNode(t *testing.T) {
	for _, c := range onnxtest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			p := &pairOf{c: c}
			p.reload(t)
			nodes := p.b.Graph.Nodes
			for i, gone := range nodes {
				if len(gone.In) == 0 || len(gone.Out) == 0 || gone.In[0] == "" {
					continue
				}
				p.b.Graph.Nodes = nil
				for j, n := range nodes {
					if j == i {
						continue
					}
					n.In = slices.Clone(n.In)
					for k, name := range n.In {
						if name == gone.Out[0] {
							n.In[k] = gone.In[0]
						}
					}
					p.b.Graph.Nodes = append(p.b.Graph.Nodes, n)
				}
				if r := p.verify(t); r.OK() {
					t.Errorf("%s %q can be left out", gone.Op, gone.Name)
				}
			}
			p.b.Graph.Nodes = nodes
		})
	}
}

// TestPlanted spoils fused models as a wrong folder would, and wants it found and named.
func TestPlanted(t *testing.T) {
	for _, c := range []struct {
		name, why, of string
		spoil         func(p *pairOf)
		want          []string // must be in the message
	}{
		{"wrong axis of a grouped ConvTranspose", "the channel of output is group·Cout/g + c; every other folder has it wrong", "convtranspose", func(p *pairOf) {
			wrongAxis(p)
		}, []string{"weight"}},
		{"a shift is dropped", "the bias is s·b alone", "encoding/one of each", func(p *pairOf) {
			change(initializer(p.b, "conv_b"), func(int, float64) float64 { return 0 })
		}, []string{"conv_b"}},
		{"a bias is dropped", "the layer reads none", "chain/three layers", func(p *pairOf) {
			n := node(p.b, "conv1")
			p.b.Graph.Init = slices.DeleteFunc(p.b.Graph.Init, func(x onnxtest.Tensor) bool { return x.Name == n.In[2] })
			n.In = n.In[:2]
		}, []string{"conv1", "there is no bias"}},
		{"two norms behind a layer in the wrong order", "the scale is the same, the shift is not", "chain/two norms", func(p *pairOf) {
			swapped(p.a, "bn1", "bn2")
		}, []string{"conv_b"}},
		{"γ and β are exchanged", "both have a number for each channel", "chain/c − y, norm, Div", func(p *pairOf) {
			n := node(p.a, "bn")
			n.In[1], n.In[2] = n.In[2], n.In[1] // as if γ were β
		}, []string{"conv_w"}},
		{"two norms in the wrong order", "their maps do not commute", "chain/two norms before", func(p *pairOf) {
			swapped(p.a, "bn1", "bn2")
		}, []string{"conv"}},
		{"the parameters of two layers' norms are exchanged", "bn1 and bn2 have other channels", "chain/first output read elsewhere", func(p *pairOf) {
			swapped(p.a, "bn1", "bn2")
		}, []string{"bn"}},
		{"an attribute changed", "a stride is no norm's affair", "chain/three layers", func(p *pairOf) {
			node(p.b, "conv2").Attrs[0].Ints[0] = 2
		}, []string{"conv2"}},
		{"metadata changed", "it belongs to the model", "chain/three layers", func(p *pairOf) {
			p.b.Metadata = []onnxtest.Entry{{Key: "fused", Value: "yes"}}
		}, []string{"field 14"}},
		{"a node is new", "nothing explains it", "chain/three layers", func(p *pairOf) {
			p.b.Graph.Nodes = append(p.b.Graph.Nodes, onnxtest.Node{Op: "Relu", Name: "extra", In: []string{"x"}, Out: []string{"extra_out"}})
		}, []string{"extra"}},
		{"a tensor is new", "nothing reads it", "chain/three layers", func(p *pairOf) {
			p.b.Graph.Init = append(p.b.Graph.Init, onnxtest.NewTensor("extra", onnxtest.Float32, []int64{1}, 1))
		}, []string{"extra"}},
		{"an output changed its type", "the caller relies on it", "chain/three layers", func(p *pairOf) {
			p.b.Graph.Outputs[0].Dims[0] = onnxtest.Dim{Name: "n"}
		}, []string{"outputs"}},
		{"a node has an empty input more", "no runtime takes it", "chain/three layers", func(p *pairOf) {
			n := node(p.b, "conv2")
			n.In = append(n.In, "")
		}, []string{"conv2"}},
		{"a node in between has an empty input more", "no runtime takes it", "between/MatMul, Transpose, norm", func(p *pairOf) {
			n := node(p.b, "t")
			n.In = append(n.In, "")
		}, []string{"t"}},
		{"a node in between has an output more", "no runtime takes it", "between/MatMul, Transpose, norm", func(p *pairOf) {
			n := node(p.b, "t")
			n.Out = append(n.Out, "more")
		}, []string{"t"}},
		{"a convolution's bias is a matrix", "no runtime takes it", "chain/three layers", func(p *pairOf) {
			b := initializer(p.b, node(p.b, "conv1").In[2])
			b.Dims = append([]int64{1}, b.Dims...)
		}, []string{"a vector"}},
		{"the bias behind a MatMul has another type", "no runtime takes it", "matmul/bias, norm", func(p *pairOf) {
			b := initializer(p.b, "b")
			*b = onnxtest.NewTensor(b.Name, onnxtest.Float64, b.Dims, b.Data...)
		}, []string{"bias \"b\"", "type"}},
		{"an Add that holds a bias has an attribute", "no runtime takes it", "matmul/bias, norm", func(p *pairOf) {
			n := node(p.b, "bias")
			n.Attrs = append(n.Attrs, onnxtest.Int("axis", 1))
		}, []string{"axis"}},
		{"a Gemm's beta has another type", "no runtime takes it", "gemm/alpha 0", func(p *pairOf) {
			n := node(p.b, "fc")
			n.Attrs = append(n.Attrs, onnxtest.Int("beta", 1))
		}, []string{"beta"}},
		{"a Constant's attribute has another type", "no runtime takes it", "function/own constants", func(p *pairOf) {
			for i := range p.b.Functions[0].Nodes {
				if n := &p.b.Functions[0].Nodes[i]; n.Op == "Constant" {
					n.Attrs[0].Type = onnxtest.AttrInts
				}
			}
		}, []string{"Conv"}},
		{"a weight is scaled in the wrong type", "rounded to bfloat16 on the way", "chain/three layers", func(p *pairOf) {
			change(initializer(p.b, "conv1_w"), func(_ int, x float64) float64 {
				return float64(math.Float32frombits(math.Float32bits(float32(x)) &^ 0xffff))
			})
		}, []string{"conv1_w"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p *pairOf
			if c.of == "convtranspose" {
				p = groupedTransposed(t)
			} else {
				p = find(t, c.of)
			}
			if r := p.verify(t); !r.OK() {
				t.Fatalf("before it was spoiled: %s", explain(r))
			}
			c.spoil(p)
			r := p.verify(t)
			for _, want := range c.want {
				if r.OK() || !strings.Contains(explain(r), want) {
					t.Errorf("%s, and %q is not named: %q", c.why, want, explain(r))
				}
			}
		})
	}
}

// swapped exchanges what two norms do, not where they are.
func swapped(m *onnxtest.Model, first, second string) {
	a, b := node(m, first), node(m, second)
	for i := 1; i < 5; i++ {
		a.In[i], b.In[i] = b.In[i], a.In[i]
	}
}

// groupedTransposed is the case with a ConvTranspose of two groups.
func groupedTransposed(t *testing.T) *pairOf {
	t.Helper()
	for _, c := range onnxtest.Cases() {
		if len(c.WantFolded) != 1 || !strings.HasPrefix(c.Name, "convtranspose/") || c.Model.Graph == nil {
			continue
		}
		grouped := false
		c.Model.EachNode(func(n *onnxtest.Node) {
			for _, a := range n.Attrs {
				grouped = grouped || n.Op == "ConvTranspose" && a.Name == "group" && a.I == 2
			}
		})
		if grouped {
			p := &pairOf{c: c}
			p.reload(t)
			return p
		}
	}
	t.Fatal("the table has no grouped ConvTranspose")
	return nil
}

// wrongAxis scales a grouped ConvTranspose's weight [Cin, Cout/g, …] as if it had one group: every group
// by the scales of the first.
func wrongAxis(p *pairOf) {
	var conv, bn *onnxtest.Node
	p.a.EachNode(func(n *onnxtest.Node) {
		switch n.Op {
		case "ConvTranspose":
			conv = n
		case "BatchNormalization":
			bn = n
		}
	})
	was, is := initializer(p.a, conv.In[1]), initializer(p.b, conv.In[1])
	gamma, variance := initializer(p.a, bn.In[1]), initializer(p.a, bn.In[4])
	eps := float64(float32(1e-5))
	for _, a := range bn.Attrs {
		if a.Name == "epsilon" {
			eps = float64(a.F)
		}
	}
	perGroup := int(was.Dims[1])
	run := was.NumElem() / int(was.Dims[0]) / perGroup
	change(is, func(i int, _ float64) float64 {
		c := i / run % perGroup
		return was.Data[i] * (gamma.Data[c] / math.Sqrt(variance.Data[c]+eps))
	})
}

// change gives every element of a tensor a new value.
func change(x *onnxtest.Tensor, to func(i int, x float64) float64) {
	for i := range x.Data {
		x.Data[i] = to(i, x.Data[i])
	}
	x.Bits = nil
}

// ExampleFiles shows how a program asks.
func ExampleFiles() {
	r, err := verify.Files(context.Background(), "../testdata/resnet.onnx", "../testdata/resnet.onnx")
	fmt.Println(err, r.OK(), len(r.Layers))
	// Output: <nil> true 0
}

// TestFoldedThroughPadding: what was added behind an average of zeros is not the same in front of it.
func TestFoldedThroughPadding(t *testing.T) {
	for _, name := range []string{"average/one number behind counted pads", "average/one number behind counted pads of other axes"} {
		p := find(t, name)
		if r := p.verify(t); !r.OK() {
			t.Errorf("%s, as it is: %v", name, r)
		}
		nodes := p.b.Graph.Nodes
		last := len(nodes) - 1
		nodes[last-1].Out = nodes[last].Out // without the Add
		p.b.Graph.Nodes = nodes[:last]
		bias := initializer(p.b, "conv_b")
		var raised []float64
		for raw := bias.RawBytes(); len(raw) > 0; raw = raw[4:] {
			raised = append(raised, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))+3))
		}
		*bias = onnxtest.NewTensor(bias.Name, bias.Elem, bias.Dims, raised...)
		if r := p.verify(t); r.OK() {
			t.Errorf("%s: a 3 that is added to the zeros too is accepted", name)
		}
	}
}
