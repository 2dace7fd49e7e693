package onnxtest

import "slices"

func (c *call) graphAttr(name string) *Graph {
	a, ok := c.attr(name)
	if !ok || a.G == nil {
		failf("no attribute %s", name)
	}
	return a.G
}

func (c *call) ifElse() []*Array {
	branch := "else_branch"
	if c.need(0).Data[0] != 0 {
		branch = "then_branch"
	}
	return c.subgraph(c.graphAttr(branch), nil)
}

// maxTrips ends a loop that has no count and whose condition stays true.
const maxTrips = 1000

// loop runs the body while the condition holds, at most as often as input 0 says. The body gets the
// trip's number, the condition and the carried values; what it gives beyond those is stacked.
func (c *call) loop() []*Array {
	body := c.graphAttr("body")
	trips := maxTrips
	if a := c.maybe(0); a != nil {
		trips = a.ints()[0]
	}
	going := &Array{Elem: Bool, Data: []float64{1}}
	if a := c.maybe(1); a != nil {
		going = a
	}
	carried := slices.Clone(c.in[2:])
	stacks := make([][]*Array, len(body.Outputs)-1-len(carried))
	for trip := 0; trip < trips && going.Data[0] != 0; trip++ {
		number := &Array{Elem: Int64, Data: []float64{float64(trip)}}
		out := c.subgraph(body, append([]*Array{number, going}, carried...))
		going = out[0]
		copy(carried, out[1:])
		for i, a := range out[1+len(carried):] {
			stacks[i] = append(stacks[i], a)
		}
	}
	for _, s := range stacks {
		carried = append(carried, stack(s))
	}
	return carried
}

// scan runs the body once for each slice of its scanned inputs along axis 0, forward.
func (c *call) scan() []*Array {
	if c.version() < 9 {
		failf("Scan of opset 8 is not supported")
	}
	for _, name := range []string{"scan_input_axes", "scan_input_directions", "scan_output_axes", "scan_output_directions"} {
		if list, _ := c.intsAttr(name); slices.ContainsFunc(list, func(i int) bool { return i != 0 }) {
			failf("%s is not supported", name)
		}
	}
	body := c.graphAttr("body")
	nScanned := c.int("num_scan_inputs", 0)
	nState := len(c.in) - nScanned
	state, scanned := slices.Clone(c.in[:nState]), c.in[nState:]
	stacks := make([][]*Array, len(body.Outputs)-nState)
	for i := range scanned[0].Dims[0] {
		inputs := slices.Clone(state)
		for _, a := range scanned {
			inputs = append(inputs, a.row(i))
		}
		out := c.subgraph(body, inputs)
		copy(state, out)
		for k, a := range out[nState:] {
			stacks[k] = append(stacks[k], a)
		}
	}
	for _, s := range stacks {
		state = append(state, stack(s))
	}
	return state
}

// row is slice i along axis 0.
func (a *Array) row(i int) *Array {
	dims := a.Dims[1:]
	n := numElem(dims)
	return &Array{Elem: a.Elem, Dims: dims, Data: a.Data[i*n : (i+1)*n]}
}

// stack puts arrays of equal dims along a new axis 0.
func stack(rows []*Array) *Array {
	if len(rows) == 0 {
		failf("no trip was made, so the shape of what it gives is unknown")
	}
	out := &Array{Elem: rows[0].Elem, Dims: append([]int{len(rows)}, rows[0].Dims...)}
	for _, a := range rows {
		out.Data = append(out.Data, a.Data...)
	}
	return out
}
