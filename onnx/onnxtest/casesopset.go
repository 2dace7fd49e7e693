package onnxtest

import (
	"fmt"

	"github.com/bnfuse/bnfuse/fuse"
)

// opsetCases are the forms BatchNormalization had: is_test until opset 6, spatial until 8, running
// statistics as extra outputs until 13, training_mode since 14.
func opsetCases() []Case {
	after := func(name, why string, opset int64, attrs ...Attr) Case {
		c := Case{
			Name: "norm/" + name, Why: why,
			Model: build(opset, func(n *net) {
				y := n.layer("Conv", "conv", n.input("x", 2, 3, 4, 4), shape(4, 3, 3, 3))
				n.output(n.norm("bn", y, 4, attrs...), 2, 4, 2, 2)
			}),
			WantFolded: folded("bn"),
		}
		if opset < 7 {
			c.NoORT = "opset < 7"
		}
		return c
	}
	keep := func(c Case, reason fuse.Reason) Case {
		c.WantFolded, c.WantKept = nil, kept("bn", reason)
		return c
	}
	noORT := func(c Case, why string) Case {
		c.NoORT = why
		return c
	}
	const usual = "the running statistics are used"
	return []Case{
		after("opset 1", usual, 1, Int("is_test", 1), Ints("consumed_inputs", 0, 0, 0, 1, 1)),
		after("opset 1, spatial", usual, 1, Int("is_test", 1), Int("spatial", 1), Ints("consumed_inputs", 0, 0, 0, 1, 1)),
		after("opset 6", usual, 6, Int("is_test", 1)),
		after("opset 7", usual, 7),
		after("opset 8", usual, 8, Int("spatial", 1)),
		after("opset 9", usual, 9),
		after("opset 11", usual, 11),
		after("opset 14", usual, 14),
		after("opset 14, training_mode 0", usual, 14, Int("training_mode", 0)),
		after("opset 15", usual, 15),
		after("opset 18", usual, 18),
		after("opset 22", usual, 22),
		after("opset 24", usual, 24),
		noORT(after("opset 99", "an opset of the future may have changed the operator, or not", 99), "nobody knows the opset").eitherWay(),

		keep(after("opset 1, is_test absent", "absent means 0: statistics of the batch", 1,
			Ints("consumed_inputs", 0, 0, 0, 1, 1)), fuse.ReasonTraining),
		keep(after("opset 1, is_test 0", "statistics of the batch", 1,
			Int("is_test", 0), Ints("consumed_inputs", 0, 0, 0, 1, 1)), fuse.ReasonTraining),
		keep(after("opset 6, is_test absent", "absent means 0: statistics of the batch", 6), fuse.ReasonTraining),
		keep(after("opset 6, is_test 0", "statistics of the batch", 6, Int("is_test", 0)), fuse.ReasonTraining),
		noORT(keep(after("opset 9, is_test 0", "an attribute of older opsets that speaks against inference", 9, Int("is_test", 0)), fuse.ReasonTraining),
			"it does not know the attribute"),
		noORT(keep(after("opset 14, training_mode 1", "statistics of the batch", 14, Int("training_mode", 1)), fuse.ReasonTraining),
			"its CPU engine has no training mode with one output"),
		noORT(keep(after("opset 15, training_mode 1", "statistics of the batch", 15, Int("training_mode", 1)), fuse.ReasonTraining),
			"its CPU engine has no training mode with one output"),
		noORT(keep(after("opset 9, training_mode 1", "an attribute this opset does not define, which says training", 9,
			Int("training_mode", 1)), ""), "the attribute is not of this opset"),
		noORT(keep(after("unknown attribute", "what it asks for is not known", 13, Int("frozen", 1)), fuse.ReasonUnknownAttr),
			"the attribute is of no opset"),

		after("epsilon", "the norm's own epsilon counts", 13, Float("epsilon", 0.25)),
		after("epsilon 0", "the variances are positive by themselves", 13, Float("epsilon", 0)),
		after("momentum", "momentum is for training only", 13, Float("momentum", 0.5)),
		perActivation(6), perActivation(7), perActivation(8),
		perActivationOnePixel(),
		extraOutputs(9), extraOutputs(13), extraOutputs(14),
		emptyOutputs(9, ""), emptyOutputs(14, "", ""),
		tinyVariance(),
	}
}

