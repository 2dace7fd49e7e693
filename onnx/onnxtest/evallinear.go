package onnxtest

import "slices"

// gemm is α·A·B + β·C, with A and B transposed first where asked.
func (c *call) gemm() *Array {
	a, b := c.need(0), c.need(1)
	if len(a.Dims) != 2 || len(b.Dims) != 2 {
		failf("inputs %v and %v are not matrices", a.Dims, b.Dims)
	}
	if c.int("transA", 0) != 0 {
		a = permuted(a, []int{1, 0})
	}
	if c.int("transB", 0) != 0 {
		b = permuted(b, []int{1, 0})
	}
	alpha, beta := c.float("alpha", 1), c.float("beta", 1)
	out := product(a, b)
	addend := c.gemmAddend(out)
	for i, index := range indices(out.Dims) {
		out.Data[i] *= alpha
		if addend != nil && beta != 0 { // as runtimes do: C is not read then
			out.Data[i] += beta * addend.stretched(index)
		}
	}
	return out
}

// gemmAddend is C, which must be given before opset 11, and before opset 7 must be asked to broadcast.
func (c *call) gemmAddend(out *Array) *Array {
	if c.version() < 11 {
		c.need(2)
	}
	addend := c.maybe(2)
	if addend == nil {
		return nil
	}
	if c.version() < 7 {
		return c.legacyBroadcast(out, addend)
	}
	if dims, err := broadcast(out.Dims, addend.Dims); err != nil || !slices.Equal(dims, out.Dims) {
		failf("C %v does not broadcast to %v", addend.Dims, out.Dims)
	}
	return addend
}

// product is the matrix product of two matrices.
func product(a, b *Array) *Array {
	if a.Dims[1] != b.Dims[0] {
		failf("matrices %v and %v do not multiply", a.Dims, b.Dims)
	}
	rows, inner, columns := a.Dims[0], a.Dims[1], b.Dims[1]
	out := zeros(a.Elem, []int{rows, columns})
	for i := range rows {
		for k := range inner {
			for j := range columns {
				out.Data[i*columns+j] += a.Data[i*inner+k] * b.Data[k*columns+j]
			}
		}
	}
	return out
}

// matMul is numpy's: a vector on the left is a row, on the right a column, and the axes before the
// last two broadcast.
func (c *call) matMul() *Array {
	a, b := c.need(0), c.need(1)
	if len(a.Dims) == 0 || len(b.Dims) == 0 {
		failf("inputs %v and %v", a.Dims, b.Dims)
	}
	aRow, bColumn := len(a.Dims) == 1, len(b.Dims) == 1
	if aRow {
		a = a.reshaped([]int{1, a.Dims[0]})
	}
	if bColumn {
		b = b.reshaped([]int{b.Dims[0], 1})
	}
	aBatch, bBatch := a.Dims[:len(a.Dims)-2], b.Dims[:len(b.Dims)-2]
	batch, err := broadcast(aBatch, bBatch)
	if err != nil {
		failf("%w", err)
	}
	rows, columns := a.Dims[len(a.Dims)-2], b.Dims[len(b.Dims)-1]
	dims := slices.Clone(batch)
	if !aRow {
		dims = append(dims, rows)
	}
	if !bColumn {
		dims = append(dims, columns)
	}
	out := zeros(a.Elem, dims)
	for i, index := range indices(batch) {
		part := product(a.matrix(index), b.matrix(index))
		copy(out.Data[i*rows*columns:], part.Data)
	}
	return out
}

// matrix is the matrix at an index of the batch that a was broadcast to.
func (a *Array) matrix(index []int) *Array {
	nBatch := len(a.Dims) - 2
	place := Array{Dims: a.Dims[:nBatch], Data: make([]float64, numElem(a.Dims[:nBatch]))}
	for i := range place.Data {
		place.Data[i] = float64(i)
	}
	dims := a.Dims[nBatch:]
	first := int(place.stretched(index)) * numElem(dims)
	return &Array{Elem: a.Elem, Dims: dims, Data: a.Data[first : first+numElem(dims)]}
}
