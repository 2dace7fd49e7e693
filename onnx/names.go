package onnx

import (
	"bytes"
	"hash/maphash"
)

// names holds the text of all values' names in one stretch of memory: a large graph has hundreds of
// thousands, and strings and maps of their own would cost more than the graph.
type names struct {
	text []byte
	seed maphash.Seed
}

// nameRef is a name's place in names.text.
type nameRef struct{ off, len uint32 }

func (n *names) at(r nameRef) []byte { return n.text[r.off : r.off+r.len] }

func (n *names) add(name []byte) nameRef {
	r := nameRef{uint32(len(n.text)), uint32(len(name))}
	n.text = append(n.text, name...)
	return r
}

// scope maps the names one graph uses to values: an open hash table of value numbers plus one, at most
// three quarters full.
type scope struct {
	slots []int32
	used  int
}

// name is the name of a value.
func (m *model) name(v int32) string { return string(m.names.at(m.values[v].name)) }

// slot finds where a name is in a graph's table, or where it would go.
func (m *model) slot(s *scope, name []byte) int {
	mask := uint64(len(s.slots) - 1)
	for i := maphash.Bytes(m.names.seed, name) & mask; ; i = (i + 1) & mask {
		if v := s.slots[i]; v == 0 || bytes.Equal(m.names.at(m.values[v-1].name), name) {
			return int(i)
		}
	}
}

// find returns the value a graph calls name, -1 for none.
func (m *model) find(g int32, name []byte) int32 {
	s := &m.graphs[g].scope
	if s.used == 0 {
		return -1
	}
	return s.slots[m.slot(s, name)] - 1
}

// intern returns the number of the value a graph calls name, a new one where there is none; -1 for the
// empty name, which stands for no value.
func (m *model) intern(g int32, name []byte) int32 {
	if len(name) == 0 {
		return -1
	}
	s := &m.graphs[g].scope
	if 4*(s.used+1) > 3*len(s.slots) {
		old := s.slots
		s.slots = make([]int32, max(16, 2*len(old)))
		for _, v := range old {
			if v != 0 {
				s.slots[m.slot(s, m.names.at(m.values[v-1].name))] = v
			}
		}
	}
	i := m.slot(s, name)
	if s.slots[i] == 0 {
		m.values = append(m.values, value{name: m.names.add(name), graph: g, producer: -1, tensor: -1, alias: -1, info: -1})
		s.slots[i] = int32(len(m.values))
		s.used++
	}
	return s.slots[i] - 1
}
