package e2e

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/x448/float16"
	ort "github.com/yalue/onnxruntime_go"
)

// session is a model in ONNX Runtime, run as it is written: with the runtime's own optimizations off,
// since it would fold the norms itself.
type session struct {
	inputs, outputs []ort.InputOutputInfo
	run             *ort.DynamicAdvancedSession
}

func openSession(path string) (*session, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	if err := options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll); err != nil {
		return nil, err
	}
	if err := options.SetIntraOpNumThreads(1); err != nil {
		return nil, err
	}
	s := new(session)
	if s.inputs, s.outputs, err = ort.GetInputOutputInfoWithOptions(path, options); err != nil {
		return nil, err
	}
	s.run, err = ort.NewDynamicAdvancedSession(path, names(s.inputs), names(s.outputs), options)
	return s, err
}

func names(infos []ort.InputOutputInfo) []string {
	var list []string
	for _, info := range infos {
		list = append(list, info.Name)
	}
	return list
}

// values is a tensor's shape and elements.
type values struct {
	name  string
	shape []int64
	data  []float64
}

// infer runs the model once. The binding makes tensors for the outputs, but cannot make scalars, which
// the model need not announce: on such an output infer tries again with scalars of its own.
func (s *session) infer(feed []values) ([]values, error) {
	results, err := s.inferWith(feed, false)
	if errors.Is(err, ort.ZeroShapeLengthError) {
		return s.inferWith(feed, true)
	}
	return results, err
}

func (s *session) inferWith(feed []values, scalars bool) ([]values, error) {
	if len(feed) == 0 {
		return nil, fmt.Errorf("e2e: a model without inputs cannot be run through this binding")
	}
	in, out := make([]ort.Value, len(feed)), make([]ort.Value, len(s.outputs))
	defer destroy(in)
	defer destroy(out)
	for i, v := range feed {
		tensor, err := makeTensor(s.inputs[i].DataType, v)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", v.name, err)
		}
		in[i] = tensor
	}
	for i, info := range s.outputs {
		// Nor does the binding know the size of half precision tensors.
		if info.DataType == ort.TensorElementDataTypeFloat16 || len(info.Dimensions) == 0 && scalars {
			empty := values{shape: info.Dimensions, data: make([]float64, numElem(info.Dimensions))}
			tensor, err := makeTensor(info.DataType, empty)
			if err != nil {
				return nil, fmt.Errorf("output %q: %w", info.Name, err)
			}
			out[i] = tensor
		}
	}
	if err := s.run.Run(in, out); err != nil {
		return nil, err
	}
	results := make([]values, len(out))
	for i, v := range out {
		data, err := elements(v)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", s.outputs[i].Name, err)
		}
		results[i] = values{s.outputs[i].Name, v.GetShape(), data}
	}
	return results, nil
}

func destroy(list []ort.Value) {
	for _, v := range list {
		if v != nil {
			v.Destroy()
		}
	}
}

// makeTensor rounds v's elements to the type kind.
func makeTensor(kind ort.TensorElementDataType, v values) (ort.Value, error) {
	switch kind {
	case ort.TensorElementDataTypeFloat:
		return typedTensor[float32](v)
	case ort.TensorElementDataTypeDouble:
		return typedTensor[float64](v)
	case ort.TensorElementDataTypeInt64:
		return typedTensor[int64](v)
	case ort.TensorElementDataTypeInt32:
		return typedTensor[int32](v)
	case ort.TensorElementDataTypeUint8:
		return typedTensor[uint8](v)
	case ort.TensorElementDataTypeInt8:
		return typedTensor[int8](v)
	case ort.TensorElementDataTypeBool:
		flags := make([]bool, len(v.data))
		for i, x := range v.data {
			flags[i] = x != 0
		}
		if len(v.shape) == 0 {
			return ort.NewScalar(flags[0])
		}
		return ort.NewTensor(v.shape, flags)
	case ort.TensorElementDataTypeFloat16:
		raw := make([]byte, 0, 2*len(v.data))
		for _, x := range v.data {
			bits := float16.Fromfloat32(float32(x)).Bits()
			raw = append(raw, byte(bits), byte(bits>>8))
		}
		return ort.NewCustomDataTensor(v.shape, raw, kind)
	}
	return nil, fmt.Errorf("e2e: no tensors of type %v", kind)
}

func typedTensor[T float32 | float64 | int64 | int32 | uint8 | int8](v values) (ort.Value, error) {
	data := make([]T, len(v.data))
	for i, x := range v.data {
		data[i] = T(x)
	}
	if len(v.shape) == 0 {
		return ort.NewScalar(data[0])
	}
	return ort.NewTensor(v.shape, data)
}

