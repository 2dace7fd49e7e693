package onnx

import "slices"

// shapeArgs are what a rule may look at: x is the shape of the first input.
type shapeArgs struct {
	m    *model
	node int32
	as   *attributes
	x    shape
}

// input is the shape of input i.
func (a shapeArgs) input(i int) shape {
	if a.has(i) {
		return a.m.shapes[a.m.in(a.node)[i]]
	}
	return shape{}
}

// ints are integers given as an attribute in older opsets and as constant input i in newer ones.
func (a shapeArgs) ints(attr string, i int) ([]int64, bool) {
	if a.has(i) {
		k, r := a.m.constant(a.m.in(a.node)[i], "")
		if r != nil || k.float() {
			return nil, false
		}
		return k.i, true
	}
	return a.as.ints(attr), a.as.get(attr) != nil
}

// has reports whether input i is there.
func (a shapeArgs) has(i int) bool {
	in := a.m.in(a.node)
	return i < len(in) && in[i] >= 0
}

type shapeRule func(shapeArgs) shape

var shapeRules map[string]shapeRule

func init() {
	same := func(a shapeArgs) shape { return a.x }
	rank := func(a shapeArgs) shape {
		if !a.x.known {
			return shape{}
		}
		return ranked(len(a.x.dims))
	}
	shapeRules = map[string]shapeRule{
		"Conv": convShape, "ConvTranspose": convShape, "Gemm": gemmShape, "MatMul": matMulShape,
		"Add": broadcastShape, "Sub": broadcastShape, "Mul": broadcastShape, "Div": broadcastShape, "Pow": broadcastShape,
		"Sum": broadcastAll, "Max": broadcastAll, "Min": broadcastAll, "Mean": broadcastAll, "Where": broadcastAll,
		"Gather": gatherShape, "Expand": expandShape,
		"Flatten": flattenShape, "Reshape": reshapeShape, "Squeeze": squeezeShape, "Unsqueeze": unsqueezeShape,
		"Shape": listShape, "Transpose": transposeShape, "Concat": concatShape, "Constant": constantShape,
		"ReduceMean": reduceShape, "ReduceSum": reduceShape, "ReduceMax": reduceShape, "ReduceMin": reduceShape, "ReduceProd": reduceShape,
		"ReduceL1": reduceShape, "ReduceL2": reduceShape, "ReduceSumSquare": reduceShape, "ReduceLogSum": reduceShape, "ReduceLogSumExp": reduceShape,
		"Pad": rank, "Slice": sliceShape, "Split": rank, "Resize": rank, "Upsample": rank, "Tile": rank, "DepthToSpace": rank, "SpaceToDepth": rank,
		"MaxPool": poolShape, "AveragePool": poolShape, "LpPool": poolShape,
		"GlobalAveragePool": globalPoolShape, "GlobalMaxPool": globalPoolShape, "GlobalLpPool": globalPoolShape,
	}
	for _, op := range []string{"Identity", "Dropout", "Cast", "BatchNormalization", "InstanceNormalization", "LRN",
		"Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "Sigmoid", "HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign",
		"Tanh", "Clip", "Erf", "Exp", "Log", "Sqrt", "Abs", "Neg", "Reciprocal", "Sin", "Cos", "Floor", "Ceil", "Round", "Sign",
		"Softmax", "LogSoftmax", "Hardmax", "LayerNormalization", "GroupNormalization", "CumSum", "ThresholdedRelu", "Shrink", "Swish"} {
		shapeRules[op] = same
	}
}

func gemmShape(a shapeArgs) shape {
	s, b := ranked(2), a.input(1)
	if t := a.as.int("transA", 0); len(a.x.dims) == 2 {
		s.dims[0] = a.x.at(int(t & 1))
	}
	if t := a.as.int("transB", 0); len(b.dims) == 2 {
		s.dims[1] = b.at(1 - int(t&1))
	}
	return s
}

func matMulShape(a shapeArgs) shape {
	b := a.input(1)
	if !a.x.known || !b.known || len(a.x.dims) == 0 || len(b.dims) != 2 {
		return shape{}
	}
	s := shape{dims: slices.Clone(a.x.dims), known: true}
	s.dims[len(s.dims)-1] = b.dims[1]
	return s
}

func broadcastShape(a shapeArgs) shape {
	if a.m.opset(a.node) < 7 { // the second input is fitted to the first
		return a.x
	}
	return a.x.broadcast(a.input(1))
}

// broadcast is the shape of two under NumPy's rules.
func (x shape) broadcast(y shape) shape {
	if !x.known || !y.known {
		return shape{}
	}
	s := ranked(max(len(x.dims), len(y.dims)))
	for i := 1; i <= len(s.dims); i++ {
		p, q := 1, 1
		if i <= len(x.dims) {
			p = x.dims[len(x.dims)-i]
		}
		if i <= len(y.dims) {
			q = y.dims[len(y.dims)-i]
		}
		switch {
		case p == 1 || p < 0 && q > 1:
			p = q
		case p < 0 && q != 1 && q != p:
			p = -1 // one of them may be 1
		}
		s.dims[len(s.dims)-i] = p
	}
	return s
}