// perActivation has parameters for every element but the batch.
func perActivation(opset int64) Case {
	c := Case{
		Name: fmt.Sprintf("norm/spatial 0, opset %d", opset), Why: "each position has a scale of its own",
		Model: build(opset, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 2, 3, 4, 4), shape(4, 3, 3, 3))
			params := in(y, n.param("gamma", 4, 2, 2), n.param("beta", 4, 2, 2), n.param("mean", 4, 2, 2),
				n.between("var", 0.1, 1.5, shape(4, 2, 2)))
			attrs := []Attr{Int("spatial", 0)}
			if opset < 7 {
				attrs = append(attrs, Int("is_test", 1))
			}
			n.output(n.node("BatchNormalization", "bn", params, attrs...), 2, 4, 2, 2)
		}),
		WantKept: kept("bn", fuse.ReasonSpatial),
	}
	if opset < 7 {
		c.NoORT = "opset < 7"
	}
	return c
}

// perActivationOnePixel is the trap: parameters [C] and spatial=0 agree when there is one position.
func perActivationOnePixel() Case {
	return Case{
		Name: "norm/spatial 0 with parameters [C]", Why: "the norm asks for a scale per position; that there is but one is not for this tool to find out",
		Model: build(7, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 2, 3, 3, 3), shape(4, 3, 3, 3))
			n.output(n.norm("bn", y, 4, Int("spatial", 0)), 2, 4, 1, 1)
		}),
		WantKept: kept("bn", fuse.ReasonSpatial), NoORT: "it wants parameters of rank 4",
	}
}

// extraOutputs names the running statistics, which only training gives.
func extraOutputs(opset int64) Case {
	return Case{
		Name: fmt.Sprintf("norm/named extra outputs, opset %d", opset),
		Why:  "a model that reads the running statistics needs the norm that computes them",
		Model: build(opset, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 2, 3, 4, 4), shape(4, 3, 3, 3))
			if opset >= 14 {
				y = n.norm("bn", y, 4, Int("training_mode", 1))
				n.last().Out = []string{y, "running_mean", "running_var"}
			} else {
				y = n.norm("bn", y, 4)
				n.last().Out = []string{y, "running_mean", "running_var", "saved_mean", "saved_var"}
			}
			n.output(y, 2, 4, 2, 2)
			n.output("running_mean", 4)
		}),
		WantKept: kept("bn", fuse.ReasonTraining),
	}
}

// emptyOutputs has places for the running statistics, and no names.
func emptyOutputs(opset int64, empty ...string) Case {
	return Case{
		Name: fmt.Sprintf("norm/%d extra outputs left empty, opset %d", len(empty), opset),
		Why:  "outputs without a name are none",
		Model: build(opset, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 2, 3, 4, 4), shape(4, 3, 3, 3))
			y = n.norm("bn", y, 4)
			n.last().Out = append(n.last().Out, empty...)
			n.output(y, 2, 4, 2, 2)
		}),
		WantFolded: folded("bn"), NoORT: "it counts the outputs, named or not",
	}
}

// tinyVariance tells the norm's epsilon from the usual 1e-5: the variances are smaller than both.
func tinyVariance() Case {
	return Case{
		Name: "norm/variance smaller than epsilon", Why: "the scale is almost γ/√ε, so a wrong ε shows",
		Model: build(13, func(n *net) {
			y := n.layer("Conv", "conv", n.input("x", 1, 3, 4, 4), shape(2, 3, 3, 3))
			y = n.norm("bn", y, 2, Float("epsilon", 1e-3))
			n.init("bn_var").Data = []float64{1e-7, 0}
			n.output(y, 1, 2, 2, 2)
		}),
		WantFolded: folded("bn"),
	}
}
