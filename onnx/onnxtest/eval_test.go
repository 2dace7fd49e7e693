package onnxtest

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// single is a model of one node whose inputs are all initializers, but those that are empty.
func single(opset int64, op string, inputs []Array, attrs ...Attr) *Model {
	g := &Graph{Name: "single"}
	node := Node{Op: op, Name: op, Out: []string{"y"}, Attrs: attrs}
	for i, a := range inputs {
		name := fmt.Sprintf("i%d", i)
		if a.Elem == 0 {
			name = ""
		} else {
			g.Init = append(g.Init, a.Tensor(name))
		}
		node.In = append(node.In, name)
	}
	g.Nodes, g.Outputs = []Node{node}, []Value{{Name: "y"}}
	return &Model{IR: 8, Opsets: []Opset{{"", opset}}, Graph: g}
}

func f(dims []int, data ...float64) Array { return Array{Elem: Float64, Dims: dims, Data: data} }
func ints(data ...float64) Array          { return Array{Elem: Int64, Dims: []int{len(data)}, Data: data} }
func d(dims ...int) []int                 { return dims }
func given(arrays ...Array) []Array       { return arrays }

// Each operator on numbers small enough to follow. The shared table runs the layers and norms at length;
// here is what it does not reach.
func TestOperators(t *testing.T) {
	x23 := f(d(2, 3), 1, 2, 3, 4, 5, 6)
	line := f(d(1, 1, 4), 1, 2, 3, 4)
	for _, c := range []struct {
		name   string
		opset  int64
		op     string
		inputs []Array
		attrs  []Attr
		dims   []int
		want   []float64
	}{
		{"kernel of 2, stride 2", 13, "Conv", given(line, f(d(1, 1, 2), 1, 10)), []Attr{Ints("strides", 2)}, d(1, 1, 2), []float64{21, 43}},
		{"dilation", 13, "Conv", given(line, f(d(1, 1, 2), 1, 10)), []Attr{Ints("dilations", 2)}, d(1, 1, 2), []float64{31, 42}},
		{"SAME_UPPER pads the end", 13, "Conv", given(line, f(d(1, 1, 2), 1, 10)), []Attr{String("auto_pad", "SAME_UPPER")}, d(1, 1, 4), []float64{21, 32, 43, 4}},
		{"SAME_LOWER pads the start", 13, "Conv", given(line, f(d(1, 1, 2), 1, 10)), []Attr{String("auto_pad", "SAME_LOWER")}, d(1, 1, 4), []float64{10, 21, 32, 43}},
		{"two groups", 13, "Conv", given(f(d(1, 2, 1), 3, 5), f(d(2, 1, 1), 10, 100), f(d(2), 1, 2)), []Attr{Int("group", 2)}, d(1, 2, 1), []float64{31, 502}},
		{"stride 2", 13, "ConvTranspose", given(f(d(1, 1, 2), 1, 2), f(d(1, 1, 3), 1, 10, 100)), []Attr{Ints("strides", 2)}, d(1, 1, 5), []float64{1, 10, 102, 20, 200}},
		{"pads cut", 13, "ConvTranspose", given(f(d(1, 1, 2), 1, 2), f(d(1, 1, 3), 1, 10, 100)), []Attr{Ints("pads", 1, 1)}, d(1, 1, 2), []float64{12, 120}},
		{"two groups", 13, "ConvTranspose", given(f(d(1, 2, 1), 3, 5), f(d(2, 1, 1), 10, 100)), []Attr{Int("group", 2)}, d(1, 2, 1), []float64{30, 500}},

		{"alpha, beta", 13, "Gemm", given(f(d(1, 2), 1, 2), f(d(2, 1), 3, 4), f(d(1), 5)), []Attr{Float("alpha", 2), Float("beta", 10)}, d(1, 1), []float64{72}},
		{"transA, transB", 13, "Gemm", given(f(d(2, 1), 1, 2), f(d(1, 2), 3, 4)), []Attr{Int("transA", 1), Int("transB", 1)}, d(1, 1), []float64{11}},
		{"vectors", 13, "MatMul", given(f(d(2), 1, 2), f(d(2), 3, 4)), nil, d(), []float64{11}},
		{"batch", 13, "MatMul", given(f(d(2, 1, 2), 1, 2, 3, 4), f(d(2, 1), 10, 1)), nil, d(2, 1, 1), []float64{12, 34}},
		{"batch of the right", 13, "MatMul", given(f(d(2), 1, 2), f(d(2, 2, 1), 1, 2, 3, 4)), nil, d(2, 1), []float64{5, 11}},

		{"inference", 15, "BatchNormalization", given(f(d(1, 2), 3, 5), f(d(2), 2, 4), f(d(2), 1, 0), f(d(2), 1, 3), f(d(2), 3, 0)), []Attr{Float("epsilon", 1)}, d(1, 2), []float64{3, 8}},
		{"training", 15, "BatchNormalization", given(f(d(2, 1), 1, 3), f(d(1), 1), f(d(1), 0), f(d(1), 9), f(d(1), 9)), []Attr{Float("epsilon", 3), Int("training_mode", 1)}, d(2, 1), []float64{-0.5, 0.5}},

		{"from an axis", 6, "Mul", given(f(d(1, 2, 2), 1, 2, 3, 4), f(d(2), 10, 100)), []Attr{Int("broadcast", 1), Int("axis", 1)}, d(1, 2, 2), []float64{10, 20, 300, 400}},
		{"suffix", 6, "Mul", given(f(d(1, 2, 2), 1, 2, 3, 4), f(d(2), 10, 100)), []Attr{Int("broadcast", 1)}, d(1, 2, 2), []float64{10, 200, 30, 400}},
		{"both ways", 13, "Add", given(f(d(2, 1), 1, 2), f(d(2), 10, 20)), nil, d(2, 2), []float64{11, 21, 12, 22}},
		{"of integers", 13, "Div", given(ints(7, -7), ints(2)), nil, d(2), []float64{3, -3}},
		{"power", 13, "Pow", given(f(d(2), 4, 9), f(d(), -0.5)), nil, d(2), []float64{0.5, 1.0 / 3}},
		{"attributes", 6, "Clip", given(f(d(3), -2, 0, 2)), []Attr{Float("min", -1), Float("max", 1)}, d(3), []float64{-1, 0, 1}},
		{"inputs", 13, "Clip", given(f(d(3), -2, 0, 2), Array{}, f(d(), 1)), nil, d(3), []float64{-2, 0, 1}},
		{"to half", 13, "Cast", given(f(d(2), 1.0/3, 70000)), []Attr{Int("to", int64(Float16))}, d(2), []float64{0.333251953125, math.Inf(1)}},
		{"to integers", 13, "Cast", given(f(d(2), 1.7, -1.7)), []Attr{Int("to", int64(Int64))}, d(2), []float64{1, -1}},
		{"last axis", 13, "Softmax", given(f(d(2, 2), 0, math.Log(3), 0, 0)), nil, d(2, 2), []float64{0.25, 0.75, 0.5, 0.5}},
		{"from axis 1", 11, "Softmax", given(f(d(1, 1, 2), 0, math.Log(3))), nil, d(1, 1, 2), []float64{0.25, 0.75}},
		{"alpha", 13, "LeakyRelu", given(f(d(2), -2, 2)), []Attr{Float("alpha", 0.5)}, d(2), []float64{-1, 2}},

		{"0 and -1", 13, "Reshape", given(x23, ints(0, -1, 1)), nil, d(2, 3, 1), x23.Data},
		{"attribute", 1, "Reshape", given(x23), []Attr{Ints("shape", 3, 2)}, d(3, 2), x23.Data},
		{"axis 0", 13, "Flatten", given(x23), []Attr{Int("axis", 0)}, d(1, 6), x23.Data},
		{"all", 13, "Squeeze", given(f(d(1, 2, 1), 1, 2)), nil, d(2), []float64{1, 2}},
		{"from the end", 13, "Unsqueeze", given(f(d(2), 1, 2), ints(0, -1)), nil, d(1, 2, 1), []float64{1, 2}},
		{"both ways", 13, "Expand", given(f(d(2, 1), 1, 2), ints(2)), nil, d(2, 2), []float64{1, 1, 2, 2}},
		{"reversed", 13, "Transpose", given(x23), nil, d(3, 2), []float64{1, 4, 2, 5, 3, 6}},
		{"axis 1", 13, "Concat", given(x23, f(d(2, 1), 7, 8)), []Attr{Int("axis", 1)}, d(2, 4), []float64{1, 2, 3, 7, 4, 5, 6, 8}},
		{"part", 15, "Shape", given(f(d(1, 1, 2), 1, 2)), []Attr{Int("start", -2)}, d(2), []float64{1, 2}},
		{"axis 1", 13, "Gather", given(x23, Array{Elem: Int64, Dims: d(), Data: []float64{-1}}), []Attr{Int("axis", 1)}, d(2), []float64{3, 6}},
		{"attributes", 9, "Slice", given(x23), []Attr{Ints("starts", 1), Ints("ends", 99), Ints("axes", 1)}, d(2, 2), []float64{2, 3, 5, 6}},
		{"backwards", 13, "Slice", given(x23, ints(-1), ints(math.MinInt64), ints(1), ints(-2)), nil, d(2, 2), []float64{3, 1, 6, 4}},
		{"constant", 13, "Pad", given(line, ints(0, 0, 1, 0, 0, 1), f(d(), 9)), nil, d(1, 1, 6), []float64{9, 1, 2, 3, 4, 9}},
		{"reflect", 13, "Pad", given(line, ints(0, 0, 2, 0, 0, 1)), []Attr{String("mode", "reflect")}, d(1, 1, 7), []float64{3, 2, 1, 2, 3, 4, 3}},
		{"edge", 13, "Pad", given(line, ints(0, 0, 2, 0, 0, 1)), []Attr{String("mode", "edge")}, d(1, 1, 7), []float64{1, 1, 1, 2, 3, 4, 4}},
		{"axes", 18, "Pad", given(x23, ints(1, 0), Array{}, ints(1)), nil, d(2, 4), []float64{0, 1, 2, 3, 0, 4, 5, 6}},

		{"without padding", 13, "AveragePool", given(line), []Attr{Ints("kernel_shape", 2), Ints("pads", 1, 0)}, d(1, 1, 4), []float64{1, 1.5, 2.5, 3.5}},
		{"with padding", 13, "AveragePool", given(line), []Attr{Ints("kernel_shape", 2), Ints("pads", 1, 0), Int("count_include_pad", 1)}, d(1, 1, 4), []float64{0.5, 1.5, 2.5, 3.5}},
		{"ceil_mode", 13, "MaxPool", given(line), []Attr{Ints("kernel_shape", 3), Ints("strides", 2), Int("ceil_mode", 1)}, d(1, 1, 2), []float64{3, 4}},
		{"global", 13, "GlobalAveragePool", given(line), nil, d(1, 1, 1), []float64{2.5}},
		{"attribute", 13, "ReduceMean", given(x23), []Attr{Ints("axes", 0)}, d(1, 3), []float64{2.5, 3.5, 4.5}},
		{"input", 13, "ReduceSum", given(x23, ints(-1)), []Attr{Int("keepdims", 0)}, d(2), []float64{6, 15}},
		{"all", 13, "ReduceMax", given(x23), []Attr{Int("keepdims", 0)}, d(), []float64{6}},

		{"per channel", 13, "DequantizeLinear", given(Array{Elem: Int8, Dims: d(2, 1), Data: []float64{3, -4}}, f(d(2), 0.5, 2)), []Attr{Int("axis", 0)}, d(2, 1), []float64{1.5, -8}},
		{"zeros", 13, "ConstantOfShape", given(ints(2)), nil, d(2), []float64{0, 0}},
		{"list", 13, "Constant", nil, []Attr{Floats("value_floats", 1, 2)}, d(2), []float64{1, 2}},
	} {
		t.Run(c.op+"/"+c.name, func(t *testing.T) {
			outputs, err := Eval(single(c.opset, c.op, c.inputs, c.attrs...), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := outputs["y"]
			same := slices.EqualFunc(got.Data, c.want, func(a, b float64) bool { return near(a, b, 1e-12) })
			if !slices.Equal(got.Dims, c.dims) || !same {
				t.Errorf("got %v %v, want %v %v", got.Dims, got.Data, c.dims, c.want)
			}
		})
	}
}

// What cannot be computed is an error that names the node, and never a guess.
func TestEvalRefuses(t *testing.T) {
	x := f(d(1, 2), 1, 2)
	for _, c := range []struct {
		why string
		m   *Model
	}{
		{"random numbers", single(6, "Dropout", given(x))},
		{"random numbers", single(13, "Dropout", given(x, Array{}, Array{Elem: Bool, Dims: d(), Data: []float64{1}}))},
		{"an operator nobody knows", single(13, "Frobnicate", given(x))},
		{"shapes that do not broadcast", single(13, "Add", given(x, f(d(3), 1, 2, 3)))},
		{"a broadcast that was not asked for", single(6, "Add", given(x, f(d(2), 1, 2)))},
		{"a Gemm without C before opset 11", single(9, "Gemm", given(x, f(d(2, 1), 1, 2)))},
		{"an input that is missing", single(13, "Add", given(x))},
		{"matrices that do not multiply", single(13, "MatMul", given(x, x))},
		{"no graph", &Model{}},
	} {
		if _, err := Eval(c.m, nil); err == nil {
			t.Errorf("%s: no error", c.why)
		} else {
			t.Log(err)
		}
	}
}
