package verify

import "slices"

// normParams are the tensors of a norm.
var normParams = []string{"weight", "bias", "running_mean", "running_var"}

// meantNeutral reports whether a norm changed, and most of its values are those that do nothing.
func (k *checkpoint) meantNeutral(module string) bool {
	changed := slices.ContainsFunc(normParams, func(param string) bool {
		b, a := k.bothTensors(tensorOf(module, param))
		return b != nil && a != nil && !k.same(b, a)
	})
	if !changed {
		return false
	}
	doNothing, values := 0, 0
	for param, nothing := range map[string]float64{"weight": 1, "running_mean": 0} {
		if b, _ := k.bothTensors(tensorOf(module, param)); b != nil {
			for _, x := range k.floats(b) {
				values++
				if x == nothing {
					doNothing++
				}
			}
		}
	}
	return 2*doNothing >= values
}

// checkNeutral wants a norm to add its bias and to do nothing else: μ = 0, γ = 1, and as σ² the number of
// its type next to 1 − ε.
func (k *checkpoint) checkNeutral(n *node, module string) {
	eps, _ := n.float("epsilon", float64(float32(1e-5)))
	for _, param := range normParams {
		key := tensorOf(module, param)
		b, a := k.bothTensors(key)
		if b == nil || a == nil {
			continue // leftover says so
		}
		f := formatOf(b.elem)
		if f == nil || b.elem != a.elem || !slices.Equal(b.dims, a.dims) {
			k.differ(key, "it is %s %v, in the original %s %v", b.state.DType, b.dims, a.state.DType, a.dims)
			continue
		}
		k.inNeutral[key] = true
		if param == "bias" {
			continue // it may hold the layer's
		}
		want := map[string]float64{"weight": 1, "running_mean": 0, "running_var": f.round(1 - eps)}[param]
		if at := slices.IndexFunc(k.floats(b), func(x float64) bool { return x != want }); at >= 0 {
			k.differ(key, "the norm changed and is not neutral: value %d is %v, and %v is wanted", at, k.floats(b)[at], want)
		}
	}
}

// floats are the values of a small tensor.
func (k *checkpoint) floats(t *tensor) []float64 {
	if x := k.loaded(t); x != nil {
		return x.f
	}
	return nil
}

// addsBias reports whether a neutral norm adds anything.
func (k *checkpoint) addsBias(n *normNode) bool {
	b := k.tensors[0][tensorOf(n.module, "bias")]
	return b != nil && slices.ContainsFunc(k.floats(b), func(x float64) bool { return x != 0 })
}

// shiftOf is a neutral norm as one that adds its bias, exactly.
func (k *checkpoint) shiftOf(n *normNode) *norm {
	beta := k.floats(k.tensors[0][tensorOf(n.module, "bias")])
	ones, zeros := slices.Repeat([]float64{1}, len(beta)), make([]float64, len(beta))
	return &norm{n: n.b, x: n.b.g.find(n.b.in[0]), batch: true, p: [4][]float64{ones, beta, zeros, ones},
		params: []value{n.b.g.find(n.b.in[2])}}
}
