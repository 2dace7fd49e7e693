package onnxtest

// encodingCases have their parameters in every field a TensorProto has for them.
func encodingCases() []Case {
	var cases []Case
	for _, t := range []struct {
		name  string
		elem  ElemType
		noORT string
	}{
		{"float32 in float_data", Float32, ""},
		{"float64 in double_data", Float64, "float64 Conv"},
		{"float16 in int32_data", Float16, ""},
		{"bfloat16 in int32_data", BFloat16, "bfloat16 Conv"},
	} {
		for _, e := range []struct {
			name     string
			encoding Encoding
		}{{"packed", Packed}, {"a field each", Unpacked}, {"packed and not", Mixed}} {
			cases = append(cases, encoded(t.name+", "+e.name, t.elem, e.encoding, t.noORT))
		}
	}
	return append(cases,
		mixedEncodings(),
		Case{
			Name: "encoding/Constant in float_data", Why: "a Constant's tensor is encoded as an initializer's",
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				n.encode(Packed, "conv_w", "conv_b", "bn_gamma", "bn_beta", "bn_mean", "bn_var")
				n.toConstants("conv_w", "conv_b", "bn_gamma", "bn_beta", "bn_mean", "bn_var")
			}),
			WantFolded: folded("bn"),
		},
		Case{
			Name: "encoding/docs and unknown fields of tensors", Why: "what is said of a weight stays with it",
			Model: build(13, func(n *net) {
				y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				w := n.init("conv_w")
				w.Doc, w.Unknown = "the weight", UnknownField(1999, "of a weight")
			}),
			WantFolded: folded("bn"),
		},
		Case{
			Name: "encoding/int64_data packed", Why: "axes and shapes are encoded as weights are",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				c := n.node("Unsqueeze", "unsqueeze", in(n.param("c", 4), n.integers("axes", 1, 2)))
				c = n.node("Reshape", "reshape", in(c, n.integers("to", -1, 1, 1)))
				n.encode(Packed, "axes")
				n.encode(Mixed, "to")
				n.output(n.node("Mul", "mul", in(y, c)), 1, 4, 4, 4)
			}),
			WantFolded: folded("mul"),
		},
	)
}

func (n *net) encode(e Encoding, names ...string) {
	for _, name := range names {
		n.init(name).Encoding = e
	}
}

func encoded(name string, elem ElemType, e Encoding, noORT string) Case {
	return Case{
		Name: "encoding/" + name, Why: "a tensor's numbers are the same in whichever field they are",
		Model: build(15, func(n *net) {
			n.elem = elem
			y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
			n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			n.init("conv_w").Data[5] = -0.25 // a half type's sign bit is bit 15 of 32
			n.encode(e, "conv_w", "conv_b", "bn_gamma", "bn_beta", "bn_mean", "bn_var")
		}),
		WantFolded: folded("bn"), NoORT: noORT,
	}
}

func mixedEncodings() Case {
	return Case{
		Name: "encoding/one of each", Why: "each tensor may be encoded in its own way",
		Model: build(13, func(n *net) {
			y := n.biased("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3), shape(4))
			n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			n.encode(Raw, "conv_w")
			n.encode(Unpacked, "conv_b", "bn_beta")
			n.encode(Packed, "bn_gamma")
			n.encode(Mixed, "bn_mean")
		}),
		WantFolded: folded("bn"),
	}
}
