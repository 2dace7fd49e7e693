package onnxtest

import (
	"fmt"
	"hash/fnv"
	"slices"
)

// net builds the model of a case, node by node. A node's first output is named after the node.
type net struct {
	*Graph
	model *Model
	elem  ElemType // of inputs, outputs and parameters
}

// build makes a model of the default domain's opset. In IR 3, initializers become inputs too.
func build(opset int64, body func(n *net)) *Model {
	m := &Model{IR: 8, Opsets: []Opset{{"", opset}}, Graph: &Graph{Name: "net"}}
	body(&net{Graph: m.Graph, model: m, elem: Float32})
	if m.IR < 4 {
		for _, t := range m.Graph.Init {
			m.Graph.Inputs = append(m.Graph.Inputs, t.value())
		}
	}
	return m
}

// value describes the tensor as a graph input does.
func (t Tensor) value() Value {
	v := Value{Name: t.Name, Elem: t.Elem}
	for _, d := range t.Dims {
		v.Dims = append(v.Dims, Dim{Size: d})
	}
	return v
}

// body makes a subgraph.
func (n *net) body(name string, body func(n *net)) Graph {
	g := Graph{Name: name}
	body(&net{Graph: &g, model: n.model, elem: n.elem})
	return g
}

func (n *net) input(name string, dims ...any) string {
	n.Inputs = append(n.Inputs, Val(name, n.elem, dims...))
	return name
}

func (n *net) output(name string, dims ...any) {
	n.Outputs = append(n.Outputs, Val(name, n.elem, dims...))
}

// describe adds a value_info.
func (n *net) describe(name string, dims ...any) {
	n.ValueInfo = append(n.ValueInfo, Val(name, n.elem, dims...))
}

// overridable makes an initializer a graph input too.
func (n *net) overridable(name string) {
	n.Inputs = append(n.Inputs, n.init(name).value())
}

func (n *net) init(name string) *Tensor {
	i := slices.IndexFunc(n.Init, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("onnxtest: no initializer %q", name))
	}
	return &n.Init[i]
}

// drop removes an initializer.
func (n *net) drop(name string) {
	n.Init = slices.DeleteFunc(n.Init, func(t Tensor) bool { return t.Name == name })
}

// node adds a node and gives its output.
func (n *net) node(op, name string, in []string, attrs ...Attr) string {
	out := name + "_out"
	n.Nodes = append(n.Nodes, Node{Op: op, Name: name, In: in, Out: []string{out}, Attrs: attrs})
	return out
}

// last is the node added last.
func (n *net) last() *Node { return &n.Nodes[len(n.Nodes)-1] }

func in(names ...string) []string { return names }

func shape(dims ...int64) []int64 { return dims }

// param adds an initializer of random numbers between -1 and 1, the same for the same name.
func (n *net) param(name string, dims ...int64) string {
	return n.between(name, -1, 1, dims)
}

func (n *net) between(name string, low, high float64, dims []int64) string {
	t := NewTensor(name, n.elem, dims)
	t.Data = make([]float64, t.NumElem())
	hash := fnv.New64a()
	hash.Write([]byte(name))
	r := random(hash.Sum64())
	for i := range t.Data {
		t.Data[i] = low + (high-low)*r.float()
	}
	n.Init = append(n.Init, t)
	return name
}

// values adds an initializer of given numbers.
func (n *net) values(name string, dims []int64, data ...float64) string {
	n.Init = append(n.Init, NewTensor(name, n.elem, dims, data...))
	return name
}

// integers adds an int64 vector.
func (n *net) integers(name string, data ...float64) string {
	n.Init = append(n.Init, NewTensor(name, Int64, shape(int64(len(data))), data...))
	return name
}

// index adds an integer without axes.
func (n *net) index(name string, i float64) string {
	n.Init = append(n.Init, NewTensor(name, Int64, shape(), i))
	return name
}

// constant adds a Constant node.
func (n *net) constant(name string, value Attr) string {
	return n.node("Constant", name, nil, value)
}

// layer adds Conv, ConvTranspose, Gemm or MatMul with a random weight and no bias.
func (n *net) layer(op, name, x string, weight []int64, attrs ...Attr) string {
	return n.node(op, name, in(x, n.param(name+"_w", weight...)), attrs...)
}

// biased adds Conv, ConvTranspose or Gemm with a random weight and bias.
func (n *net) biased(op, name, x string, weight, bias []int64, attrs ...Attr) string {
	w, b := n.param(name+"_w", weight...), n.param(name+"_b", bias...)
	return n.node(op, name, in(x, w, b), attrs...)
}

// norm adds a BatchNormalization with parameters gamma, beta, mean and var of its own.
func (n *net) norm(name, x string, channels int64, attrs ...Attr) string {
	return n.node("BatchNormalization", name, n.normIn(name, x, channels), attrs...)
}

func (n *net) normIn(name, x string, channels int64) []string {
	return in(x,
		n.param(name+"_gamma", channels), n.param(name+"_beta", channels), n.param(name+"_mean", channels),
		n.between(name+"_var", 0.1, 1.5, shape(channels)))
}

// by adds x op c with a random constant c between 0.5 and 1.5.
func (n *net) by(op, name, x string, dims []int64, attrs ...Attr) string {
	c := n.between(name+"_c", 0.5, 1.5, dims)
	return n.node(op, name, in(x, c), attrs...)
}
