package onnxtest

// constant is Constant in all its forms but strings.
func (c *call) constant() *Array {
	for _, a := range c.node.Attrs {
		a, _ = c.attr(a.Name)
		switch a.Name {
		case "value":
			out := a.T.Array()
			return &out
		case "sparse_value":
			return a.Sparse.dense()
		case "value_float":
			return &Array{Elem: Float32, Data: []float64{float64(a.F)}}
		case "value_int":
			return &Array{Elem: Int64, Data: []float64{float64(a.I)}}
		case "value_floats":
			out := vector(Float32)
			for _, f := range a.Floats {
				out.Data = append(out.Data, float64(f))
			}
			out.Dims[0] = len(out.Data)
			return out
		case "value_ints":
			out := vector(Int64)
			for _, i := range a.Ints {
				out.Data = append(out.Data, float64(i))
			}
			out.Dims[0] = len(out.Data)
			return out
		}
	}
	failf("no value")
	return nil
}

// constantOfShape is zeros, float32 unless the attribute value says otherwise.
func (c *call) constantOfShape() *Array {
	out := zeros(Float32, c.need(0).ints())
	if a, ok := c.attr("value"); ok {
		value := a.T.Array()
		out.Elem = value.Elem
		for i := range out.Data {
			out.Data[i] = value.Data[0]
		}
	}
	return out
}

// dense is the tensor with its zeros. Indices are places in memory, or one row of axes a value.
func (t SparseTensor) dense() *Array {
	dims := make([]int, len(t.Dims))
	for i, d := range t.Dims {
		dims[i] = int(d)
	}
	out := zeros(t.Values.Elem, dims)
	values, places := t.Values.Array(), t.Indices.Array()
	at := places.ints()
	for i, v := range values.Data {
		place := at[i]
		if len(places.Dims) == 2 {
			place = offset(dims, at[i*len(dims):(i+1)*len(dims)])
		}
		out.Data[place] = v
	}
	return out
}

// dequantize is (x − zero point)·scale, of the whole tensor or along an axis.
func (c *call) dequantize() *Array {
	x, scale, zero := c.need(0), c.need(1), c.maybe(2)
	inner := 1
	if len(scale.Data) > 1 {
		inner = numElem(x.Dims[c.wrap(c.int("axis", 1), len(x.Dims))+1:])
	}
	out := zeros(scale.Elem, x.Dims)
	for i, v := range x.Data {
		k := i / inner % len(scale.Data)
		out.Data[i] = (v - biasAt(zero, k)) * scale.Data[k]
	}
	return out
}