// broadcastAll is the shape of any number of inputs under NumPy's rules.
func broadcastAll(a shapeArgs) shape {
	if a.m.opset(a.node) < 8 { // all have one shape
		return a.x
	}
	s := a.x
	for i := 1; i < len(a.m.in(a.node)); i++ {
		s = s.broadcast(a.input(i))
	}
	return s
}

// gatherShape has the axes of the indices in the place of one of the data's.
func gatherShape(a shapeArgs) shape {
	indices, axis := a.input(1), a.as.int("axis", 0)
	if axis < 0 {
		axis += int64(len(a.x.dims))
	}
	if !a.x.known || !indices.known || axis < 0 || axis >= int64(len(a.x.dims)) || len(a.x.dims)+len(indices.dims) > maxRank {
		return shape{}
	}
	return shape{dims: slices.Concat(a.x.dims[:axis], indices.dims, a.x.dims[axis+1:]), known: true}
}

func expandShape(a shapeArgs) shape {
	if target, ok := a.ints("shape", 1); ok && len(target) <= maxRank {
		to := ranked(len(target))
		for i, d := range target {
			if d >= 0 && d <= 1<<40 {
				to.dims[i] = int(d)
			}
		}
		return a.x.broadcast(to)
	}
	if s := a.input(1); len(s.dims) == 1 && s.dims[0] >= 0 && s.dims[0] <= maxRank {
		return a.x.broadcast(ranked(s.dims[0]))
	}
	return shape{}
}

// listShape is that of a vector whose length is at most known.
func listShape(shapeArgs) shape { return ranked(1) }

func flattenShape(a shapeArgs) shape {
	s := ranked(2)
	axis := a.as.int("axis", 1)
	if !a.x.known {
		return s
	}
	if axis < 0 {
		axis += int64(len(a.x.dims))
	}
	if axis < 0 || axis > int64(len(a.x.dims)) {
		return s
	}
	s.dims[0], s.dims[1] = product(a.x.dims[:axis]), product(a.x.dims[axis:])
	return s
}

// product multiplies sizes. It is −1 if one is unknown or the result is out of range, but for a symbol alone.
func product(dims []int) int {
	p := 1
	for _, d := range dims {
		switch {
		case d == 1:
		case p == 1 && d <= 1<<40:
			p = d
		case d < 0 || p < 0 || d > 0 && p > 1<<40/d:
			return -1
		default:
			p *= d
		}
	}
	return p
}

// reshapeTarget is the shape that a Reshape asks for, as listOf gives it.
func (a shapeArgs) reshapeTarget() []int {
	if in := a.m.in(a.node); len(in) > 1 {
		return a.m.listOf(in[1])
	}
	var target []int
	for _, d := range a.as.ints("shape") { // before opset 5
		if d < -1 || d > maxSize || len(target) == maxRank {
			return nil
		}
		target = append(target, int(d))
	}
	return target
}

func reshapeShape(a shapeArgs) shape {
	target := a.reshapeTarget()
	if target == nil || len(a.m.in(a.node)) == 0 {
		return shape{}
	}
	allowZero := a.as.int("allowzero", 0)
	s := ranked(len(target))
	infer := -1
	for i, d := range target {
		switch {
		case d == 0 && allowZero == 0:
			s.dims[i] = a.m.sizeOf(a.m.in(a.node)[0], i)
		case d == -1:
			infer = i
		case d != unknownElem:
			s.dims[i] = d
		}
	}
	if infer >= 0 && a.x.known {
		s.dims[infer] = quotient(a.x.dims, slices.Delete(slices.Clone(s.dims), infer, infer+1))
	}
	return s
}

// sliceShape keeps the sizes of the axes that are not sliced, and knows those of steps forwards.
func sliceShape(a shapeArgs) shape {
	if !a.x.known {
		return shape{}
	}
	cuts, ok := a.cuts(len(a.x.dims))
	if !ok {
		return ranked(len(a.x.dims))
	}
	s := shape{dims: slices.Clone(a.x.dims), known: true}
	for _, c := range cuts {
		d := int64(a.x.dims[c.axis])
		if s.dims[c.axis] = -1; d >= 0 && c.step > 0 {
			n := max(0, bound(c.to, d)-bound(c.from, d))
			step := min(c.step, d+1) // a longer one takes as many
			s.dims[c.axis] = int((n + step - 1) / step)
		}
	}
	return s
}

// cut is what a Slice takes of an axis: every step-th element from one index up to another, which count from the end
// where they are negative.
type cut struct {
	axis           int
	from, to, step int64
}

