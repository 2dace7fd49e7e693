package onnxtest

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Parse reads a ModelProto. Singular messages that come in several fields are merged. The tensors'
// Data are decoded, integers and half types too; those in external files have none until [Model.Load].
func Parse(b []byte) (*Model, error) {
	m := &Model{}
	err := eachField(b, func(f wireField) error {
		switch f.number {
		case 1:
			m.IR = f.int()
		case 2:
			m.Producer = f.string()
		case 3:
			m.ProducerVersion = f.string()
		case 4:
			m.Domain = f.string()
		case 5:
			m.Version = f.int()
		case 6:
			m.Doc = f.string()
		case 7:
			if m.Graph == nil {
				m.Graph = &Graph{}
			}
			return m.Graph.parse(f.bytes)
		case 8:
			return appendParsed(&m.Opsets, f, (*Opset).parse)
		case 14:
			return appendParsed(&m.Metadata, f, (*Entry).parse)
		case 20:
			m.TrainingInfo = append(m.TrainingInfo, f.bytes)
		case 25:
			return appendParsed(&m.Functions, f, (*Function).parse)
		default:
			m.Unknown = append(m.Unknown, f.whole...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("onnxtest: model: %w", err)
	}
	return m, nil
}

func (o *Opset) parse(b []byte) error {
	return eachField(b, func(f wireField) error {
		switch f.number {
		case 1:
			o.Domain = f.string()
		case 2:
			o.Version = f.int()
		}
		return nil
	})
}

func (e *Entry) parse(b []byte) error {
	return eachField(b, func(f wireField) error {
		switch f.number {
		case 1:
			e.Key = f.string()
		case 2:
			e.Value = f.string()
		}
		return nil
	})
}

func (g *Graph) parse(b []byte) error {
	return eachField(b, func(f wireField) error {
		switch f.number {
		case 1:
			return appendParsed(&g.Nodes, f, (*Node).parse)
		case 2:
			g.Name = f.string()
		case 5:
			return appendParsed(&g.Init, f, (*Tensor).parse)
		case 10:
			g.Doc = f.string()
		case 11:
			return appendParsed(&g.Inputs, f, (*Value).parse)
		case 12:
			return appendParsed(&g.Outputs, f, (*Value).parse)
		case 13:
			return appendParsed(&g.ValueInfo, f, (*Value).parse)
		case 14:
			return appendParsed(&g.Annotations, f, (*Annotation).parse)
		case 15:
			return appendParsed(&g.SparseInit, f, (*SparseTensor).parse)
		case 16:
			return appendParsed(&g.Metadata, f, (*Entry).parse)
		default:
			g.Unknown = append(g.Unknown, f.whole...)
		}
		return nil
	})
}

func (n *Node) parse(b []byte) error {
	return eachField(b, func(f wireField) error {
		switch f.number {
		case 1:
			n.In = append(n.In, f.string())
		case 2:
			n.Out = append(n.Out, f.string())
		case 3:
			n.Name = f.string()
		case 4:
			n.Op = f.string()
		case 5:
			return appendParsed(&n.Attrs, f, (*Attr).parse)
		case 6:
			n.Doc = f.string()
		case 7:
			n.Domain = f.string()
		case 8:
			n.Overload = f.string()
		case 9:
			return appendParsed(&n.Metadata, f, (*Entry).parse)
		default:
			n.Unknown = append(n.Unknown, f.whole...)
		}
		return nil
	})
}

func (a *Attr) parse(b []byte) error {
	var held AttrType // by the field that is there, for a model without types
	var tensor []byte // its pieces joined: protobuf merges messages so
	err := eachField(b, func(f wireField) error {
		if t, ok := attrFields[f.number]; ok {
			held = t
		}
		switch f.number {
		case 1:
			a.Name = f.string()
		case 2:
			a.F = math.Float32frombits(uint32(f.scalar))
		case 3:
			a.I = f.int()
		case 4:
			a.S = f.string()
		case 5:
			tensor = append(tensor, f.bytes...)
		case 6:
			if a.G == nil {
				a.G = &Graph{}
			}
			return a.G.parse(f.bytes)
		case 7:
			return f.each(protowire.Fixed32Type, func(x uint64) {
				a.Floats = append(a.Floats, math.Float32frombits(uint32(x)))
			})
		case 8:
			return f.each(protowire.VarintType, func(x uint64) { a.Ints = append(a.Ints, int64(x)) })
		case 9:
			a.Strings = append(a.Strings, f.string())
		case 10:
			return appendParsed(&a.Tensors, f, (*Tensor).parse)
		case 11:
			return appendParsed(&a.Graphs, f, (*Graph).parse)
		case 13:
			a.Doc = f.string()
		case 20:
			a.Type = AttrType(f.int())
		case 21:
			a.Ref = f.string()
		case 22:
			if a.Sparse == nil {
				a.Sparse = &SparseTensor{}
			}
			return a.Sparse.parse(f.bytes)
		default:
			a.Unknown = append(a.Unknown, f.whole...)
		}
		return nil
	})
	if a.Type == 0 {
		a.Type, a.Untyped = held, true
	}
	if err == nil && held == AttrTensor {
		a.T = &Tensor{}
		err = a.T.parse(tensor)
	}
	return err
}

var attrFields = map[int]AttrType{
	2: AttrFloat, 3: AttrInt, 4: AttrString, 5: AttrTensor, 6: AttrGraph, 7: AttrFloats,
	8: AttrInts, 9: AttrStrings, 10: AttrTensors, 11: AttrGraphs, 22: AttrSparse,
}

func (t *SparseTensor) parse(b []byte) error {
	return eachField(b, func(f wireField) error {
		switch f.number {
		case 1:
			return t.Values.parse(f.bytes)
		case 2:
			return t.Indices.parse(f.bytes)
		case 3:
			return f.each(protowire.VarintType, func(x uint64) { t.Dims = append(t.Dims, int64(x)) })
		}
		return nil
	})
}

func (a *Annotation) parse(b []byte) error {
	return eachField(b, func(f wireField) error {
		switch f.number {
		case 1:
			a.Tensor = f.string()
		case 2:
			return appendParsed(&a.Params, f, (*Entry).parse)
		}
		return nil
	})
}

func (v *Value) parse(b []byte) error {
	return eachField(b, func(f wireField) error {
		switch f.number {
		case 1:
			v.Name = f.string()
		case 2:
			return v.parseType(f.bytes)
		case 3:
			v.Doc = f.string()
		}
		return nil
	})
}

// parseType reads the path TypeProto.tensor_type, TypeProto.Tensor, TensorShapeProto.
func (v *Value) parseType(b []byte) error {
	v.Unranked = true
	return eachField(b, func(f wireField) error {
		if f.number != 1 {
			return nil
		}
		return eachField(f.bytes, func(f wireField) error {
			switch f.number {
			case 1:
				v.Elem = ElemType(f.int())
			case 2:
				v.Unranked = false
				return eachField(f.bytes, func(f wireField) error {
					return appendParsed(&v.Dims, f, (*Dim).parse)
				})
			}
			return nil
		})
	})
}

func (d *Dim) parse(b []byte) error {
	d.Any = len(b) == 0
	return eachField(b, func(f wireField) error {
		switch f.number {
		case 1:
			d.Size = f.int()
		case 2:
			d.Name = f.string()
		}
		return nil
	})
}

func (fn *Function) parse(b []byte) error {
	return eachField(b, func(f wireField) error {
		switch f.number {
		case 1:
			fn.Name = f.string()
		case 4:
			fn.In = append(fn.In, f.string())
		case 5:
			fn.Out = append(fn.Out, f.string())
		case 6:
			fn.Attrs = append(fn.Attrs, f.string())
		case 7:
			return appendParsed(&fn.Nodes, f, (*Node).parse)
		case 8:
			fn.Doc = f.string()
		case 9:
			return appendParsed(&fn.Opsets, f, (*Opset).parse)
		case 10:
			fn.Domain = f.string()
		case 11:
			return appendParsed(&fn.Defaults, f, (*Attr).parse)
		case 12:
			return appendParsed(&fn.Values, f, (*Value).parse)
		case 13:
			fn.Overload = f.string()
		case 14:
			return appendParsed(&fn.Metadata, f, (*Entry).parse)
		default:
			fn.Unknown = append(fn.Unknown, f.whole...)
		}
		return nil
	})
}
