package onnxtest

// Model is a ModelProto.
type Model struct {
	IR              int64
	Producer        string
	ProducerVersion string
	Domain          string
	Version         int64
	Doc             string
	Graph           *Graph // nil for none
	Opsets          []Opset
	Metadata        []Entry
	TrainingInfo    [][]byte // encoded TrainingInfoProtos, which no one here looks into
	Functions       []Function
	Unknown         []byte // encoded fields of other numbers

	Wire Wire // how Bytes writes the model; Parse leaves it zero
}

// Opset is an entry of opset_import.
type Opset struct {
	Domain  string
	Version int64
}

// Entry is a key and a value: metadata, and where external data lie.
type Entry struct{ Key, Value string }

// Graph is a GraphProto.
type Graph struct {
	Name        string
	Nodes       []Node
	Init        []Tensor
	SparseInit  []SparseTensor
	Doc         string
	Inputs      []Value
	Outputs     []Value
	ValueInfo   []Value
	Annotations []Annotation
	Metadata    []Entry
	Unknown     []byte
}

// Node is a NodeProto.
type Node struct {
	Op       string
	Domain   string
	Overload string
	Name     string
	In, Out  []string
	Attrs    []Attr
	Doc      string
	Metadata []Entry
	Unknown  []byte
}

// Attr is an AttributeProto: the field that Type names holds its value.
type Attr struct {
	Name    string
	Type    AttrType
	F       float32
	I       int64
	S       string
	T       *Tensor
	G       *Graph
	Floats  []float32
	Ints    []int64
	Strings []string
	Tensors []Tensor
	Graphs  []Graph
	Sparse  *SparseTensor
	Ref     string // in a function: the function's attribute that gives the value
	Doc     string
	Untyped bool // the type field is not written, as before IR 2
	Unknown []byte
}

// AttrType is AttributeProto.AttributeType.
type AttrType int32

// The kinds of attributes.
const (
	AttrFloat   AttrType = 1
	AttrInt     AttrType = 2
	AttrString  AttrType = 3
	AttrTensor  AttrType = 4
	AttrGraph   AttrType = 5
	AttrFloats  AttrType = 6
	AttrInts    AttrType = 7
	AttrStrings AttrType = 8
	AttrTensors AttrType = 9
	AttrGraphs  AttrType = 10
	AttrSparse  AttrType = 11
)

// Float makes an attribute of one number.
func Float(name string, f float32) Attr { return Attr{Name: name, Type: AttrFloat, F: f} }

// Int makes an attribute of one integer.
func Int(name string, i int64) Attr { return Attr{Name: name, Type: AttrInt, I: i} }

// String makes an attribute of one string.
func String(name, s string) Attr { return Attr{Name: name, Type: AttrString, S: s} }

// Floats makes an attribute of several numbers.
func Floats(name string, f ...float32) Attr { return Attr{Name: name, Type: AttrFloats, Floats: f} }

// Ints makes an attribute of several integers.
func Ints(name string, i ...int64) Attr { return Attr{Name: name, Type: AttrInts, Ints: i} }

// Strings makes an attribute of several strings.
func Strings(name string, s ...string) Attr {
	return Attr{Name: name, Type: AttrStrings, Strings: s}
}

// TensorAttr makes an attribute that holds a tensor.
func TensorAttr(name string, t Tensor) Attr { return Attr{Name: name, Type: AttrTensor, T: &t} }

// GraphAttr makes an attribute that holds a subgraph.
func GraphAttr(name string, g Graph) Attr { return Attr{Name: name, Type: AttrGraph, G: &g} }

// SparseAttr makes an attribute that holds a sparse tensor.
func SparseAttr(name string, t SparseTensor) Attr {
	return Attr{Name: name, Type: AttrSparse, Sparse: &t}
}

// RefAttr makes an attribute of a node in a function that takes the value of the function's attribute.
func RefAttr(name string, t AttrType, functionAttr string) Attr {
	return Attr{Name: name, Type: t, Ref: functionAttr}
}

// Value is a ValueInfoProto of a tensor. A value without a type has Elem 0, one with a type but
// without a shape is Unranked.
type Value struct {
	Name     string
	Elem     ElemType
	Dims     []Dim
	Unranked bool
	Doc      string
}

// Dim is an axis of a Value: of a size, or of a name, or (neither known) Any.
type Dim struct {
	Size int64
	Name string
	Any  bool
}

// Val makes a value; each dim is an int, a string for a named axis, or nil for an unknown one.
func Val(name string, elem ElemType, dims ...any) Value {
	v := Value{Name: name, Elem: elem}
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			v.Dims = append(v.Dims, Dim{Size: int64(d)})
		case string:
			v.Dims = append(v.Dims, Dim{Name: d})
		case nil:
			v.Dims = append(v.Dims, Dim{Any: true})
		default:
			panic("onnxtest: a dim is an int, a string or nil")
		}
	}
	return v
}

// Annotation is a TensorAnnotation of quantization_annotation.
type Annotation struct {
	Tensor string
	Params []Entry
}

// Function is a FunctionProto.
type Function struct {
	Domain   string
	Name     string
	Overload string
	In, Out  []string
	Attrs    []string // attributes without a default
	Defaults []Attr   // attributes with one
	Nodes    []Node
	Opsets   []Opset
	Doc      string
	Values   []Value
	Metadata []Entry
	Unknown  []byte
}
