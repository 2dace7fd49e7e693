package onnxtest

import "math"

// operator evaluates a node of the default domain.
func (c *call) operator() []*Array {
	switch c.node.Op {
	case "Conv":
		return one(c.conv())
	case "ConvTranspose":
		return one(c.convTranspose())
	case "Gemm":
		return one(c.gemm())
	case "MatMul":
		return one(c.matMul())
	case "BatchNormalization":
		return c.batchNorm()
	case "Dropout":
		return c.dropout()

	case "Add":
		return one(c.binary(func(x, y float64) float64 { return x + y }))
	case "Sub":
		return one(c.binary(func(x, y float64) float64 { return x - y }))
	case "Mul":
		return one(c.binary(func(x, y float64) float64 { return x * y }))
	case "Div":
		return one(c.div())
	case "Pow":
		return one(c.binary(math.Pow))
	case "Less":
		return one(c.compare(func(x, y float64) bool { return x < y }))
	case "Greater":
		return one(c.compare(func(x, y float64) bool { return x > y }))
	case "Equal":
		return one(c.compare(func(x, y float64) bool { return x == y }))
	case "Sum":
		return one(c.fold(func(x, y float64) float64 { return x + y }))
	case "Max":
		return one(c.fold(math.Max))
	case "Min":
		return one(c.fold(math.Min))

	case "Identity":
		return one(c.need(0))
	case "Sqrt":
		return one(c.unary(math.Sqrt))
	case "Reciprocal":
		return one(c.unary(func(x float64) float64 { return 1 / x }))
	case "Neg":
		return one(c.unary(func(x float64) float64 { return -x }))
	case "Abs":
		return one(c.unary(math.Abs))
	case "Exp":
		return one(c.unary(math.Exp))
	case "Tanh":
		return one(c.unary(math.Tanh))
	case "Relu":
		return one(c.unary(func(x float64) float64 { return math.Max(x, 0) }))
	case "LeakyRelu":
		return one(c.leakyRelu())
	case "Sigmoid":
		return one(c.unary(func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }))
	case "HardSigmoid":
		return one(c.hardSigmoid())
	case "HardSwish":
		return one(c.unary(func(x float64) float64 { return x * math.Max(0, math.Min(1, x/6+0.5)) }))
	case "Not":
		return one(c.unary(func(x float64) float64 { return 1 - x }))
	case "Clip":
		return one(c.clip())
	case "Cast":
		return one(c.cast())
	case "Softmax":
		return one(c.softmax())

	case "Constant":
		return one(c.constant())
	case "ConstantOfShape":
		return one(c.constantOfShape())
	case "DequantizeLinear":
		return one(c.dequantize())

	case "Reshape":
		return one(c.reshape())
	case "Flatten":
		return one(c.flatten())
	case "Squeeze":
		return one(c.squeeze())
	case "Unsqueeze":
		return one(c.unsqueeze())
	case "Expand":
		return one(c.expand())
	case "Transpose":
		return one(c.transpose())
	case "Concat":
		return one(c.concat())
	case "Shape":
		return one(c.shape())
	case "Gather":
		return one(c.gather())
	case "Slice":
		return one(c.slice())
	case "Pad":
		return one(c.pad())

	case "GlobalAveragePool":
		return one(c.globalPool(mean))
	case "GlobalMaxPool":
		return one(c.globalPool(maximum))
	case "AveragePool":
		return one(c.averagePool())
	case "MaxPool":
		return one(c.maxPool())
	case "ReduceMean":
		return one(c.reduce(mean))
	case "ReduceSum":
		return one(c.reduce(sum))
	case "ReduceMax":
		return one(c.reduce(maximum))

	case "If":
		return c.ifElse()
	case "Loop":
		return c.loop()
	case "Scan":
		return c.scan()
	}
	failf("unknown operator")
	return nil
}

func one(a *Array) []*Array { return []*Array{a} }
