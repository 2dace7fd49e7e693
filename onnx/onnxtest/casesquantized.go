package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// quantizedCases are weights that are not dense floating-point numbers, and models that train.
func quantizedCases() []Case {
	return []Case{
		dequantized("weight of int8", func(n *net, w string) string {
			return n.node("DequantizeLinear", "dequantize", in(w, n.values("w_scale", shape(), 0.03125)))
		}),
		dequantized("weight of int8 per channel", func(n *net, w string) string {
			scale, zero := n.values("w_scale", shape(4), 0.5, 0.25, 0.125, 1), "w_zero"
			n.Init = append(n.Init, NewTensor(zero, Int8, shape(4), 0, 0, 0, 0))
			return n.node("DequantizeLinear", "dequantize", in(w, scale, zero), Int("axis", 0))
		}),
		{
			Name: "quantized/sparse weight", Why: "a sparse tensor is not stored as its view needs",
			Model: build(13, func(n *net) {
				n.SparseInit = append(n.SparseInit, SparseTensor{
					Values:  NewTensor("w", Float32, shape(3), 1, -2, 3),
					Indices: NewTensor("", Int64, shape(3), 5, 40, 90),
					Dims:    shape(4, 3, 3, 3),
				})
				y := n.node("Conv", "conv", in(n.input("x", 1, 3, 6, 6), "w"))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "quantized/sparse norm parameter", Why: "a sparse tensor is constant, but not of the forms that are read",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				params := n.normIn("bn", y, 4)
				n.drop("bn_beta")
				n.SparseInit = append(n.SparseInit, SparseTensor{
					Values: NewTensor("bn_beta", Float32, shape(1), 2), Indices: NewTensor("", Int64, shape(1), 1), Dims: shape(4),
				})
				n.output(n.node("BatchNormalization", "bn", params), 1, 4, 4, 4)
			}),
			Either: folded("bn"),
		}, {
			Name: "quantized/weight of strings", Why: "strings cannot be scaled",
			Model: build(13, func(n *net) {
				n.Init = append(n.Init, Tensor{Name: "w", Elem: Text, Dims: shape(1, 1, 1, 1), Text: []string{"one"}})
				y := n.node("Conv", "conv", in(n.input("x", 1, 1, 6, 6), "w"))
				n.output(n.norm("bn", y, 1), 1, 1, 6, 6)
			}),
			WantKept: kept("bn", fuse.ReasonDType), NoORT: "the model is wrong", NoEval: "the model is wrong",
		}, {
			Name: "quantized/quantization_annotation", Why: "what described the layer's old output must go; the weight's stays",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.Annotations = append(n.Annotations,
					Annotation{Tensor: y, Params: []Entry{{"SCALE_TENSOR", "s"}}},
					Annotation{Tensor: "x", Params: []Entry{{"SCALE_TENSOR", "s"}}})
				n.param("s", 1)
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "quantized/scales of quantization_annotations", Why: "what only an annotation read that goes is read by nobody",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.Annotations = append(n.Annotations,
					Annotation{Tensor: y, Params: []Entry{{"SCALE_TENSOR", n.param("y_scale", 1)}, {"ZERO_POINT_TENSOR", n.param("y_zero", 1)}}},
					Annotation{Tensor: "conv_w", Params: []Entry{{"SCALE_TENSOR", n.param("w_scale", 1)}, {"ZERO_POINT_TENSOR", n.param("zero", 1)}}},
					Annotation{Tensor: "x", Params: []Entry{{"ZERO_POINT_TENSOR", "zero"}}})
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "quantized/quantization_annotation of a parameter", Why: "what another value's annotation names goes on being there",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3)), 4)
				n.Annotations = append(n.Annotations, Annotation{Tensor: "x", Params: []Entry{{"SCALE_TENSOR", "bn_gamma"}}})
				n.output(n.node("Relu", "relu", in(y)), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "quantized/other weights are int8", Why: "a quantized layer beside does not touch this one",
			Model: build(13, func(n *net) {
				y := n.norm("bn", n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3)), 4)
				n.Init = append(n.Init, NewTensor("q", Int8, shape(2, 4, 1, 1), 1, -2, 3, 4, -5, 6, 7, -8))
				w := n.node("DequantizeLinear", "dequantize", in("q", n.values("q_scale", shape(), 0.125)))
				n.output(n.node("Conv", "conv2", in(n.node("Relu", "relu", in(y)), w)), 1, 2, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "quantized/training_info", Why: "a training step reads and updates the weights as they are",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				n.model.TrainingInfo = [][]byte{trainingInfo("conv_w")}
			}),
			WantKept: kept("bn", fuse.ReasonTrainingInfo),
		},
	}
}

// dequantized is a Conv whose weight is stored in int8.
func dequantized(name string, dequantize func(n *net, w string) string) Case {
	return Case{
		Name: "quantized/" + name, Why: "scaling a quantized weight would requantize it",
		Model: build(13, func(n *net) {
			t := NewTensor("w", Int8, shape(4, 3, 3, 3))
			for i := range t.NumElem() {
				t.Data = append(t.Data, float64(i*7%100-50))
			}
			n.Init = append(n.Init, t)
			y := n.node("Conv", "conv", in(n.input("x", 1, 3, 6, 6), dequantize(n, "w")))
			n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
		}),
		WantKept: kept("bn", fuse.ReasonWeight),
	}
}

// trainingInfo is a TrainingInfoProto whose step gives a weight back unchanged.
func trainingInfo(weight string) []byte {
	step := newMessage(Wire{})
	g := &Graph{Name: "step", Nodes: []Node{{Op: "Identity", Name: "keep", In: in(weight), Out: in("next")}}}
	g.Outputs = []Value{Val("next", Float32, 4, 3, 3, 3)}
	step.message(2, step.graph(g))
	step.entries(4, []Entry{{weight, "next"}})
	return step.encode()
}
