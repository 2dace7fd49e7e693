package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/bnfuse/bnfuse/fuse"
	"google.golang.org/protobuf/encoding/protowire"
)

// attribute is an AttributeProto, without the payload of its tensors and graphs.
type attribute struct {
	name    string
	field   span // the whole field in its node
	kind    int64
	f       float64
	i       int64
	s       string
	floats  []float64
	ints    []int64
	tensor  []span // TensorProto; several where it is split over fields
	frames  []span // the fields around tensor
	ref     bool   // the value is a parameter of the enclosing function
	hasMore bool   // strings, graphs, sparse tensors …
}

// Values of AttributeProto.type.
const (
	kindFloat  = 1
	kindInt    = 2
	kindString = 3
	kindTensor = 4
	kindInts   = 7
)

// attributes are a node's, by name. err is the first thing that makes them unusable: damage, a name given
// twice, or one asked for and there in another form. Look at it after the last question.
type attributes struct {
	list []attribute
	err  error
}

// maxAttrs bounds the attributes of a node; no operator has as many.
const maxAttrs = 64

// maxAttrValues bounds a list in an attribute; the longest real ones are shapes and small constants.
const maxAttrValues = 1 << 20

// attrs reads the attributes of a node.
func (m *model) attrs(n int32) attributes {
	var as attributes
	c := m.lookup.cursor(m.nodes[n].body())
	for c.next() {
		if c.num != nodeAttributeField || !c.message() {
			continue
		}
		a, err := m.attr(c)
		if err == nil && len(as.list) == maxAttrs {
			err = fmt.Errorf("more than %d attributes", maxAttrs)
		}
		if err == nil && as.get(a.name) != nil {
			err = fmt.Errorf("attribute %q is given twice", a.name)
		}
		if err != nil {
			as.err = err
			return as
		}
		if as.list == nil {
			as.list = make([]attribute, 0, min(1+c.count(nodeAttributeField), maxAttrs))
		}
		as.list = append(as.list, a)
	}
	as.err = c.err
	return as
}

func (m *model) attr(at *cursor) (attribute, error) {
	a := attribute{field: at.field()}
	c := m.lookup.cursor(at.body)
	for c.next() {
		switch c.num {
		case attrNameField:
			a.name = c.text()
		case attrFloatField:
			a.f = float64(math.Float32frombits(uint32(c.value)))
		case attrIntField:
			a.i = int64(c.value)
		case attrStringField:
			a.s = c.text()
		case attrTensorField:
			if c.message() {
				a.tensor = append(a.tensor, c.body)
				a.frames = append(a.frames, c.field())
			}
		case attrFloatsField:
			if c.typ == protowire.Fixed32Type {
				a.floats = append(a.floats, float64(math.Float32frombits(uint32(c.value))))
			} else if b, err := m.lookup.bytes(c.body); err != nil {
				return a, err
			} else {
				for ; len(b) >= 4; b = b[4:] {
					v, _ := protowire.ConsumeFixed32(b)
					a.floats = append(a.floats, float64(math.Float32frombits(v)))
				}
			}
		case attrIntsField:
			c.varints(func(v uint64) {
				if len(a.ints) <= maxAttrValues {
					a.ints = append(a.ints, int64(v))
				}
			})
		case attrTypeField:
			a.kind = int64(c.value)
		case attrRefField:
			a.ref = true
		case attrDocField:
		default:
			a.hasMore = true
		}
		if len(a.ints) > maxAttrValues || len(a.floats) > maxAttrValues {
			return a, fmt.Errorf("attribute %q has more than %d values", a.name, maxAttrValues)
		}
	}
	return a, c.err
}

func (as *attributes) get(name string) *attribute {
	for i := range as.list {
		if as.list[i].name == name {
			return &as.list[i]
		}
	}
	return nil
}

// typed returns the named attribute, nil for none. One that is there in another form (of another type,
// but for the first versions of the format, which gave none, or a parameter of the enclosing function)
// becomes the error of the whole list.
func (as *attributes) typed(name string, kind int64) *attribute {
	a := as.get(name)
	switch {
	case a == nil:
		return nil
	case a.ref:
		as.fail("attribute %q is a parameter of its function", name)
		return nil
	case a.kind != kind && a.kind != 0:
		as.fail("attribute %q has type %d, not %d", name, a.kind, kind)
		return nil
	}
	return a
}

func (as *attributes) fail(format string, args ...any) {
	if as.err == nil {
		as.err = fmt.Errorf(format, args...)
	}
}

func (as *attributes) int(name string, absent int64) int64 {
	if a := as.typed(name, kindInt); a != nil {
		return a.i
	}
	return absent
}

func (as *attributes) float(name string, absent float64) float64 {
	if a := as.typed(name, kindFloat); a != nil {
		return a.f
	}
	return absent
}

func (as *attributes) ints(name string) []int64 {
	if a := as.typed(name, kindInts); a != nil {
		return a.ints
	}
	return nil
}

func (as *attributes) string(name, absent string) string {
	if a := as.typed(name, kindString); a != nil {
		return a.s
	}
	return absent
}

// only makes an attribute outside the given list the error: what it means is not known.
func (as *attributes) only(known ...string) {
	for i := range as.list {
		if !slices.Contains(known, as.list[i].name) {
			as.fail("attribute %q is not one of this operator's", as.list[i].name)
		}
	}
}

// refusal is the error as a reason to keep a norm, nil for none.
func (as *attributes) refusal() *fuse.Refusal {
	if as.err == nil {
		return nil
	}
	return fuse.Refuse(fuse.ReasonUnknownAttr, "%v", as.err)
}
