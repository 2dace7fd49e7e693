package onnxtest

import "github.com/bnfuse/bnfuse/fuse"

// domainCases are operators of other domains, and the default domain under its other name.
func domainCases() []Case {
	// foreign makes a function with the name of a standard operator in another domain, which does
	// something else: it doubles its first input.
	foreign := func(n *net, op string, inputs ...string) {
		n.function(op, inputs, in("sum_out"), func(f *net) { f.node("Add", "sum", in(inputs[0], inputs[0])) })
	}
	return []Case{
		{
			Name: "domain/ai.onnx on the nodes", Why: "ai.onnx is the default domain's other name",
			Model: build(13, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.last().Domain = "ai.onnx"
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				n.last().Domain = "ai.onnx"
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "domain/ai.onnx in the import", Why: "ai.onnx is the default domain's other name",
			Model: build(13, func(n *net) {
				n.model.Opsets[0].Domain = "ai.onnx"
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "domain/others imported too", Why: "the default domain's version counts, wherever it stands",
			Model: build(9, func(n *net) {
				n.model.Opsets = []Opset{{"ai.onnx.ml", 2}, {"", 9}, {"com.microsoft", 1}}
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantFolded: folded("bn"),
		}, {
			Name: "domain/foreign norm", Why: "an operator of another domain may do anything",
			Model: build(17, func(n *net) {
				foreign(n, "BatchNormalization", "x", "gamma", "beta", "mean", "var")
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				n.last().Domain = local
			}),
			WantKept: kept("bn", fuse.ReasonForeign),
		}, {
			Name: "domain/foreign Mul", Why: "an operator of another domain may do anything",
			Model: build(17, func(n *net) {
				foreign(n, "Mul", "a", "b")
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.by("Mul", "mul", y, shape(4, 1, 1)), 1, 4, 4, 4)
				n.last().Domain = local
			}),
			WantKept: kept("mul", fuse.ReasonForeign),
		}, {
			Name: "domain/foreign layer", Why: "an operator of another domain may do anything with its weight",
			Model: build(17, func(n *net) {
				foreign(n, "Conv", "x", "w")
				y := n.layer("Conv", "conv", n.input("x", 1, 4, 6, 6), shape(4, 4, 3, 3))
				n.last().Domain = local
				n.output(n.norm("bn", y, 4), 1, 4, 6, 6)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "domain/foreign Identity between", Why: "an operator of another domain may do anything",
			Model: build(17, func(n *net) {
				foreign(n, "Identity", "x")
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", n.call("Identity", "twice", in(y)), 4), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "domain/foreign Identity of the weight", Why: "an operator of another domain may do anything",
			Model: build(17, func(n *net) {
				foreign(n, "Identity", "x")
				w := n.call("Identity", "twice", in(n.param("w", 4, 3, 3, 3)))
				y := n.node("Conv", "conv", in(n.input("x", 1, 3, 6, 6), w))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", fuse.ReasonWeight),
		}, {
			Name: "domain/foreign Dropout between", Why: "an operator of another domain may do anything",
			Model: build(17, func(n *net) {
				foreign(n, "Dropout", "x")
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", n.call("Dropout", "twice", in(y)), 4), 1, 4, 4, 4)
			}),
			WantKept: kept("bn", ""),
		}, {
			Name: "domain/norm in an unknown domain", Why: "without a definition nothing is known of it",
			Model: build(13, func(n *net) {
				n.model.Opsets = append(n.model.Opsets, Opset{"com.example", 1})
				y := n.layer("Conv", "conv", n.input("x", 1, 3, 6, 6), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4), 1, 4, 4, 4)
				n.last().Domain = "com.example"
			}),
			WantKept: kept("bn", fuse.ReasonForeign), NoORT: "nobody defines the operator", NoEval: "nobody defines the operator",
		},
		redefined("BatchNormalization", "bn"), redefined("Conv", "conv"), redefined("Identity", "same"),
	}
}

// redefined has a function in the default domain with the name of one of its operators. Which of the
// two a runtime takes is not laid down, so nothing can be proven of the node.
func redefined(op, node string) Case {
	return Case{
		Name: "domain/function redefines " + op, Why: "a function of the default domain may shadow the operator of its name",
		Model: build(17, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 1, 4, 6, 6), shape(4, 4, 3, 3))
			if op == "Identity" {
				y = n.node("Identity", "same", in(y))
			}
			n.output(n.norm("bn", y, 4), 1, 4, nil, nil)
			var inputs []string
			for _, other := range n.Nodes {
				if other.Name == node {
					inputs = []string{"a", "b", "c", "d", "e"}[:len(other.In)]
				}
			}
			n.function(op, inputs, in("sum_out"), func(f *net) { f.node("Add", "sum", in("a", "a")) }).Domain = ""
		}),
		WantKept: kept("bn", ""), NoORT: "its own operator takes precedence",
	}
}