// cuts is what a Slice takes of the axes of a tensor of that rank. ok is false where this is not constant, or not valid.
func (a shapeArgs) cuts(rank int) (cuts []cut, ok bool) {
	starts, ok1 := a.ints("starts", 1)
	ends, ok2 := a.ints("ends", 2)
	axes, ok3 := a.ints("axes", 3)
	steps, ok4 := a.ints("steps", 4)
	if !ok3 && !a.has(3) {
		for i := range starts {
			axes = append(axes, int64(i))
		}
	}
	if !ok4 && !a.has(4) {
		steps = slices.Repeat([]int64{1}, len(starts))
	}
	if !ok1 || !ok2 || len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		return nil, false
	}
	for i, axis := range axes {
		if axis < 0 {
			axis += int64(rank)
		}
		if axis < 0 || axis >= int64(rank) {
			return nil, false
		}
		cuts = append(cuts, cut{int(axis), starts[i], ends[i], steps[i]})
	}
	return cuts, true
}

// bound is an index into d elements, which counts from the end where it is negative.
func bound(i, d int64) int64 {
	if i < 0 {
		i += d
	}
	return max(0, min(i, d))
}

func squeezeShape(a shapeArgs) shape {
	list, ok := a.ints("axes", 1)
	if !a.x.known {
		return shape{}
	}
	if !ok { // all axes of one element
		if len(a.m.in(a.node)) > 1 || a.as.get("axes") != nil || a.as.err != nil || slices.ContainsFunc(a.x.dims, func(d int) bool { return d < 0 }) {
			return shape{}
		}
		for i, d := range a.x.dims {
			if d == 1 {
				list = append(list, int64(i))
			}
		}
	}
	s := shape{known: true}
	for i, d := range a.x.dims {
		if !slices.Contains(list, int64(i)) && !slices.Contains(list, int64(i-len(a.x.dims))) {
			s.dims = append(s.dims, d)
		}
	}
	return s
}

func unsqueezeShape(a shapeArgs) shape {
	list, ok := a.ints("axes", 1)
	if !a.x.known || !ok || len(list)+len(a.x.dims) > maxRank {
		return shape{}
	}
	rank := len(a.x.dims) + len(list)
	s := shape{known: true}
	rest := a.x.dims
	for i := range rank {
		if slices.Contains(list, int64(i)) || slices.Contains(list, int64(i-rank)) {
			s.dims = append(s.dims, 1)
		} else if len(rest) > 0 {
			s.dims, rest = append(s.dims, rest[0]), rest[1:]
		}
	}
	if len(s.dims) != rank {
		return shape{}
	}
	return s
}

func transposeShape(a shapeArgs) shape {
	if !a.x.known { // but perm names every axis
		if perm := a.as.ints("perm"); len(perm) > 0 && len(perm) <= maxRank {
			return ranked(len(perm))
		}
		return shape{}
	}
	perm, ok := permOf(a.as, len(a.x.dims))
	if !ok {
		return shape{}
	}
	s := ranked(len(perm))
	for i, p := range perm {
		s.dims[i] = a.x.dims[p]
	}
	return s
}

func concatShape(a shapeArgs) shape {
	axis := a.as.int("axis", 1)
	if !a.x.known {
		return shape{}
	}
	if axis < 0 {
		axis += int64(len(a.x.dims))
	}
	if axis < 0 || axis >= int64(len(a.x.dims)) {
		return shape{}
	}
	s := shape{dims: slices.Clone(a.x.dims), known: true}
	sum := 0
	for i := range a.m.in(a.node) {
		d := a.input(i).at(int(axis))
		if d < 0 {
			sum = -1
			break
		}
		sum += d
	}
	s.dims[axis] = sum
	return s
}

func constantShape(a shapeArgs) shape {
	if t := a.as.get("value"); t != nil && len(t.tensor) > 0 {
		if k, err := parseTensor(a.m.lookup, t.tensor...); err == nil {
			return shape{dims: k.dims, known: true}
		}
	}
	if a.as.get("value_float") != nil || a.as.get("value_int") != nil {
		return shape{known: true}
	}
	return shape{}
}

func reduceShape(a shapeArgs) shape {
	list, given := a.ints("axes", 1)
	keep := a.as.int("keepdims", 1)
	if !given && a.as.int("noop_with_empty_axes", 0) != 0 {
		return a.x
	}
	if !a.x.known || given && len(list) == 0 || !given && len(a.m.in(a.node)) > 1 {
		return shape{}
	}
	s := shape{known: true}
	for i, d := range a.x.dims {
		reduced := !given || slices.Contains(list, int64(i)) || slices.Contains(list, int64(i-len(a.x.dims)))
		switch {
		case !reduced:
			s.dims = append(s.dims, d)
		case keep != 0:
			s.dims = append(s.dims, 1)
		}
	}
	return s
}
