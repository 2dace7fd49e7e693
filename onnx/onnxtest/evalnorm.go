package onnxtest

import (
	"math"
	"slices"
)

// batchNorm is BatchNormalization of every opset.
func (c *call) batchNorm() []*Array {
	x := c.need(0)
	scale, shift, mean, variance := c.need(1), c.need(2), c.need(3), c.need(4)
	eps := c.float("epsilon", 1e-5)
	perChannel := c.channelOf(x)
	if c.normTrains() {
		batchMean, batchVar := c.statistics(x, mean.Dims, perChannel)
		out := normalize(x, scale, shift, batchMean, batchVar, eps, perChannel)
		momentum := c.float("momentum", 0.9)
		mix := func(old, new float64) float64 { return momentum*old + (1-momentum)*new }
		running := []*Array{out, pairs(mean, batchMean, mix), pairs(variance, batchVar, mix)}
		return append(running, batchMean, batchVar)
	}
	out := normalize(x, scale, shift, mean, variance, eps, perChannel)
	return []*Array{out, mean, variance, mean, variance}
}

// normTrains reports whether the norm uses the statistics of the batch. From opset 7 to 13 that is
// so when any output after the first is wanted.
func (c *call) normTrains() bool {
	switch v := c.version(); {
	case v < 7:
		return c.int("is_test", 0) == 0
	case v < 14:
		return c.hasOutput(1) || c.hasOutput(2) || c.hasOutput(3) || c.hasOutput(4)
	}
	return c.int("training_mode", 0) != 0
}

// channelOf maps an element of x, by its place in memory, to its parameters: by channel (axis 1), or
// with spatial=0, which opset 9 removed, by everything but the batch.
func (c *call) channelOf(x *Array) func(int) int {
	nParam, channels, inner := len(c.need(1).Data), 1, 1
	if len(x.Dims) > 1 {
		channels, inner = x.Dims[1], numElem(x.Dims[2:])
	}
	for i := 2; i < 5; i++ {
		if len(c.need(i).Data) != nParam {
			failf("parameters of %d and %d values", nParam, len(c.need(i).Data))
		}
	}
	if c.version() < 9 && c.int("spatial", 1) == 0 && nParam == channels*inner {
		return func(i int) int { return i % (channels * inner) }
	}
	if nParam != channels {
		failf("%d channels, parameters of %d values", channels, nParam)
	}
	return func(i int) int { return i / inner % channels }
}

// normalize is y = γ·(x − μ)/√(σ² + ε) + β.
func normalize(x, scale, shift, mean, variance *Array, eps float64, channelOf func(int) int) *Array {
	out := zeros(x.Elem, slices.Clone(x.Dims))
	for i, v := range x.Data {
		k := channelOf(i)
		out.Data[i] = scale.Data[k]*(v-mean.Data[k])/math.Sqrt(variance.Data[k]+eps) + shift.Data[k]
	}
	return out
}

// statistics are the mean and the variance of each channel of the batch.
func (c *call) statistics(x *Array, dims []int, channelOf func(int) int) (batchMean, batchVar *Array) {
	batchMean, batchVar = zeros(x.Elem, dims), zeros(x.Elem, dims)
	each := float64(len(x.Data)) / float64(len(batchMean.Data)) // elements of a channel
	for i, v := range x.Data {
		batchMean.Data[channelOf(i)] += v / each
	}
	for i, v := range x.Data {
		d := v - batchMean.Data[channelOf(i)]
		batchVar.Data[channelOf(i)] += d * d / each
	}
	return batchMean, batchVar
}
