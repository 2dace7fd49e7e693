package onnxtest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
)

// Case is a small model and what must become of its norms. Every node of a case has a name of its own.
type Case struct {
	Name string // theme/what
	Why  string // why folding is right, or why it would be wrong

	Model  *Model
	Inputs map[string]Array // nil for RandomInputs

	// WantFolded are the norm nodes that must be gone, and WantKept those that must stay, with the
	// reason a plan must give where it lists them; "" where more than one reason would be right. A
	// plan lists every BatchNormalization; whether it lists an Add that it does not fold is its
	// affair. The norms in Either may go or stay: both are right, and the design asks for neither.
	WantFolded []string
	WantKept   map[string]fuse.Reason
	Either     []string

	NoORT     string // why ONNX Runtime does not run the model; "" if it does
	NoEval    string // why Eval does not
	NonFinite bool   // outputs are infinite or NaN, on purpose
}

func folded(names ...string) []string { return names }

func kept(name string, reason fuse.Reason) map[string]fuse.Reason {
	return map[string]fuse.Reason{name: reason}
}

// keeping is the case with a norm that must stay in place of those that must go.
func (c Case) keeping(name string, reason fuse.Reason) Case {
	c.WantFolded, c.WantKept = nil, kept(name, reason)
	return c
}

// eitherWay makes of what a case wants folded what may be.
func (c Case) eitherWay() Case {
	c.Either, c.WantFolded = c.WantFolded, nil
	return c
}

// with is the case with an input more.
func (c Case) with(name string, a Array) Case {
	if c.Inputs == nil {
		c.Inputs = map[string]Array{}
	}
	c.Inputs[name] = a
	return c
}

// Check compares a rewritten model, given as file contents, with the case: the norms that had to go
// are gone and the others are there, the model is sound, its interface is as it was, and it computes
// the same function.
func (c Case) Check(rewritten []byte, files map[string][]byte) error {
	before, err := Parse(c.Model.Bytes())
	if err == nil {
		err = before.Load(c.Model.Files())
	}
	if err != nil {
		return fmt.Errorf("case %s: %w", c.Name, err)
	}
	after, err := Parse(rewritten)
	if err == nil {
		err = after.Load(files)
	}
	if err == nil {
		err = errors.Join(c.checkNorms(after), Sound(before, after))
	}
	if err == nil && c.NoEval == "" {
		err = Compare(before, after, c.Inputs)
	}
	if err != nil {
		return fmt.Errorf("case %s: %w\nbecause: %s", c.Name, err, c.Why)
	}
	return nil
}

// checkNorms looks for the norms by name and operator. An Add may take a folded norm's place and name,
// so one that must be gone is there only if it gives the same output too.
func (c Case) checkNorms(after *Model) error {
	was, is := make(map[string]*Node), make(map[string]*Node)
	c.Model.EachNode(func(n *Node) { was[n.Name] = n })
	after.EachNode(func(n *Node) { is[n.Name] = n })
	stays := func(name string) bool { return is[name] != nil && is[name].Op == was[name].Op }

	var errs []error
	for _, name := range c.WantFolded {
		if stays(name) && is[name].Out[0] == was[name].Out[0] {
			errs = append(errs, fmt.Errorf("norm %q is still there", name))
		}
	}
	for _, name := range sortedKeys(c.WantKept) {
		if !stays(name) {
			errs = append(errs, fmt.Errorf("norm %q is gone", name))
		}
	}
	return errors.Join(errs...)
}

// EachNode visits every node, also of subgraphs and functions.
func (m *Model) EachNode(visit func(*Node)) {
	if m.Graph != nil {
		eachNode(m.Graph.Nodes, visit)
	}
	for _, f := range m.Functions {
		eachNode(f.Nodes, visit)
	}
}

func eachNode(nodes []Node, visit func(*Node)) {
	for i := range nodes {
		visit(&nodes[i])
		for _, g := range nodes[i].subgraphs() {
			eachNode(g.Nodes, visit)
		}
	}
}

func (n *Node) subgraphs() []*Graph {
	var graphs []*Graph
	for _, a := range n.Attrs {
		if a.G != nil {
			graphs = append(graphs, a.G)
		}
		for i := range a.Graphs {
			graphs = append(graphs, &a.Graphs[i])
		}
	}
	return graphs
}

// Cases is the shared table: for every rule of what is folded and what is kept, at least one model.
// Each call builds it anew.
func Cases() []Case {
	return slices.Concat(
		convCases(),
		convTransposeCases(),
		gemmCases(),
		matMulCases(),
		convStoredTransposed(),
		opsetCases(),
		frozenCases(),
		legacyCases(),
		broadcastCases(),
		constantCases(),
		betweenCases(),
		sharingCases(),
		useCases(),
		overrideCases(),
		ifCases(),
		loopCases(),
		functionCases(),
		domainCases(),
		beforeCases(),
		beforeLinearCases(),
		wayCases(),
		chainCases(),
		numberCases(),
		dtypeCases(),
		shapeCases(),
		rankCases(),
		proofCases(),
		computedCases(),
		averageCases(),
		acrossCases(),
		statedCases(),
		encodingCases(),
		wireCases(),
		externalCases(),
		quantizedCases(),
	)
}
