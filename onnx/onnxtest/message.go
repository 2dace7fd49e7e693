package onnxtest

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// message collects the fields of a protobuf message, so that they can be written in any order.
type message struct {
	wire    Wire
	fields  []field
	unknown []byte
}

type field struct {
	number int
	bytes  []byte // with its tag
}

func newMessage(w Wire) *message { return &message{wire: w} }

func (m *message) add(n int, encoded []byte) { m.fields = append(m.fields, field{n, encoded}) }

func (m *message) varint(n int, x uint64) {
	b := protowire.AppendTag(nil, protowire.Number(n), protowire.VarintType)
	m.add(n, protowire.AppendVarint(b, x))
}

func (m *message) fixed32(n int, x uint32) {
	b := protowire.AppendTag(nil, protowire.Number(n), protowire.Fixed32Type)
	m.add(n, protowire.AppendFixed32(b, x))
}

func (m *message) bytes(n int, x []byte) {
	b := protowire.AppendTag(nil, protowire.Number(n), protowire.BytesType)
	m.add(n, protowire.AppendBytes(b, x))
}

func (m *message) message(n int, sub *message) { m.bytes(n, sub.encode()) }

// int leaves out a zero, as a singular field that was never set is.
func (m *message) int(n int, x int64) {
	if x != 0 {
		m.varint(n, uint64(x))
	}
}

// string leaves out an empty string.
func (m *message) string(n int, s string) {
	if s != "" {
		m.bytes(n, []byte(s))
	}
}

// strings keeps empty strings: in a node they stand for an input that is not given.
func (m *message) strings(n int, list []string) {
	for _, s := range list {
		m.bytes(n, []byte(s))
	}
}

func (m *message) encode() []byte {
	var b []byte
	for _, f := range m.ordered() {
		b = append(b, f.bytes...)
	}
	return append(b, m.unknown...)
}

func (m *message) ordered() []field {
	fields := slices.Clone(m.fields)
	switch m.wire.Order {
	case Ascending:
		slices.SortStableFunc(fields, func(a, b field) int { return a.number - b.number })
	case Descending:
		slices.SortStableFunc(fields, func(a, b field) int { return b.number - a.number })
	case Interleaved:
		turn := make(map[int]int)
		rank := make(map[*byte]int) // how many fields of the same number come first
		for _, f := range fields {
			rank[&f.bytes[0]] = turn[f.number]
			turn[f.number]++
		}
		slices.SortStableFunc(fields, func(a, b field) int {
			return rank[&a.bytes[0]] - rank[&b.bytes[0]]
		})
	}
	return fields
}

// halves cuts the message in two that merge to it.
func (m *message) halves() (first, second *message) {
	fields := m.ordered()
	half := len(fields) / 2
	first = &message{wire: m.wire, fields: fields[:half]}
	second = &message{wire: m.wire, fields: fields[half:], unknown: m.unknown}
	return first, second
}
