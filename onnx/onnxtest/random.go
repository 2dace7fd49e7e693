package onnxtest

// RandomInputs makes inputs for the graph, the same for the same seed: numbers between -1 and 1,
// rounded to their type, and true for an odd seed. An axis without a size gets 2. An input with an
// initializer is left out.
func RandomInputs(m *Model, seed uint64) map[string]Array {
	inputs := make(map[string]Array)
	given := make(map[string]bool)
	for _, t := range m.Graph.Init {
		given[t.Name] = true
	}
	r := random(seed)
	for _, v := range m.Graph.Inputs {
		switch {
		case given[v.Name]:
		case v.Elem == Bool:
			inputs[v.Name] = randomArray(v, float64(seed%2), float64(seed%2), &r)
		default:
			inputs[v.Name] = randomArray(v, -1, 1, &r)
		}
	}
	return inputs
}

func randomArray(v Value, low, high float64, r *random) Array {
	a := Array{Elem: v.Elem}
	for _, d := range v.Dims {
		size := int(d.Size)
		if d.Any || d.Name != "" {
			size = 2
		}
		a.Dims = append(a.Dims, size)
	}
	a.Data = make([]float64, numElem(a.Dims))
	for i := range a.Data {
		x := low + (high-low)*r.float()
		a.Data[i] = v.Elem.value(v.Elem.bits(x))
	}
	return a
}

// random is a sequence of numbers that is part of the tests: splitmix64.
type random uint64

// float is at least 0 and less than 1.
func (r *random) float() float64 {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return float64((z^z>>31)>>11) / (1 << 53)
}
