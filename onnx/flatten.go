package onnx

// flattens reports whether a node keeps the first axis and joins all others: Flatten(1), or Reshape to two
// axes of which the first stays, as PyTorch writes x.view(x.size(0), -1).
func (m *model) flattens(n int32) bool {
	switch as := m.attrs(n); m.op(n) {
	case "Flatten":
		return as.int("axis", 1) == 1 && as.err == nil
	case "Reshape":
		from, to := m.shape(m.in(n)[0]), m.shape(m.out(n)[0])
		if !to.known || len(to.dims) != 2 {
			return false
		}
		sameColumns := len(from.dims) >= 2 && to.dims[1] > 0 && to.dims[1] == product(from.dims[1:])
		return sameColumns || m.keepsSize(n, 0)
	}
	return false
}

// keepsSize reports whether an axis is as long behind a node that keeps the elements' order as it is before: their
// sizes are equal, or Reshape's target copies it.
func (m *model) keepsSize(n int32, axis int) bool {
	to := m.shape(m.out(n)[0]) // and of all that it is computed from
	x := m.in(n)[0]
	if size := m.sizeOf(x, axis); sameSize(size, to.at(axis)) {
		return true
	}
	if m.op(n) != "Reshape" {
		return false
	}
	as := m.attrs(n)
	target := shapeArgs{m: m, node: n, as: &as}.reshapeTarget()
	zeroIsZero := as.int("allowzero", 0) != 0
	if axis >= len(target) || as.err != nil {
		return false
	}
	return sameSize(target[axis], m.sizeOf(x, axis)) || target[axis] == 0 && !zeroIsZero
}
