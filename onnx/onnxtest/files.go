package onnxtest

// Files gives the external files that the model's tensors name, with gaps of 0xEE between the
// tensors. It is nil when there are none.
func (m *Model) Files() map[string][]byte {
	var files map[string][]byte
	m.EachTensor(func(t *Tensor) {
		if t.Encoding != InFile || t.External.Entries != nil {
			return
		}
		if files == nil {
			files = make(map[string][]byte)
		}
		raw, at := t.RawBytes(), int(t.External.Offset)
		file := files[t.External.Location]
		for len(file) < at+len(raw) {
			file = append(file, 0xEE)
		}
		copy(file[at:], raw)
		files[t.External.Location] = file
	})
	return files
}

// EachTensor visits every tensor: initializers and attributes, also of subgraphs and functions.
func (m *Model) EachTensor(visit func(*Tensor)) {
	if m.Graph != nil {
		m.Graph.eachTensor(visit)
	}
	for _, f := range m.Functions {
		eachNodeTensor(f.Nodes, visit)
	}
}

func (g *Graph) eachTensor(visit func(*Tensor)) {
	for i := range g.Init {
		visit(&g.Init[i])
	}
	for i := range g.SparseInit {
		visit(&g.SparseInit[i].Values)
		visit(&g.SparseInit[i].Indices)
	}
	eachNodeTensor(g.Nodes, visit)
}

func eachNodeTensor(nodes []Node, visit func(*Tensor)) {
	for _, n := range nodes {
		for _, a := range n.Attrs {
			if a.T != nil {
				visit(a.T)
			}
			for i := range a.Tensors {
				visit(&a.Tensors[i])
			}
			if a.G != nil {
				a.G.eachTensor(visit)
			}
			for i := range a.Graphs {
				a.Graphs[i].eachTensor(visit)
			}
		}
	}
}