func elements(v ort.Value) ([]float64, error) {
	switch v := v.(type) {
	case *ort.Tensor[float32]:
		return widened(v.GetData()), nil
	case *ort.Tensor[float64]:
		return widened(v.GetData()), nil
	case *ort.Tensor[int64]:
		return widened(v.GetData()), nil
	case *ort.Tensor[int32]:
		return widened(v.GetData()), nil
	case *ort.Tensor[uint8]:
		return widened(v.GetData()), nil
	case *ort.Tensor[int8]:
		return widened(v.GetData()), nil
	case *ort.Scalar[float32]:
		return []float64{float64(v.GetData())}, nil
	case *ort.Scalar[float64]:
		return []float64{v.GetData()}, nil
	case *ort.Tensor[bool]:
		data := make([]float64, len(v.GetData()))
		for i, x := range v.GetData() {
			if x {
				data[i] = 1
			}
		}
		return data, nil
	case *ort.CustomDataTensor:
		raw := v.GetData()
		data := make([]float64, len(raw)/2)
		for i := range data {
			data[i] = float64(float16.Frombits(uint16(raw[2*i]) | uint16(raw[2*i+1])<<8).Float32())
		}
		return data, nil
	}
	return nil, fmt.Errorf("e2e: cannot read a %T", v)
}

func widened[T float32 | float64 | int64 | int32 | uint8 | int8](data []T) []float64 {
	wide := make([]float64, len(data))
	for i, x := range data {
		wide[i] = float64(x)
	}
	return wide
}

// feeder chooses a model's inputs; another seed gives others.
type feeder func(inputs []ort.InputOutputInfo, seed uint64) []values

// normal gives every input normally distributed numbers, 2 where they are integers. A shape comes from
// shapes, else from the model; a free axis of it is 2 long if it is the first and 8 if not.
func normal(shapes map[string][]int64) feeder {
	return func(inputs []ort.InputOutputInfo, seed uint64) []values {
		random := rand.New(rand.NewPCG(seed, 0))
		feed := make([]values, len(inputs))
		for i, info := range inputs {
			shape, ok := shapes[info.Name]
			if !ok {
				shape = fixed(info.Dimensions)
			}
			data := make([]float64, numElem(shape))
			for j := range data {
				data[j] = 2
				if isFloat(info.DataType) {
					data[j] = random.NormFloat64()
				}
			}
			feed[i] = values{info.Name, shape, data}
		}
		return feed
	}
}

// fixed chooses a length for each free axis.
func fixed(dims []int64) []int64 {
	shape := slices.Clone(dims)
	for axis, d := range shape {
		switch {
		case d < 0 && axis == 0:
			shape[axis] = 2
		case d < 0:
			shape[axis] = 8
		}
	}
	return shape
}

func isFloat(kind ort.TensorElementDataType) bool {
	return kind == ort.TensorElementDataTypeFloat || kind == ort.TensorElementDataTypeDouble || kind == ort.TensorElementDataTypeFloat16
}

func numElem(shape []int64) int {
	n := 1
	for _, d := range shape {
		n *= int(max(d, 0))
	}
	return n
}

// difference runs both models on the same inputs, twice, and gives the worst relative error ‖a−b‖/‖a‖
// of an output. A changed interface and an output that is not finite are errors.
func difference(a, b string, feed feeder) (float64, error) {
	sa, err := openSession(a)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", a, err)
	}
	defer sa.run.Destroy()
	sb, err := openSession(b)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", b, err)
	}
	defer sb.run.Destroy()
	if was, is := fmt.Sprint(sa.inputs, sa.outputs), fmt.Sprint(sb.inputs, sb.outputs); was != is {
		return 0, fmt.Errorf("interface was %s, is %s", was, is)
	}
	worst := 0.0
	for seed := range uint64(2) {
		inputs := feed(sa.inputs, seed)
		outA, err := sa.infer(inputs)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", a, err)
		}
		outB, err := sb.infer(inputs)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", b, err)
		}
		for i := range outA {
			e, err := relativeError(outA[i], outB[i])
			if err != nil {
				return 0, err
			}
			worst = max(worst, e)
		}
	}
	return worst, nil
}

func relativeError(a, b values) (float64, error) {
	if fmt.Sprint(a.shape) != fmt.Sprint(b.shape) || len(a.data) != len(b.data) {
		return 0, fmt.Errorf("output %q: shape was %v, is %v", a.name, a.shape, b.shape)
	}
	var apart, size float64
	for i, x := range a.data {
		y := b.data[i]
		if math.IsNaN(x-x) || math.IsNaN(y-y) {
			return 0, fmt.Errorf("output %q: element %d was %v, is %v", a.name, i, x, y)
		}
		apart += (x - y) * (x - y)
		size += x * x
	}
	if apart == 0 {
		return 0, nil
	}
	return math.Sqrt(apart / size), nil
}

// equivalent fails the test unless b computes what a does.
func equivalent(t *testing.T, a, b string, feed feeder, tolerance float64) {
	t.Helper()
	needRuntime(t)
	e, err := difference(a, b, feed)
	if err != nil {
		t.Error(err)
	} else if !(e <= tolerance) {
		t.Errorf("%s: outputs differ from %s by %.3g, more than %.3g", b, a, e, tolerance)
	}
}
