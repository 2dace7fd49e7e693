package verify

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// attribute is an AttributeProto.
type attribute struct {
	at     span
	name   string
	ref    bool // its value is the caller's of the function
	f      float64
	i      int64
	s      string
	ints   []int64
	floats []float32
	tensor []span
	graphs []*graph
	typ    int64 // AttributeProto.type; 0 for none, as in the first versions of the format
	odd    bool  // it has fields that are not known
}

const attrTensor = 4 // an AttributeProto.type

// bounds of lists that are kept in memory; longer ones are only ever compared
const maxList = 1 << 16

func (m *model) parseAttribute(g *graph, at span) (*attribute, error) {
	a := &attribute{at: at}
	var single []span // of a graph that may come in pieces
	var many []span
	err := m.fields(at, func(fd field) (err error) {
		switch fd.num {
		case 1:
			a.name, err = m.text(fd)
		case 2:
			a.f = float64(math.Float32frombits(uint32(fd.value)))
		case 3:
			a.i = int64(fd.value)
		case 4:
			if fd.body.len() < maxList {
				a.s, err = m.text(fd)
			}
		case 5:
			a.tensor = append(a.tensor, fd.body)
		case 6:
			single = append(single, fd.body)
		case 11:
			many = append(many, fd.body)
		case 7:
			err = a.appendFloats(m, fd)
		case 8:
			err = m.varints(fd, func(x uint64) error {
				if len(a.ints) < maxList {
					a.ints = append(a.ints, int64(x))
				}
				return nil
			})
		case 20:
			a.typ = int64(fd.value)
		case 21:
			a.ref = true
		case 9, 10, 13, 14, 15, 22, 23: // strings, tensors, doc_string, types, sparse tensors
		default:
			a.odd = true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if single != nil {
		sub, err := m.parseGraph(g, fmt.Sprintf("graph %q", a.name), single...)
		if err != nil {
			return nil, err
		}
		a.graphs = append(a.graphs, sub)
	}
	for i, s := range many {
		sub, err := m.parseGraph(g, fmt.Sprintf("graph %q[%d]", a.name, i), s)
		if err != nil {
			return nil, err
		}
		a.graphs = append(a.graphs, sub)
	}
	return a, nil
}

func (a *attribute) appendFloats(m *model, fd field) error {
	if fd.typ == protowire.Fixed32Type {
		a.floats = append(a.floats, math.Float32frombits(uint32(fd.value)))
		return nil
	}
	b, err := m.bytes(fd.body)
	for ; len(b) >= 4; b = b[4:] {
		x, _ := protowire.ConsumeFixed32(b)
		a.floats = append(a.floats, math.Float32frombits(x))
	}
	return err
}

// attr is an attribute by its name, nil where it is absent.
func (n *node) attr(name string) *attribute {
	for _, a := range n.attrs {
		if a.name == name {
			return a
		}
	}
	return nil
}

// int is an integer attribute. It is not ok where a function's caller gives the value.
func (n *node) int(name string, absent int64) (v int64, ok bool) {
	a := n.attr(name)
	if a == nil {
		return absent, true
	}
	return a.i, !a.ref
}

func (n *node) float(name string, absent float64) (v float64, ok bool) {
	a := n.attr(name)
	if a == nil {
		return absent, true
	}
	return a.f, !a.ref
}

func (n *node) ints(name string) (v []int64, ok bool) {
	a := n.attr(name)
	if a == nil {
		return nil, true
	}
	return a.ints, !a.ref
}

// opset is the version of the standard operators that the node is written in.
func (n *node) opset() int64 { return n.g.opsets[""] }
